"""Dense layers, transposed convolutions and convolutions of one channel."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from tests.architecture import graphs


def test_dense_is_a_product_with_bias():
  outputs = layers.dense(tf.constant([[1., 2.], [0., -1.]]), 3, name='fc')
  outputs = graphs.run(outputs, {'fc/kernel': [[1., 0., 2.], [0., 1., 1.]],
                                 'fc/bias': [.5, 0., -1.]})
  np.testing.assert_allclose(outputs, [[1.5, 2., 3.], [.5, -1., -2.]])
  assert graphs.variables() == [('fc/kernel', [2, 3]), ('fc/bias', [3])]


def test_dense_layers_without_a_name_are_counted():
  with tf.variable_scope('head'):
    layers.dense(layers.dense(tf.zeros([1, 2]), 3), 4)
  assert graphs.names() == ['head/dense/kernel', 'head/dense/bias',
                            'head/dense_1/kernel', 'head/dense_1/bias']


def test_transposed_convolution_writes_its_kernel_at_every_pixel():
  inputs = tf.constant([[[[1.], [10.]], [[0.], [2.]]]])
  blocks = layers.conv2d_transpose_to_blocks(inputs, 1, 2, name='up')
  outputs = layers.blocks_to_image(tf.squeeze(blocks, 3), 2)
  kernel = np.reshape([[1., 2.], [3., 4.]], [2, 2, 1, 1])
  blocks, outputs = graphs.run([blocks, outputs], {
      'up/kernel': kernel, 'up/bias': .5})
  np.testing.assert_allclose(blocks[0, 0, :, 0] - .5,
                             [1., 2., 3., 4., 10., 20., 30., 40.])
  np.testing.assert_allclose(outputs[0] - .5, [
      [1., 2., 10., 20.],
      [3., 4., 30., 40.],
      [0., 0., 2., 4.],
      [0., 0., 6., 8.]])


@pytest.mark.parametrize('size', [2, 4])
def test_transposed_convolution_is_that_of_tensorflow(size):
  """Values, and gradients of inputs and kernel; pixels are not square."""
  rng = np.random.RandomState(0)
  inputs = tf.constant(rng.randn(2, 3, 5, 4), tf.float32)
  blocks = layers.conv2d_transpose_to_blocks(inputs, 6, size)
  assert graphs.variables() == [
      ('conv2d_transpose/kernel', [size, size, 6, 4]),
      ('conv2d_transpose/bias', [6])]
  ours = tf.stack([layers.blocks_to_image(blocks[..., channel], size)
                   for channel in range(6)], axis=3)
  kernel = tf.trainable_variables()[0]
  shape = [2, 3 * size, 5 * size, 6]
  theirs = tf.nn.conv2d_transpose(inputs, kernel, shape, [1, size, size, 1],
                                  'VALID')
  weights = rng.randn(*shape)
  results = [[outputs] + tf.gradients(
      tf.reduce_sum(outputs * weights), [inputs, kernel])
             for outputs in (ours, theirs)]
  for got, want in zip(*graphs.run(results)):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_he_normal_takes_the_last_dimension_for_the_fan_out():
  """Of a transposed kernel, whose last dimension is that of its inputs."""
  tf.set_random_seed(0)
  initializer = layers.he_normal_initializer()
  values = graphs.run(
      [initializer([3, 3, 16, 64]), initializer([2, 2, 16, 64])])
  assert values[0].std() == pytest.approx(np.sqrt(2. / (9 * 64)), rel=.03)
  assert values[1].std() == pytest.approx(np.sqrt(2. / (4 * 64)), rel=.05)
  # Not truncated at two standard deviations.
  assert np.abs(values[0]).max() > 3 * values[0].std()


@pytest.mark.parametrize('use_separable_conv', [False, True])
def test_chosen_channel_is_that_of_the_convolution(use_separable_conv):
  """Values and all gradients, with the same variables."""
  rng = np.random.RandomState(0)
  inputs = tf.constant(rng.randn(3, 2, 4, 5), tf.float32)
  classes = [6, 0, 6]
  with tf.variable_scope('net', reuse=tf.AUTO_REUSE):
    whole = layers.conv2d(inputs, 7, 1, use_separable_conv=use_separable_conv,
                          bias_initializer=tf.ones_initializer(), name='last')
    chosen = layers.conv2d_of_chosen(
        inputs, 7, tf.constant(classes), use_separable_conv=use_separable_conv,
        name='last')
  expected = tf.stack([whole[i, :, :, c] for i, c in enumerate(classes)])
  weights = tf.constant(rng.randn(3, 2, 4), tf.float32)
  sources = [inputs] + tf.trainable_variables()
  assert len(sources) == (4 if use_separable_conv else 3)
  gradients = [tf.gradients(tf.reduce_sum(weights * outputs), sources)
               for outputs in (chosen, expected)]
  got, want = graphs.run([[chosen, gradients[0]], [expected, gradients[1]]])
  np.testing.assert_allclose(got[0], want[0], rtol=1e-5, atol=1e-6)
  for left, right in zip(got[1], want[1]):
    np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5)


def test_chosen_channel_by_hand():
  inputs = tf.constant([[[[1., 2.]]], [[[3., 4.]]]])
  outputs = layers.conv2d_of_chosen(inputs, 3, tf.constant([2, 1]), name='last')
  outputs = graphs.run(outputs, {
      'last/kernel': [[[[9., 0., 1.], [9., 1., 10.]]]],
      'last/bias': [9., .5, 100.]})
  np.testing.assert_allclose(outputs, [[[121.]], [[4.5]]])
