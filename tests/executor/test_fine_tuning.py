"""A detector that starts from a classifier's backbone, on one device and two.

Virtual devices of the CPU stand for GPUs.
"""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from executor import devices
from executor import jobs
from executor import model_dir as model_dir_lib
from modeling import factory
from modeling import storage
from tests import docs_blocks
from tests.executor import replicas
from tools import make_demo_data
from utils import modes

_TWO = ['/cpu:0', '/cpu:1']
_BACKBONE = 'resnet10/'


class _AverageOfLosses:
  """A model whose losses are the averages of those of halves of the batch.

  Detection losses are divided by a count of the replica's own images.
  """

  def __init__(self, model):
    self._model = model

  def outputs(self, images, labels, mode):
    return self._model.outputs(images, labels, mode)

  def losses(self, outputs, labels, is_training):
    parts = [self._model.losses(_half(outputs, i), _half(labels, i),
                                is_training) for i in range(2)]
    return {name: tf.add_n([part[name] for part in parts]) / 2.
            for name in parts[0]}

  def predictions(self, *args, **kwargs):
    return self._model.predictions(*args, **kwargs)


def _half(nest, i):
  return tf.nest.map_structure(lambda t: tf.split(t, 2, axis=0)[i], nest)


def _values(path, scope=''):
  """{variable: array} of a checkpoint, of a scope."""
  reader = tf.train.load_checkpoint(str(path))
  return {name: reader.get_tensor(name)
          for name in reader.get_variable_to_shape_map()
          if name.startswith(scope)}


def _assert_same_bits(path, expected):
  """The variables of a checkpoint are those of {variable: array}."""
  assert expected
  values = _values(path)
  for name, value in expected.items():
    np.testing.assert_array_equal(values[name], value, err_msg=name)


def _backbone(path):
  """{variable: array} of the model itself, without momenta."""
  return {name: value for name, value in _values(path, _BACKBONE).items()
          if name.split('/')[-1] in ('kernel', 'gamma', 'beta', 'moving_mean',
                                     'moving_variance')}


def _save_classifier(folder):
  """Writes a checkpoint of an untrained classifier, of step 1."""
  config = replicas.config_of('classification', folder)
  folder.mkdir()
  with tf.Graph().as_default(), tf.Session() as session:
    factory.build_model(config).outputs(
        tf.zeros([1, replicas.SIDE, replicas.SIDE, 3]), None, modes.PREDICT)
    session.run(tf.global_variables_initializer())
    tf.train.Saver().save(session, str(folder / 'model.ckpt'), 1)


@pytest.mark.one_runtime('tf1')
def test_backbone_of_a_classifier(tmp_path):
  """The smallest part of what follows: what training begins with."""
  classifier = tmp_path / 'classifier'
  _save_classifier(classifier)
  config = replicas.config_of('retinanet', tmp_path / 'one',
                              train__checkpoint__path=str(classifier))
  replicas.train(config, max_steps=1)
  _assert_same_bits(tmp_path / 'one' / 'model.ckpt-0',
                    _backbone(classifier / 'model.ckpt-1'))


@pytest.mark.slow
def test_detector_from_a_classifier(tmp_path):
  classifier = tmp_path / 'classifier'
  _save_classifier(classifier)

  def train(name, path, **arguments):
    config = replicas.config_of('retinanet', tmp_path / name,
                                train__checkpoint__path=str(path))
    replicas.train(config, model=_AverageOfLosses(factory.build_model(config))
                   if not arguments else None, **arguments)
    return tmp_path / name

  one = train('one', classifier)
  _assert_same_bits(one / 'model.ckpt-0',
                    _backbone(classifier / 'model.ckpt-1'))
  # Heads are drawn; so that they are the same, too, all come from there.
  two = train('two', one / 'model.ckpt-0', devices=_TWO)
  _assert_same_bits(two / 'model.ckpt-0', _values(one / 'model.ckpt-0'))
  assert len(replicas.losses(one)) == replicas.STEPS
  np.testing.assert_allclose(replicas.losses(two), replicas.losses(one),
                             rtol=1e-4)


def _make_data(folder):
  """The demo's objects, one an image and in scenes, as records."""
  for split, number in zip(make_demo_data.SPLITS, (96, 24)):
    make_demo_data.make_images(str(folder / 'images'), split, number, 64,
                               seed=1, num_processes=1)
    make_demo_data.make_split(str(folder), split, number, 128, seed=1,
                              num_shards=1, num_processes=1)
  subprocess.check_call(
      [sys.executable, '-m', 'tools.create_imagenet_tfrecord',
       '--raw_data_dir=%s' % (folder / 'images'), '--output=%s' % folder,
       '--num_train_shards=1', '--num_validation_shards=1'],
      cwd=docs_blocks.ROOT)


_EVERYWHERE = {
    'use_tpu': False, 'architecture.use_bfloat16': False,
    'train.train_batch_size': 8, 'train.log_every_steps': 1,
    'train.keep_checkpoint_max': 0,
    # Smooth: a relu whose input is zero up to rounding has either gradient.
    'batch_norm_activation.activation': 'swish'}
_OF = {
    'classification': {
        'train.train_file_pattern': 'train/train-*',
        'eval.eval_file_pattern': 'validation/validation-*',
        'eval.label_map': '', 'train.total_steps': 40},
    'retinanet': {
        'train.train_file_pattern': 'train-*.tfrecord',
        'eval.eval_file_pattern': 'val-*.tfrecord',
        'retinanet_parser.output_size': [128, 128],
        'retinanet_parser.aug_rand_hflip': False,
        'batch_norm_activation.use_sync_bn': True,
        # Adam makes much of gradients that are zero up to rounding.
        'train.optimizer.type': 'momentum', 'train.total_steps': 5,
        'train.learning_rate.warmup_steps': 0,
        'train.learning_rate.init_learning_rate': 1e-3}}


def _config(model, data, model_dir, **changes):
  """The demo's, small, with changes by dotted key ('__')."""
  values = dict(_EVERYWHERE, model_dir=str(model_dir), **_OF[model])
  for key in ('train.train_file_pattern', 'eval.eval_file_pattern'):
    values[key] = str(data / values[key])
  values.update({k.replace('__', '.'): v for k, v in changes.items()})
  return config_factory.load_config(
      None, 'configs/experiments/demo/%s.yaml' % model, extra=values)[0]


@pytest.mark.slow
@pytest.mark.parametrize('batch_norm', ['synchronized', 'frozen'])
def test_the_demo_from_classifier_to_detector(tmp_path, monkeypatch,
                                              batch_norm):
  """As a user does it: jobs, records, evaluations."""
  monkeypatch.chdir(docs_blocks.ROOT)
  _make_data(tmp_path)
  classifier = tmp_path / 'classifier'
  jobs.run(_config('classification', tmp_path, classifier), 'train_and_eval')
  is_frozen = batch_norm == 'frozen'

  def fine_tune(name, path, **changes):
    config = _config(
        'retinanet', tmp_path, tmp_path / name,
        train__checkpoint__path=str(path),
        batch_norm_activation__batch_norm_trainable=not is_frozen, **changes)
    jobs.run(config, 'train_and_eval')
    return tmp_path / name

  build = factory.build_model
  monkeypatch.setattr(factory, 'build_model', lambda config: (
      _AverageOfLosses(build(config)) if config.type == 'retinanet'
      else build(config)))
  one = fine_tune('one', classifier)
  _assert_same_bits(one / 'model.ckpt-0', _backbone(
      classifier / 'model.ckpt-40'))
  monkeypatch.setattr(factory, 'build_model', build)
  monkeypatch.setattr(devices, 'gpu_names', lambda: _TWO)
  direct = fine_tune('direct', classifier, train__total_steps=1)
  _assert_same_bits(direct / 'model.ckpt-0', _backbone(
      classifier / 'model.ckpt-40'))
  two = fine_tune('two', one / 'model.ckpt-0')
  _assert_same_bits(two / 'model.ckpt-0', _values(one / 'model.ckpt-0'))
  np.testing.assert_allclose(replicas.losses(two), replicas.losses(one),
                             rtol=1e-4)
  assert len(replicas.losses(two)) == 5
  config = _config('retinanet', tmp_path, two)
  metrics = storage.read_json(model_dir_lib.eval_dir(config) + '/metrics.json')
  assert metrics['AP'] >= 0
