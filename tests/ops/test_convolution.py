"""Written-out gradients of convolutions against those of TensorFlow."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from ops import compat
from ops import convolution


def _arrays(height, width, size, channels=3, filters=4):
  rng = np.random.RandomState(0)
  return [rng.randn(*shape).astype(np.float32) for shape in (
      [2, height, width, channels], [size, size, channels, filters],
      [2, height, width, filters])]


def _gradients(inputs, kernel, weights, convolve):
  """Of the inputs and the kernel, where outputs count by `weights`."""
  inputs, kernel = tf.constant(inputs), tf.constant(kernel)
  outputs = convolve(inputs, kernel)
  return tf.gradients(tf.reduce_sum(outputs * weights), [inputs, kernel])


def _types():
  return {op.type for op in tf.get_default_graph().get_operations()}


@pytest.mark.parametrize('size', [1, 3, 5])
@pytest.mark.parametrize('height,width', [(16, 16), (40, 9)])
def test_gradients_are_those_of_tensorflow(height, width, size):
  arrays = _arrays(height, width, size)
  ours = _gradients(*arrays, convolution.conv2d)
  types = _types()
  # On TF 1.15, no gradient kernel of a convolution.
  assert ('Conv2DBackpropInput' in types) == compat.IS_TF2
  assert ('Conv2DBackpropFilter' in types) == compat.IS_TF2
  theirs = _gradients(*arrays, lambda inputs, kernel: tf.nn.conv2d(
      inputs, kernel, strides=[1] * 4, padding='SAME'))
  with tf.Session() as session:
    ours, theirs = session.run([ours, theirs])
  for got, want in zip(ours, theirs):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


def test_gradients_by_hand():
  """A gradient of one pixel meets the kernel, and the pixels around it."""
  inputs = np.arange(256, dtype=np.float32).reshape(1, 16, 16, 1)
  kernel = np.arange(9, dtype=np.float32).reshape(3, 3, 1, 1)
  weights = np.zeros([1, 16, 16, 1], np.float32)
  weights[0, 5, 7] = 1.
  d_inputs, d_kernel = _gradients(inputs, kernel, weights, convolution.conv2d)
  with tf.Session() as session:
    d_inputs, d_kernel = session.run([d_inputs, d_kernel])
  np.testing.assert_allclose(d_inputs[0, 4:7, 6:9, 0], kernel[:, :, 0, 0])
  assert d_inputs.sum() == kernel.sum()
  np.testing.assert_allclose(d_kernel[:, :, 0, 0], inputs[0, 4:7, 6:9, 0])


@pytest.mark.parametrize('options', [
    {'strides': 2}, {'padding': 'VALID'}, {'size': 2}, {'height': 4}])
def test_other_convolutions_keep_their_gradients(options):
  """Strided, unpadded, even and small ones."""
  size, height = options.pop('size', 3), options.pop('height', 16)
  inputs, kernel, _ = [tf.constant(x) for x in _arrays(height, 4 * 4, size)]
  inputs = inputs[:, :, :height]
  outputs = convolution.conv2d(inputs, kernel, **options)
  tf.gradients(outputs, [inputs, kernel])
  assert {'Conv2DBackpropInput', 'Conv2DBackpropFilter'} <= _types()
  stride = options.get('strides', 1)
  expected = tf.nn.conv2d(inputs, kernel, strides=[1, stride, stride, 1],
                          padding=options.get('padding', 'SAME'))
  with tf.Session() as session:
    got, want = session.run([outputs, expected])
  np.testing.assert_array_equal(got, want)


def test_a_tpu_has_gradients_of_its_own():
  inputs, kernel, _ = [tf.constant(x) for x in _arrays(16, 16, 3)]
  with tpu_function.tpu_shard_context(8):
    outputs = convolution.conv2d(inputs, kernel)
  tf.gradients(outputs, [inputs, kernel])
  assert {'Conv2DBackpropInput', 'Conv2DBackpropFilter'} <= _types()


def test_batch_of_open_size():
  inputs = tf.placeholder(tf.float32, [None, 16, 16, 3])
  _, kernel, _ = _arrays(16, 16, 3)
  outputs = convolution.conv2d(inputs, tf.constant(kernel))
  assert outputs.shape.as_list() == [None, 16, 16, 4]
  gradient, = tf.gradients(outputs, inputs)
  with tf.Session() as session:
    assert session.run(gradient, {inputs: np.zeros([3, 16, 16, 3])}).shape == (
        3, 16, 16, 3)


def test_bfloat16():
  inputs, kernel, weights = _arrays(16, 16, 3)
  expected = _gradients(inputs, kernel, weights, convolution.conv2d)
  inputs, kernel = [tf.cast(x, tf.bfloat16) for x in (inputs, kernel)]
  outputs = convolution.conv2d(inputs, kernel)
  gradients = tf.gradients(
      tf.reduce_sum(tf.cast(outputs, tf.float32) * weights), [inputs, kernel])
  assert {g.dtype for g in gradients} == {tf.bfloat16}
  with tf.Session() as session:
    got, want = session.run([
        [tf.cast(g, tf.float32) for g in gradients], expected])
  for left, right in zip(got, want):
    np.testing.assert_allclose(left, right, atol=.1 * np.abs(right).max())
