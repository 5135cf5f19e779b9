"""Convolutions, drop connect and DropBlock, by hand and by counting."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from tests.architecture import graphs


@pytest.mark.parametrize('kernel_size,before,after', [
    (1, 0, 0), (2, 0, 1), (3, 1, 1), (4, 1, 2), (7, 3, 3)])
def test_padding_is_that_of_the_kernel(kernel_size, before, after):
  padded = graphs.run(layers.pad_spatially(tf.ones([1, 2, 2, 1]), kernel_size))
  expected = np.pad(np.ones([2, 2]), (before, after), 'constant')
  np.testing.assert_array_equal(padded[0, :, :, 0], expected)


def test_strided_convolution_pads_before_and_after():
  """Sums of 3x3 windows around pixels (0, 0), (0, 2), (2, 0), (2, 2)."""
  inputs = tf.constant(graphs.ramp(1, 4, 4, 1))
  outputs = layers.conv2d_fixed_padding(inputs, 1, 3, strides=2)
  outputs = graphs.run(outputs, {'conv2d/kernel': 1.})
  # 'SAME' would start its windows at pixel 0: 45, 39, 66, 50.
  np.testing.assert_array_equal(
      outputs[0, :, :, 0],
      [[0 + 1 + 4 + 5, 1 + 2 + 3 + 5 + 6 + 7],
       [4 + 5 + 8 + 9 + 12 + 13, 5 + 6 + 7 + 9 + 10 + 11 + 13 + 14 + 15]])


def test_strides_of_odd_sizes_round_up():
  outputs = layers.conv2d_fixed_padding(tf.zeros([1, 5, 6, 2]), 3, 3, strides=2)
  assert outputs.shape.as_list() == [1, 3, 3, 3]


def test_fixed_padding_convolution_has_no_bias_and_counts_its_names():
  x = tf.zeros([1, 4, 4, 2])
  with tf.variable_scope('net'):
    x = layers.conv2d_fixed_padding(x, 3, 3)
    x = layers.conv2d_fixed_padding(x, 4, 1, strides=2)
    layers.conv2d_fixed_padding(x, 5, 7, name='last')
  assert graphs.variables() == [('net/conv2d/kernel', [3, 3, 2, 3]),
                                ('net/conv2d_1/kernel', [1, 1, 3, 4]),
                                ('net/last/kernel', [7, 7, 4, 5])]


def test_fixed_padding_kernels_start_with_the_variance_of_their_inputs():
  tf.set_random_seed(0)
  layers.conv2d_fixed_padding(tf.zeros([1, 4, 4, 64]), 64, 3)
  kernel = graphs.run(tf.global_variables()[0])
  std = np.sqrt(1. / (3 * 3 * 64))
  assert kernel.std() == pytest.approx(std, rel=.03)
  # Truncated at two of the standard deviations before the truncation.
  assert np.abs(kernel).max() <= 2 * std / .8796 + 1e-6


def test_convolution_adds_its_bias():
  inputs = tf.constant(graphs.ramp(1, 2, 2, 1))
  outputs = layers.conv2d(inputs, 2, 1, bias_initializer=(
      tf.constant_initializer(10.)), name='predict')
  outputs = graphs.run(outputs, {'predict/kernel': [[[[1., -1.]]]]})
  np.testing.assert_array_equal(outputs[0, :, :, 0], [[10, 11], [12, 13]])
  np.testing.assert_array_equal(outputs[0, :, :, 1], [[10, 9], [8, 7]])
  assert graphs.names() == ['predict/kernel', 'predict/bias']


def test_convolution_with_stride_pads_as_same():
  """On an even size 'SAME' pads at the end only."""
  inputs = tf.constant(graphs.ramp(1, 4, 4, 1))
  outputs = graphs.run(layers.conv2d(inputs, 1, 3, strides=2),
                       {'conv2d/kernel': 1.})
  np.testing.assert_array_equal(outputs[0, :, :, 0], [[45, 39], [66, 50]])


def test_separable_convolution_is_depthwise_then_pointwise():
  inputs = tf.constant(graphs.ramp(1, 2, 2, 2))
  outputs = layers.conv2d(inputs, 3, 3, use_separable_conv=True)
  assert graphs.variables() == [
      ('separable_conv2d/depthwise_kernel', [3, 3, 2, 1]),
      ('separable_conv2d/pointwise_kernel', [1, 1, 2, 3]),
      ('separable_conv2d/bias', [3])]
  depthwise = np.zeros([3, 3, 2, 1])
  depthwise[1, 1] = [[1.], [10.]]
  pointwise = [[[[1., 0., 1.], [0., 1., 1.]]]]
  outputs = graphs.run(outputs, {
      'separable_conv2d/depthwise_kernel': depthwise,
      'separable_conv2d/pointwise_kernel': pointwise,
      'separable_conv2d/bias': [0., 0., .5]})
  np.testing.assert_allclose(outputs[0, 0, 1], [2., 30., 32.5])
  np.testing.assert_allclose(outputs[0, 1, 1], [6., 70., 76.5])


def test_initializers_of_a_separable_convolution():
  """The dense kernel's initializer is for neither of the two kernels."""
  seven = tf.constant_initializer(7.)
  layers.conv2d(tf.zeros([1, 2, 2, 4]), 4, 3, use_separable_conv=True,
                kernel_initializer=seven)
  layers.conv2d(tf.zeros([1, 2, 2, 4]), 4, 3, use_separable_conv=True,
                pointwise_initializer=seven)
  values = graphs.run({v.op.name: v for v in tf.global_variables()})
  glorot = np.sqrt(6. / (4 + 4))
  assert np.abs(values['separable_conv2d/pointwise_kernel']).max() <= glorot
  assert np.all(values['separable_conv2d_1/pointwise_kernel'] == 7.)
  assert np.abs(values['separable_conv2d_1/depthwise_kernel']).max() < 1.


@pytest.mark.parametrize('is_training,rate', [
    (False, .5), (True, None), (True, 0.)])
def test_drop_connect_that_is_off_is_the_input(is_training, rate):
  inputs = tf.ones([2, 3])
  assert layers.drop_connect(inputs, is_training, rate) is inputs


def test_drop_connect_drops_samples_and_keeps_the_mean():
  tf.set_random_seed(1)
  inputs = tf.ones([4000, 2, 1, 3])
  outputs = graphs.run(layers.drop_connect(inputs, True, .2))
  of_sample = outputs[:, 0, 0, 0]
  # A sample is dropped or kept as a whole.
  np.testing.assert_array_equal(outputs, np.broadcast_to(
      of_sample[:, None, None, None], outputs.shape))
  np.testing.assert_allclose(np.unique(of_sample), [0., 1. / .8])
  # Three standard deviations of 4000 draws are 0.019.
  assert np.mean(of_sample == 0) == pytest.approx(.2, abs=.02)
  assert outputs.mean() == pytest.approx(1., abs=.025)


def test_drop_connect_of_bfloat16():
  outputs = layers.drop_connect(tf.ones([8, 2], tf.bfloat16), True, .5)
  assert outputs.dtype == tf.bfloat16
  assert set(graphs.run(tf.cast(outputs, tf.float32)).ravel()) <= {0., 2.}


@pytest.mark.parametrize('rate', [1., -.1, 1.5])
def test_drop_connect_rate_out_of_range(rate):
  with pytest.raises(ValueError, match=r'in \[0, 1\)'):
    layers.drop_connect(tf.ones([2, 2]), True, rate)


@pytest.mark.parametrize('dropblock,is_training', [
    (layers.DropBlock(.5, 3), False), (layers.DropBlock(), True),
    (layers.DropBlock(1., 3), True)])
def test_dropblock_that_is_off_is_the_input(dropblock, is_training):
  inputs = tf.ones([2, 4, 4, 3])
  assert dropblock(inputs, is_training) is inputs


def test_dropblock_drops_whole_regions_of_its_size():
  tf.set_random_seed(2)
  # So rare that no two regions touch.
  kept = graphs.run(layers.DropBlock(.995, 3)(tf.ones([4, 40, 30, 8]), True))
  dropped = kept == 0.
  counts = dropped.sum(axis=(1, 2))
  assert set(counts.ravel()) & {9, 18, 27}
  alone = np.argwhere(counts == 9)
  assert len(alone) >= 3
  for sample, channel in alone:
    rows, cols = np.nonzero(dropped[sample, :, :, channel])
    assert np.ptp(rows) == np.ptp(cols) == 2
  # Every channel on its own.
  assert not np.array_equal(dropped[..., 0], dropped[..., 1])


@pytest.mark.parametrize('keep_prob,size', [(.9, 1), (.9, 3), (.8, 4)])
def test_dropblock_drops_its_share_and_keeps_the_mean(keep_prob, size):
  tf.set_random_seed(3)
  outputs = graphs.run(
      layers.DropBlock(keep_prob, size)(tf.ones([8, 32, 32, 32]), True))
  share = np.mean(outputs == 0.)
  # Regions overlap now and then, so a little less is dropped than asked for.
  assert .8 * (1. - keep_prob) < share < 1.03 * (1. - keep_prob)
  assert outputs.mean() == pytest.approx(1., rel=1e-4)


def test_dropblock_regions_lie_within_the_map():
  """With an even size too, all of a 2x2 region of a 2x2 map goes."""
  tf.set_random_seed(4)
  outputs = graphs.run(
      layers.DropBlock(.5, 2)(tf.ones([64, 2, 2, 4]), True))
  counts = (outputs == 0.).sum(axis=(1, 2))
  assert set(counts.ravel()) == {0, 4}
  assert np.mean(counts == 4) == pytest.approx(.5, abs=.1)


@pytest.mark.parametrize('height,width', [(6, 6), (1, 1), (3, 20), (20, 3)])
def test_dropblock_on_maps_smaller_than_its_regions(height, width):
  """The reference divides by zero at a side of size - 1 (Q24)."""
  tf.set_random_seed(5)
  outputs = graphs.run(
      layers.DropBlock(.7, 7)(tf.ones([200, height, width, 4]), True))
  assert np.isfinite(outputs).all()
  # Regions are cut to the shorter side.
  assert 0.15 < np.mean(outputs == 0.) < .35


def test_dropblock_that_drops_everything_gives_zeros():
  outputs = graphs.run(layers.DropBlock(1e-9, 1)(tf.ones([1, 2, 2, 1]), True))
  np.testing.assert_array_equal(outputs, np.zeros([1, 2, 2, 1]))


@pytest.mark.parametrize('keep_prob,size,message', [
    (0., 3, r'keep_prob must be in \(0, 1\]'),
    (1.2, 3, r'keep_prob must be in \(0, 1\]'),
    (.9, None, 'dropblock_size must be at least 1'),
    (.9, 0, 'dropblock_size must be at least 1')])
def test_dropblock_settings_out_of_range(keep_prob, size, message):
  with pytest.raises(ValueError, match=message):
    layers.DropBlock(keep_prob, size)
