"""Batch normalization: outputs, moving statistics and their two forms."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from architecture import normalization
from tests.architecture import graphs

# Two images of 1 x 2 pixels, one channel: mean 4, squared distances 9, 1, 1, 9.
VALUES = np.float32([1, 3, 5, 7]).reshape([2, 1, 2, 1])
MEAN, BIASED, UNBIASED = 4., 20. / 4, 20. / 3


def _norm(**settings):
  return normalization.BatchNormActivation(**settings)


def _train_once(norm, values=VALUES):
  """(outputs, moving mean, moving variance) after one training step."""
  outputs = norm(tf.constant(values), True, relu=False)
  updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  by_name = {v.op.name.split('/')[-1]: v for v in tf.global_variables()}
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    outputs, _ = session.run([outputs, updates])
    return [outputs] + session.run(
        [by_name['moving_mean'], by_name['moving_variance']])


def test_fused_form_estimates_the_variance_without_bias():
  outputs, mean, variance = _train_once(_norm(momentum=.9, epsilon=1e-3))
  np.testing.assert_allclose(
      outputs, (VALUES - MEAN) / np.sqrt(BIASED + 1e-3), rtol=1e-5)
  np.testing.assert_allclose(mean, [.9 * 0 + .1 * MEAN], rtol=1e-5)
  np.testing.assert_allclose(variance, [.9 * 1 + .1 * UNBIASED], rtol=1e-5)


def test_synchronized_form_estimates_it_with_bias():
  outputs, mean, variance = _train_once(
      _norm(momentum=.9, epsilon=1e-3, use_sync_bn=True))
  np.testing.assert_allclose(
      outputs, (VALUES - MEAN) / np.sqrt(BIASED + 1e-3), rtol=1e-5)
  np.testing.assert_allclose(mean, [.1 * MEAN], rtol=1e-5)
  np.testing.assert_allclose(variance, [.9 + .1 * BIASED], rtol=1e-5)


def test_vectors_take_the_composed_form():
  """After a dense layer there is no map for the fused kernel."""
  _, mean, variance = _train_once(_norm(momentum=.9), VALUES.reshape([4, 1]))
  np.testing.assert_allclose(mean, [.1 * MEAN], rtol=1e-5)
  np.testing.assert_allclose(variance, [.9 + .1 * BIASED], rtol=1e-5)


@pytest.mark.parametrize('use_sync_bn,epsilon', [(False, 1.001e-5),
                                                 (True, 1e-9)])
def test_smallest_epsilon(use_sync_bn, epsilon):
  """The fused kernel never uses less than 1.001e-5; weights depend on it."""
  outputs = _norm(epsilon=1e-9, use_sync_bn=use_sync_bn)(
      tf.constant(VALUES), False, relu=False)
  outputs = graphs.run(outputs, {'batch_normalization/moving_variance': 1e-4})
  np.testing.assert_allclose(outputs, VALUES / np.sqrt(1e-4 + epsilon),
                             rtol=1e-5)


@pytest.mark.parametrize('use_sync_bn', [False, True])
def test_inference_uses_moving_statistics_gamma_and_beta(use_sync_bn):
  outputs = _norm(epsilon=1e-3, use_sync_bn=use_sync_bn)(
      tf.constant(VALUES), False, relu=False, name='bn')
  outputs = graphs.run(outputs, {
      'bn/moving_mean': 2., 'bn/moving_variance': 4., 'bn/gamma': 3.,
      'bn/beta': -1.})
  np.testing.assert_allclose(
      outputs, 3. * (VALUES - 2.) / np.sqrt(4.001) - 1., rtol=1e-5)
  assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)


def test_names_are_counted_within_the_scope():
  norm = _norm()
  with tf.variable_scope('net'):
    x = norm(tf.zeros([1, 2, 2, 3]), True)
    x = norm(x, True, name='p3-bn')
    norm(x, True)
  assert graphs.names() == [
      'net/%s/%s' % (layer, name)
      for layer in ('batch_normalization', 'p3-bn', 'batch_normalization_1')
      for name in ('gamma', 'beta', 'moving_mean', 'moving_variance')]
  assert [v.op.name.split('/')[-1] for v in tf.trainable_variables()] == (
      ['gamma', 'beta'] * 3)


def test_frozen_layers_keep_their_statistics():
  norm = _norm(trainable=False, epsilon=1e-3)
  outputs = norm(tf.constant(VALUES), True, relu=False)
  assert not tf.trainable_variables()
  assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  np.testing.assert_allclose(graphs.run(outputs), VALUES / np.sqrt(1.001),
                             rtol=1e-5)


@pytest.mark.parametrize('use_sync_bn', [False, True])
def test_bfloat16_keeps_its_type_and_float32_statistics(use_sync_bn):
  norm = _norm(use_sync_bn=use_sync_bn)
  outputs = norm(tf.cast(VALUES, tf.bfloat16), True)
  assert outputs.dtype == tf.bfloat16
  assert {v.dtype.base_dtype for v in tf.global_variables()} == {tf.float32}
  outputs = graphs.run(tf.cast(outputs, tf.float32))
  np.testing.assert_allclose(
      outputs, np.maximum(VALUES - MEAN, 0.) / np.sqrt(BIASED), rtol=2e-2)


@pytest.mark.parametrize('name,expected', [
    ('relu', [0., 0., 3.]),
    ('swish', [-2. / (1. + np.exp(2.)), 0., 3. / (1. + np.exp(-3.))])])
def test_activations_by_hand(name, expected):
  outputs = graphs.run(_norm(activation=name).activate(
      tf.constant([-2., 0., 3.])))
  np.testing.assert_allclose(outputs, expected, rtol=1e-6)


@pytest.mark.parametrize('name', sorted(normalization.ACTIVATIONS))
def test_every_activation_follows_the_normalization(name):
  norm = _norm(activation=name)
  plain = norm(tf.constant(VALUES), False, relu=False)
  active = norm(tf.constant(VALUES - 4.), False)
  plain, active, by_hand = graphs.run([
      plain, active, norm.activate(tf.constant(VALUES - 4.) / (1. + 1e-4)**.5)])
  np.testing.assert_allclose(active, by_hand, rtol=1e-5, atol=1e-7)
  assert plain.shape == active.shape


def test_unknown_activation_lists_the_right_ones():
  with pytest.raises(ValueError, match="'gelu'.*relu, relu6, swish"):
    _norm(activation='gelu')


def test_statistics_of_groups_of_different_means():
  """Groups 1, 3 and 5, 11: together mean 5, squares 16, 4, 0, 36."""
  mean, variance = normalization.combine_statistics(
      tf.constant([[2.], [8.]]), tf.constant([[1.], [9.]]),
      lambda x: tf.reduce_mean(x, axis=0))
  mean, variance = graphs.run([mean, variance])
  np.testing.assert_allclose(mean, [5.])
  np.testing.assert_allclose(variance, [56. / 4])


def test_statistics_of_many_groups_equal_those_of_all_values():
  values = np.random.RandomState(0).randn(8, 50, 3) * 2. + np.arange(3)
  values += np.arange(8)[:, None, None]
  mean, variance = graphs.run(normalization.combine_statistics(
      tf.constant(values.mean(axis=1)), tf.constant(values.var(axis=1)),
      lambda x: tf.reduce_mean(x, axis=0)))
  everything = values.reshape([-1, 3])
  np.testing.assert_allclose(mean, everything.mean(axis=0))
  np.testing.assert_allclose(variance, everything.var(axis=0))


@pytest.mark.parametrize('use_sync_bn,num_shards,num_sums', [
    (False, 8, 0), (True, None, 0), (True, 1, 0), (True, 2, 2), (True, 64, 2)])
def test_cores_of_a_tpu_are_asked_for_mean_and_variance(
    use_sync_bn, num_shards, num_sums):
  norm = _norm(use_sync_bn=use_sync_bn)
  if num_shards is None:
    norm(tf.constant(VALUES), True)
  else:
    with tpu_function.tpu_shard_context(num_shards):
      norm(tf.constant(VALUES), True)
  types = [op.type for op in tf.get_default_graph().get_operations()]
  assert types.count('CrossReplicaSum') == num_sums


def test_synchronized_statistics_are_those_of_all_cores(monkeypatch):
  """One core of two; the other one has the same squares around mean 14."""
  monkeypatch.setattr(tf.tpu, 'cross_replica_sum', _with_other_core())
  with tpu_function.tpu_shard_context(2):
    outputs, mean, variance = _train_once(
        _norm(momentum=.9, epsilon=1e-3, use_sync_bn=True))
  # Means 4 and 14 are 5 away from 9.
  np.testing.assert_allclose(mean, [.1 * 9.], rtol=1e-5)
  np.testing.assert_allclose(variance, [.9 + .1 * (BIASED + 25.)], rtol=1e-5)
  np.testing.assert_allclose(
      outputs, (VALUES - 9.) / np.sqrt(BIASED + 25. + 1e-3), rtol=1e-5)


def _with_other_core():
  """What the sums over two cores are: first of means, then of variances."""
  others = iter([14., BIASED + 25.])
  return lambda x: x + next(others)
