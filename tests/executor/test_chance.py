"""Training that goes on draws what it would have drawn without the stop."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from executor import checkpoints
from executor import model_dir as model_dir_lib
from modeling import storage
from tests import runtimes
from tests.executor import replicas


class _Chance:
  """Trains a weight to be the number that was drawn, and reports that."""

  def outputs(self, images, labels, mode):
    del labels, mode
    weight = tf.get_variable('weight', [1000])
    share = tf.reduce_mean(images[:, :1, :1, 0] * 0. + 1.)
    kept = layers.dropout(share * tf.ones([1000]), True, .5)
    return {'weight': weight, 'kept': kept}

  def losses(self, outputs, labels, is_training):
    del labels, is_training
    drawn = tf.reduce_sum(outputs['kept'] * tf.range(1000.)) / 1000.
    return {'model_loss': tf.reduce_mean(tf.square(
        outputs['weight'] - outputs['kept'])), 'drawn': drawn}


def _train(folder, stops=(), devices=(), **changes):
  """The draws of each step, and the weights at the end."""
  config = replicas.config_of('classification', folder, **changes)
  for max_steps in list(stops) + [None]:
    replicas.train(config, devices, max_steps, model=_Chance())
  lines = storage.read_json_lines(
      model_dir_lib.train_log_path(config.model_dir))
  assert [line['step'] for line in lines] == list(range(1, replicas.STEPS + 1))
  reader = tf.train.load_checkpoint(checkpoints.latest(config.model_dir))
  return [line['drawn'] for line in lines], reader.get_tensor('weight')


@pytest.mark.parametrize('devices', [
    (), runtimes.only('tf1', ('/cpu:0', '/cpu:1'))], ids=['one', 'two'])
def test_a_stop_changes_no_draw(tmp_path, devices):
  draws, weights = _train(tmp_path / 'whole', (), devices)
  assert len(set(draws)) == replicas.STEPS
  again, same_weights = _train(tmp_path / 'cycles', (2, 4), devices)
  assert again == draws
  np.testing.assert_array_equal(same_weights, weights)


def test_seeds_draw_differently(tmp_path):
  draws = [_train(tmp_path / str(seed), train__seed=seed)[0]
           for seed in (1, 2, None)]
  assert len(set(sum(draws, []))) == 3 * replicas.STEPS
