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
  # With TF 1.15's own kernels, no gradient kernel of a convolution.
  assert ('Conv2DBackpropInput' in types) == compat.HAS_ONEDNN
  assert ('Conv2DBackpropFilter' in types) == compat.HAS_ONEDNN
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


@pytest.mark.parametrize('padding', ['SAME', 'VALID'])
@pytest.mark.parametrize('strides', [2, 3])
@pytest.mark.parametrize('height', [4, 7])
def test_strided_convolution_of_single_pixels(height, strides, padding):
  inputs, kernel, _ = [tf.constant(x) for x in _arrays(height, 8, 1)]
  arguments = [1, strides, strides, 1], padding
  pairs = [
      [outputs] + tf.gradients(tf.square(outputs), [inputs, kernel])
      for outputs in (convolution.conv2d(inputs, kernel, strides, padding),
                      tf.nn.conv2d(inputs, kernel, *arguments))]
  with tf.Session() as session:
    for got, want in zip(*session.run(pairs)):
      np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def _maps(*sizes):
  rng = np.random.RandomState(1)
  return [tf.constant(rng.randn(2, height, width, 3).astype(np.float32))
          for height, width in sizes]


def _num_convolutions():
  return len([op for op in tf.get_default_graph().get_operations()
              if op.type == 'Conv2D'])


@pytest.mark.parametrize('size', [3, 5])
@pytest.mark.parametrize('sizes', [
    [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)],
    [(9, 20), (5, 10), (3, 5), (2, 3)],
    [(12, 7), (6, 4)],
    [(2, 2), (1, 1), (1, 1)]])
def test_small_maps_share_a_convolution(sizes, size):
  maps = _maps(*sizes)
  kernel = tf.constant(_arrays(1, 1, size)[1])
  outputs = convolution.conv2d_of_maps(maps, kernel)
  assert _num_convolutions() == 1
  expected = [convolution.conv2d(x, kernel) for x in maps]
  results = []
  for values in (outputs, expected):
    results.append(values + tf.gradients(
        [tf.square(v) for v in values], maps + [kernel]))
  with tf.Session() as session:
    for got, want in zip(*session.run(results)):
      assert got.shape == want.shape
      np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('size,sizes', [
    (3, [(32, 32), (25, 24)]),  # large
    (3, [(32, 32), (8, 8)]),  # one small map alone
    (1, [(8, 8), (4, 4)])])  # a small kernel
def test_other_maps_have_convolutions_of_their_own(size, sizes):
  kernel = tf.constant(_arrays(1, 1, size)[1])
  outputs = convolution.conv2d_of_maps(_maps(*sizes), kernel)
  assert _num_convolutions() == 2
  assert [tuple(x.shape.as_list()[1:3]) for x in outputs] == sizes


def test_maps_share_nothing_on_a_tpu():
  kernel = tf.constant(_arrays(1, 1, 3)[1])
  with tpu_function.tpu_shard_context(8):
    convolution.conv2d_of_maps(_maps((8, 8), (4, 4)), kernel)
  assert _num_convolutions() == 2


def test_maps_share_nothing_where_operations_are_counted():
  convolution.keep_plain()
  convolution.conv2d_of_maps(
      _maps((8, 8), (4, 4)), tf.constant(_arrays(1, 1, 3)[1]))
  assert _num_convolutions() == 2
