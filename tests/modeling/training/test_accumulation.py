"""Several parts of a batch take the step of the whole batch."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.training import accumulation
from modeling.training import optimizers
from tests.modeling import toy_training

_PARTS = 4


def _make_train_op(parts):
  """Momentum, clipping and a rate that follows the global step."""
  def make(loss, variables, step):
    rate = .1 / (1. + tf.cast(step, tf.float32))
    optimizer = accumulation.accumulate(optimizers.GlobalNormClipping(
        tf.train.MomentumOptimizer(rate, .9), .5), parts)
    return optimizer.apply_gradients(
        optimizer.compute_gradients(loss, variables), global_step=step)
  return make


def _train(folder, parts, devices=(), updates=3):
  """What is saved after some updates."""
  with toy_training.Toy(_make_train_op(parts), 8 // parts, devices) as toy:
    for update in range(updates):
      for rows in np.split(toy_training.rows(8, update), parts):
        toy.step(rows)
    return toy.save(folder)[0]


@pytest.mark.parametrize('devices', [(), ('/cpu:0', '/cpu:1')])
def test_parts_equal_the_whole(tmp_path, devices):
  whole = _train(tmp_path, 1)
  parts = _train(tmp_path, _PARTS, devices)
  assert whole['global_step'] == parts['global_step'] == 3
  assert parts[accumulation.COUNTER] == 0
  for name in ('kernel', 'bias', 'kernel/Momentum', 'bias/Momentum'):
    np.testing.assert_allclose(parts[name], whole[name], rtol=1e-5, atol=1e-6,
                               err_msg=name)
  assert not parts['kernel/AccumulatedGradient'].any()


def test_one_part_changes_nothing():
  optimizer = tf.train.GradientDescentOptimizer(.1)
  assert accumulation.accumulate(optimizer, 1) is optimizer


@pytest.mark.parametrize('devices', [(), ('/cpu:0', '/cpu:1')])
def test_restart_in_the_middle_is_exact(tmp_path, devices):
  """Three parts of the second update are taken before the restart."""
  parts = [toy_training.rows(2, seed) for seed in range(2 * _PARTS)]
  with toy_training.Toy(_make_train_op(_PARTS), 2, devices) as toy:
    for rows in parts[:7]:
      toy.step(rows)
    middle, path = toy.save(tmp_path)
    toy.step(parts[7])
    expected, _ = toy.save(tmp_path / 'end')
  assert middle[accumulation.COUNTER] == 3 and middle['global_step'] == 1
  assert middle['kernel/AccumulatedGradient'].any()
  with toy_training.Toy(_make_train_op(_PARTS), 2, devices) as toy:
    toy.saver.restore(toy.session, path)
    toy.step(parts[7])
    actual, _ = toy.save(tmp_path / 'end')
  assert actual['global_step'] == 2
  assert not np.allclose(actual['kernel'], middle['kernel'])
  for name, value in expected.items():
    # On several devices the saved sum is divided and added up again.
    np.testing.assert_allclose(actual[name], value, err_msg=name,
                               rtol=1e-6 if devices else 0)
