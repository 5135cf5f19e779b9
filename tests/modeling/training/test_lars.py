"""LARS against NumPy, on one device, on two, and on the shards of a TPU."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu.ops import tpu_ops

from configs import common
from modeling.training import lars
from modeling.training import optimizers
from tests.modeling import toy_training

_RATE, _MOMENTUM, _TRUST, _DECAY, _EPSILON = .5, .9, .02, .1, 1e-9
_STEPS = 4


def _optimizer(rate):
  return lars.LARSOptimizer(rate, _MOMENTUM, _TRUST, _DECAY, _EPSILON,
                            r'.*(gamma|beta|bias):0$')


def _make_train_op(loss, variables, step):
  # The rate changes, which must not change the steps that were taken.
  optimizer = _optimizer(_RATE / (1. + tf.cast(step, tf.float32)))
  return optimizer.apply_gradients(
      optimizer.compute_gradients(loss, variables), global_step=step)


def _oracle():
  """Algorithm 1 of the paper on the toy's two variables."""
  kernel, bias = toy_training.START.astype(np.float64), np.zeros(2)
  velocity_kernel, velocity_bias = 0., 0.
  for step in range(_STEPS):
    x = toy_training.rows(4, step).astype(np.float64)
    # The mean is over the rows and the two columns.
    error = 2. * (x.dot(kernel) + bias - 1.) / (2. * len(x))
    gradient, bias_gradient = x.T.dot(error), error.sum(0)
    rate, norm = _RATE / (1. + step), np.linalg.norm(kernel)
    local = _TRUST * norm / (np.linalg.norm(gradient) + _DECAY * norm)
    velocity_kernel = (_MOMENTUM * velocity_kernel
                       + rate * local * (gradient + _DECAY * kernel))
    velocity_bias = _MOMENTUM * velocity_bias + rate * bias_gradient
    kernel, bias = kernel - velocity_kernel, bias - velocity_bias
  return {'kernel': kernel, 'bias': bias, 'kernel/LARS': velocity_kernel,
          'bias/LARS': velocity_bias}


@pytest.mark.parametrize('devices', [(), ('/cpu:0', '/cpu:1')])
def test_against_numpy(tmp_path, devices):
  with toy_training.Toy(_make_train_op, 4, devices) as toy:
    for step in range(_STEPS):
      toy.step(toy_training.rows(4, step))
    actual, _ = toy.save(tmp_path)
  for name, value in _oracle().items():
    np.testing.assert_allclose(actual[name], value, rtol=1e-4, atol=1e-6,
                               err_msg=name)


def test_zero_weights_and_zero_gradients_stay_finite():
  zero = tf.get_variable('zero/kernel', initializer=tf.zeros([2]))
  unused = tf.get_variable('unused/kernel', initializer=tf.ones([2]))
  loss = tf.reduce_sum(zero) + 0. * tf.reduce_sum(unused)
  train = _optimizer(_RATE).minimize(loss)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train)
    # Local rates of 1: -rate * 1, and 1 - rate * decay.
    np.testing.assert_allclose(session.run(zero), [-.5, -.5])
    np.testing.assert_allclose(session.run(unused), [.95, .95], rtol=1e-6)


def test_inside_of_a_cross_shard_optimizer(monkeypatch):
  """Its sum over the shards comes before the norm of the gradient."""
  # The sum has no kernel for CPUs; this is that of two equal shards.
  monkeypatch.setattr(tpu_ops, 'cross_replica_sum', lambda x, *_: 2. * x)
  kernel = tf.get_variable('kernel', initializer=tf.constant([3., 4.]))
  optimizer = tf.tpu.CrossShardOptimizer(_optimizer(tf.constant(_RATE)))
  train = optimizer.minimize(tf.reduce_sum(kernel * [.6, .8]))
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train)
    after = session.run(kernel)
  local = _TRUST * 5. / (2. + _DECAY * 5.)
  np.testing.assert_allclose(after, np.array([3., 4.]) - _RATE * local * (
      np.array([1.2, 1.6]) + _DECAY * np.array([3., 4.])), rtol=1e-6)
  assert optimizer.get_slot_names() == ['velocity']


def test_section_sets_all_of_it():
  section = common.Optimizer(type='lars', momentum=.5)
  optimizer = optimizers.build_optimizer(section, tf.constant(1.))
  norm = tf.get_variable('norm/gamma', initializer=tf.ones([2]))
  kernel = tf.get_variable('kernel', initializer=tf.ones([2]))
  train = optimizer.minimize(tf.reduce_sum(norm) + tf.reduce_sum(kernel))
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train)
    np.testing.assert_allclose(session.run(norm), [0., 0.])
    np.testing.assert_allclose(session.run(kernel), [.999, .999], rtol=1e-6)
