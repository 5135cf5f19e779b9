"""A batch that was saved when a run diverged, looked at again."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import io
from dataloader import factory as dataloader_factory
from executor import divergence
from modeling import factory
from modeling import model_fn
from tests.executor import replicas
from tools import replay
from utils import modes


def _batch(config):
  spec = dataloader_factory.build_parser(config, modes.TRAIN).labels_spec()
  rng = np.random.RandomState(3)
  side = replicas.SIDE
  return (rng.randn(2, side, side, 3).astype(np.float32),
          replicas._random_labels(spec, 2, rng))


def _save_weights(config, folder):
  with tf.Graph().as_default(), tf.Session() as session:
    batch = tf.nest.map_structure(tf.constant, _batch(config))
    model_fn.model_outputs(factory.build_model(config), *batch,
                           mode=modes.TRAIN, use_bfloat16=False)
    tf.train.get_or_create_global_step()
    session.run(tf.global_variables_initializer())
    tf.train.Saver().save(session, str(folder / 'model.ckpt'), 0)


@pytest.mark.one_runtime('tf1')
def test_names_the_image_and_the_gradients(tmp_path, capsys):
  config = replicas.config_of('classification', tmp_path)
  (tmp_path / 'params.yaml').write_text(io.dump_yaml(config))
  _save_weights(config, tmp_path)
  images, labels = _batch(config)
  path = str(tmp_path / 'diverged' / 'step-3.npz')
  divergence.write_batches(path, ['7', '8'], [(images, labels)])
  assert replay.main([str(tmp_path)]) == 0
  out = capsys.readouterr().out
  assert 'image 1 (8) alone: ' in out and 'gradient of ' in out
  images[1, 2, 3] = np.nan
  divergence.write_batches(path, ['7', '8'], [(images, labels)])
  assert replay.main([path]) == 1
  out = capsys.readouterr().out
  assert 'the pixels of image(s) 1 of the batch are not finite' in out
  lines = [line for line in out.split('\n') if 'alone' in line]
  assert 'nan' not in lines[0] and 'nan' in lines[1]


def test_what_is_missing_is_said(tmp_path, capsys):
  assert replay.main([str(tmp_path)]) == 2
  assert 'has no saved batch' in capsys.readouterr().err
