"""Masks of one class, against the plain layers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import class_selection
from architecture import layers
from ops import convolution
from tests.architecture import graphs


@pytest.mark.parametrize('is_plain', [False, True])
@pytest.mark.parametrize('num_masks', [1, 5])
def test_upsampling_equals_two_layers(num_masks, is_plain):
  """Values, and all gradients; pixels are not square."""
  if is_plain:
    convolution.keep_plain()
  rng = np.random.RandomState(0)
  inputs = tf.constant(rng.randn(3, 2, 3, 4), tf.float32)
  classes = np.minimum([3, 0, 2], num_masks - 1)
  ours = class_selection.upsampled_conv2d_of_class(
      inputs, num_masks, tf.constant(classes), 2, 'predict',
      bias_initializer=tf.constant_initializer(.5))
  assert graphs.variables() == [
      ('conv2d_transpose/kernel', [2, 2, 4, 4]),
      ('conv2d_transpose/bias', [4]),
      ('predict/kernel', [1, 1, 4, num_masks]), ('predict/bias', [num_masks])]
  spread, spread_bias, kernel, bias = tf.trainable_variables()
  maps = tf.nn.conv2d_transpose(inputs, spread, [3, 4, 6, 4], [1, 2, 2, 1],
                                'VALID') + spread_bias
  maps = tf.nn.conv2d(maps, kernel, 1, 'VALID') + bias
  theirs = tf.stack([maps[i, :, :, c] for i, c in enumerate(classes)])
  weights = rng.randn(3, 4, 6)
  ours, theirs = graphs.run(
      [[outputs] + tf.gradients(tf.reduce_sum(outputs * weights),
                                [inputs] + tf.trainable_variables())
       for outputs in (ours, theirs)],
      {'conv2d_transpose/bias': [.5, -1., 2., 0.]})
  for got, want in zip(ours, theirs):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('is_training', [False, True])
@pytest.mark.parametrize('num_masks', [1, 4])
def test_prediction_of_one_class(num_masks, is_training):
  inputs = tf.constant(np.random.RandomState(0).randn(2, 3, 3, 2), tf.float32)
  classes = np.minimum([3, 1], num_masks - 1)
  settings = dict(bias_initializer=tf.constant_initializer(-2.), name='predict')
  chosen = class_selection.conv2d_of_class(
      inputs, num_masks, tf.constant(classes), is_training, **settings)
  with tf.variable_scope(tf.get_variable_scope(), reuse=True):
    plain = layers.conv2d(inputs, num_masks, 1, **settings)
  chosen, plain, bias = graphs.run([chosen, plain, tf.global_variables()[1]])
  assert (bias == -2.).all()
  for got, maps, c in zip(chosen, plain, classes):
    np.testing.assert_allclose(got, maps[..., c], rtol=1e-5, atol=1e-6)
