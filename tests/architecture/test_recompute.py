"""Recomputed blocks: the same network, gradients and statistics, less memory.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from architecture import recompute
from architecture.backbones import resnet
from ops import random_numbers
from tests import runtimes

_SHAPE = [2, 32, 32, 3]


def _images():
  return tf.constant(np.random.RandomState(0).randn(*_SHAPE), tf.float32)


def _network(recompute_blocks, trainable=True):
  return resnet.ResNet(
      10, normalization.BatchNormActivation(momentum=.5, trainable=trainable),
      dropblock=layers.DropBlock(.9, 2), init_drop_connect_rate=.5,
      recompute_blocks=recompute_blocks)


def _loss(features):
  return tf.add_n([tf.reduce_mean(tf.square(x)) for x in features.values()])


def _step(recompute_blocks, trainable):
  """(names of the variables, loss, gradients and new statistics)."""
  tf.reset_default_graph()
  images = _images()
  with random_numbers.source(3, 0):
    loss = _loss(_network(recompute_blocks, trainable)(images, True))
  update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  gradients = tf.gradients(loss, [images] + tf.trainable_variables())
  # The second run must not update the statistics once more.
  assert tf.get_collection(tf.GraphKeys.UPDATE_OPS) == update_ops
  names = [v.name for v in tf.global_variables()]
  rng = np.random.RandomState(1)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for v in tf.trainable_variables():
      v.load(rng.randn(*v.shape.as_list()) * .1 + (
          'gamma' in v.name), session)
    values = session.run([loss, gradients, update_ops])
    statistics = session.run([v for v in tf.global_variables()
                              if 'moving' in v.name])
  return names, values[0], values[1], statistics


# The statistics of so few values make rounding errors larger.
@pytest.mark.parametrize('trainable, tolerance', [
    runtimes.only('tf1', False, 1e-4), runtimes.only('tf2', True, 1e-2)])
def test_same_losses_gradients_and_statistics(trainable, tolerance):
  names, loss, gradients, statistics = _step(False, trainable)
  again = _step(True, trainable)
  assert again[0] == names
  np.testing.assert_allclose(again[1], loss, rtol=1e-5)
  assert len(gradients) == len(again[2]) > 10
  for actual, expected in zip(again[2] + again[3], gradients + statistics):
    np.testing.assert_allclose(
        actual, expected, rtol=0,
        atol=tolerance * np.abs(expected).max() + 1e-12)
  assert np.abs(gradients[0]).max() > 0


def test_random_numbers_are_those_of_the_first_run():
  x = tf.constant([2., 3.])

  def scaled(x):
    return x * x * recompute.remembered(lambda: random_numbers.uniform([2]))

  y = recompute.run(scaled, x)
  gradient = tf.gradients(y, x)[0]
  with tf.Session() as session:
    y, gradient = session.run([y, gradient])
  np.testing.assert_allclose(gradient, 2. * y / [2., 3.], rtol=1e-6)


def _kept_bytes(depth, recompute_blocks):
  """Bytes of the maps that the backward pass reads from the forward pass."""
  tf.reset_default_graph()
  network = resnet.ResNet(depth, normalization.BatchNormActivation(),
                          recompute_blocks=recompute_blocks)
  loss = _loss(network(tf.zeros([1, 64, 64, 3]), True))
  forward = set(tf.get_default_graph().get_operations())
  pending = [g.op for g in tf.gradients(loss, tf.trainable_variables())]
  seen, kept = set(pending), {}
  while pending:
    op = pending.pop()
    for tensor in op.inputs:
      if tensor.op not in forward:
        if tensor.op not in seen:
          seen.add(tensor.op)
          pending.append(tensor.op)
      elif tensor.shape.rank == 4 and tensor.op.type != 'ReadVariableOp':
        while tensor.op.type in ('Identity', 'IdentityN'):  # no copies
          tensor = tensor.op.inputs[tensor.value_index]
        kept[tensor.name] = tensor.shape.num_elements() * 4
  return sum(kept.values())


def test_memory_is_saved():
  plain, saved = _kept_bytes(14, False), _kept_bytes(14, True)
  assert 0 < saved < .6 * plain, (plain, saved)


def test_variables_read_as_bfloat16_are_trained():
  with tf.tpu.bfloat16_scope():
    features = _network(True)(tf.cast(_images(), tf.bfloat16), True)
  loss = _loss({k: tf.cast(v, tf.float32) for k, v in features.items()})
  gradients = tf.gradients(loss, tf.trainable_variables())
  assert all(g is not None and g.dtype == tf.float32 for g in gradients)


def test_evaluation_is_untouched():
  features = _network(True)(_images(), False)
  assert not [op for op in tf.get_default_graph().get_operations()
              if op.type == 'IdentityN']
  assert sorted(features) == [2, 3, 4, 5]
