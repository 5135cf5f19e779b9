"""The features of the training step compile as a whole, as for a TPU."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.training import accumulation
from modeling.training import lars
from modeling.training import moving_average
from modeling.training import optimizers
from tests.modeling import toy_training

_PARTS, _CALLS = 2, 6


def _step(rows):
  """Accumulation of clipped LARS steps, and averages; the loss of a call."""
  step = tf.train.get_or_create_global_step()
  kernel = tf.get_variable(
      'kernel', [2, 2],
      initializer=tf.constant_initializer(toy_training.START))
  loss = tf.reduce_mean(tf.square(tf.matmul(rows, kernel) - 1.))
  optimizer = accumulation.accumulate(optimizers.GlobalNormClipping(
      lars.LARSOptimizer(.5, trust_coefficient=.02), 1.), _PARTS)
  gradients = optimizer.compute_gradients(loss, [kernel])
  before = tf.identity(step)
  with tf.control_dependencies([before]):
    train_op = optimizer.apply_gradients(gradients, global_step=step)
  train_op = moving_average.update_after(train_op, before, [kernel], .3, step)
  with tf.control_dependencies([train_op]):
    return tf.identity(loss)


def _run(compile_step):
  """Losses of the calls, and all variables after them."""
  tf.reset_default_graph()
  rows = tf.placeholder(tf.float32, [4, 2])
  loss = compile_step(_step, [rows])
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    losses = [np.squeeze(session.run(loss, {rows: toy_training.rows(4, call)}))
              for call in range(_CALLS)]
    return losses, {v.name: session.run(v) for v in tf.global_variables()}


def test_compiled_step_equals_the_plain_one():
  plain, expected = _run(lambda function, inputs: function(*inputs))
  compiled, actual = _run(tf.xla.experimental.compile)
  assert expected['global_step:0'] == _CALLS // _PARTS
  assert expected['training/num_averaged:0'] == _CALLS // _PARTS
  np.testing.assert_allclose(compiled, plain, rtol=1e-5)
  assert set(actual) == set(expected)
  for name, value in expected.items():
    assert actual[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name
