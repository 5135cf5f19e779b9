"""Optimizers, clipping, frozen variables and the L2 term."""

import dataclasses
import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import common
from modeling.training import optimizers


def _variable(name, value, trainable=True):
  return tf.get_variable(name, initializer=tf.constant(value, tf.float32),
                         trainable=trainable)


@pytest.mark.parametrize('kind', sorted(optimizers.OPTIMIZERS))
def test_every_optimizer_descends(kind):
  x = _variable('x', [2.])
  section = types.SimpleNamespace(type=kind, momentum=.9, lars=common.LARS())
  optimizer = optimizers.build_optimizer(section, tf.constant(.1))
  loss = tf.reduce_sum(tf.square(x))
  train = optimizer.minimize(loss)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    before = session.run(loss)
    for _ in range(3):
      session.run(train)
    assert session.run(loss) < before


def test_unknown_optimizer_lists_the_right_ones():
  section = types.SimpleNamespace(type='sgdd', momentum=.9)
  with pytest.raises(ValueError, match='sgdd.*adam, .*lars, momentum, rmsprop'):
    optimizers.build_optimizer(section, .1)


def test_clipping_by_hand():
  # Gradient (3, 4) has norm 5; clipped to norm 1 it is (.6, .8).
  x = _variable('x', [3., 4.])
  optimizer = optimizers.GlobalNormClipping(
      tf.train.GradientDescentOptimizer(1.), 1.)
  unused = _variable('unused', [1.])
  gradients = optimizer.compute_gradients(tf.nn.l2_loss(x), [x, unused])
  step = tf.train.get_or_create_global_step()
  train = optimizer.apply_gradients(gradients, global_step=step)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train)
    np.testing.assert_allclose(session.run(x), [2.4, 3.2], rtol=1e-6)
    assert session.run(step) == 1


def test_clipping_is_of_the_gradient_of_all_replicas():
  """(3, 0) of one and (0, 4) of the other: (3, 4), clipped (.6, .8).

  Clipped on their own, they would add up to (1, 1).
  """
  devices = ['/cpu:0', '/cpu:1']
  strategy = tf.distribute.MirroredStrategy(devices)
  parts = iter([[3., 0.], [0., 4.]])

  def step():
    x = _variable('x', [10., 10.])
    optimizer = optimizers.GlobalNormClipping(
        tf.train.GradientDescentOptimizer(1.), 1.)
    return optimizer.apply_gradients(optimizer.compute_gradients(
        tf.reduce_sum(x * next(parts)), [x]))

  with strategy.scope():
    train = strategy.extended.call_for_each_replica(step)
  with tf.Session(config=tf.ConfigProto(device_count={'CPU': 2})) as session:
    session.run(tf.global_variables_initializer())
    session.run(strategy.experimental_local_results(train))
    for x in tf.global_variables():
      np.testing.assert_allclose(session.run(x), [9.4, 9.2], rtol=1e-6)


def test_frozen_prefix_is_matched_at_the_start_with_the_suffix():
  names = ['resnet18/conv2d/kernel', 'resnet18/conv2d_1/kernel', 'fpn/kernel']
  variables = [_variable(n, [1.]) for n in names]
  kept = optimizers.trained_variables(variables, r'resnet18/conv2d/kernel:0$')
  assert [v.op.name for v in kept] == names[1:]
  assert optimizers.trained_variables(variables, None) == variables


def test_l2_by_hand():
  variables = [_variable('a/kernel', [1., 2.]), _variable('a/bias', [9.]),
               _variable('b/depthwise_kernel', [3.])]
  loss = optimizers.l2_regularization_loss(variables, .1,
                                           r'.*(kernel|weight):0$')
  everything = optimizers.l2_regularization_loss(variables, .1, None)
  nothing = optimizers.l2_regularization_loss(variables, .1, 'no_such')
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(loss), .1 * (1 + 4 + 9) / 2)
    np.testing.assert_allclose(session.run(everything), .1 * (14 + 81) / 2,
                               rtol=1e-6)
    assert session.run(nothing) == 0.


def test_patterns_that_match_nothing_are_said():
  every = [_variable(n, [1.]) for n in ('net/kernel', 'head/kernel')]
  train = common.Train(frozen_variable_prefix='net/',
                       regularization_variable_regex='.*kernel:0$')
  trained = optimizers.trained_variables(every, train.frozen_variable_prefix)
  assert not list(optimizers.unmatched_patterns(train, every, trained))
  for changes, words in (
      ({'frozen_variable_prefix': 'nets/'}, 'frozen_variable_prefix freezes'),
      # Frozen variables do not decay.
      ({'regularization_variable_regex': 'net/'},
       'regularization_variable_regex decays'),
      ({'optimizer': common.Optimizer(type='lars')},
       'optimizer.lars.excluded_variable_regex excludes')):
    sentence, = optimizers.unmatched_patterns(
        dataclasses.replace(train, **changes), every, trained)
    assert 'train.%s nothing' % words in sentence
    assert 'head/kernel:0' in sentence
