"""Inverted bottlenecks and their parts, by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import inverted_bottlenecks
from architecture import layers
from architecture import normalization
from tests.architecture import graphs


def _block(**arguments):
  return inverted_bottlenecks.MobileBlockBuilder(
      normalization.BatchNormActivation(), **arguments)


def _names_and_shapes():
  return [(n, s) for n, s in graphs.variables()
          if n.split('/')[-1] in ('kernel', 'depthwise_kernel', 'bias')]


def test_depthwise_convolution_keeps_channels_apart():
  x = np.stack([graphs.ramp(4, 4), -graphs.ramp(4, 4)], axis=-1)[np.newaxis]
  outputs = [
      inverted_bottlenecks.depthwise_conv2d(tf.constant(x), 3, 2, padding)
      for padding in (layers.FIXED, 'SAME')]
  kernel = np.tile(graphs.centered(), [1, 1, 2, 1])
  fixed, same = graphs.run(outputs, {
      'depthwise_conv2d/depthwise_kernel': kernel,
      'depthwise_conv2d_1/depthwise_kernel': kernel})
  # Fixed padding starts at pixel -1, 'SAME' of an even side at pixel 0.
  np.testing.assert_array_equal(fixed[0, :, :, 0], [[0, 2], [8, 10]])
  np.testing.assert_array_equal(fixed[0, :, :, 1], [[0, -2], [-8, -10]])
  np.testing.assert_array_equal(same[0, :, :, 0], [[5, 7], [13, 15]])


def test_squeeze_and_excitation_scales_channels():
  x = tf.constant([[[[1., 5.]], [[3., 5.]]]])
  outputs = graphs.run(inverted_bottlenecks.squeeze_excite(x, 1), {
      'conv2d/kernel': np.reshape([1., 0.], [1, 1, 2, 1]),
      'conv2d_1/kernel': np.reshape([1., 0.], [1, 1, 1, 2]),
      'conv2d_1/bias': [0., 1.]})
  def sigmoid(value):
    return 1. / (1. + np.exp(-value))
  # The mean of the first channel is 2, and swish(2) = 2 sigmoid(2).
  gates = [sigmoid(2. * sigmoid(2.)), sigmoid(1.)]
  np.testing.assert_allclose(outputs[0, :, 0], [[1. * gates[0], 5. * gates[1]],
                                                [3. * gates[0], 5. * gates[1]]],
                             rtol=1e-5)


def test_variables_in_their_order():
  x = _block(se_ratio=.5)(tf.zeros([1, 5, 5, 4]), 6, 2, False, expand_ratio=3)
  assert x.shape.as_list() == [1, 3, 3, 6]
  assert _names_and_shapes() == [
      ('conv2d/kernel', [1, 1, 4, 12]),
      ('depthwise_conv2d/depthwise_kernel', [3, 3, 12, 1]),
      ('conv2d_1/kernel', [1, 1, 12, 2]), ('conv2d_1/bias', [2]),
      ('conv2d_2/kernel', [1, 1, 2, 12]), ('conv2d_2/bias', [12]),
      ('conv2d_3/kernel', [1, 1, 12, 6])]
  assert len([n for n in graphs.names() if n.endswith('gamma')]) == 3


def test_without_expansion_and_with_a_scope_of_its_own():
  _block(se_ratio=.01, se_scope='se')(
      tf.zeros([1, 4, 4, 4]), 6, 1, False, expand_ratio=1, kernel_size=5)
  assert _names_and_shapes() == [
      ('depthwise_conv2d/depthwise_kernel', [5, 5, 4, 1]),
      ('se/conv2d/kernel', [1, 1, 4, 1]), ('se/conv2d/bias', [1]),
      ('se/conv2d_1/kernel', [1, 1, 1, 4]), ('se/conv2d_1/bias', [4]),
      ('conv2d/kernel', [1, 1, 4, 6])]


@pytest.mark.parametrize('strides,filters,has_shortcut', [
    (1, 2, True), (2, 2, False), (1, 3, False)])
def test_shortcut_only_where_the_shape_stays(strides, filters, has_shortcut):
  x = tf.fill([1, 2, 2, 2], -7.)
  block = _block()(x, filters, strides, False, expand_ratio=2)
  # What the block adds is zero, and no activation follows.
  got = graphs.run(block, {'conv2d_1/kernel': 0.})
  np.testing.assert_array_equal(got, -7. if has_shortcut else 0.)


def test_ratio_out_of_range():
  with pytest.raises(ValueError, match=r'se_ratio must be in \[0, 1\]'):
    _block(se_ratio=2.)
