"""ResNet: depths, sizes, the two stems and the rates of stochastic depth."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from architecture import stems
from architecture.backbones import resnet
from configs import backbones
from configs import base
from ops import preprocess
from tests import runtimes
from tests.architecture import graphs

# depth: (number of convolutions, channels of level 2, trainable parameters).
DEPTHS = {
    10: (13, 64, 4910016), 14: (17, 256, 8015936), 18: (21, 64, 11180736),
    26: (29, 256, 13946176), 34: (37, 64, 21288896), 50: (53, 256, 23508032),
    101: (104, 256, 42500160), 152: (155, 256, 58143808),
    200: (203, 256, 62624832)}


def _resnet(depth=10, **arguments):
  return resnet.ResNet(depth, normalization.BatchNormActivation(), **arguments)


@pytest.mark.parametrize('depth', runtimes.alternate(
    resnet.DEPTHS, both=(10, 14)))
def test_every_depth(depth):
  num_convolutions, channels, num_parameters = DEPTHS[depth]
  features = _resnet(depth)(tf.zeros([1, 32, 32, 3]), False)
  assert {level: f.shape.as_list() for level, f in features.items()} == {
      level: [1, 32 >> level, 32 >> level, channels << (level - 2)]
      for level in (2, 3, 4, 5)}
  names = [n for n in graphs.names() if n.endswith('/kernel')]
  assert names == ['resnet%d/conv2d%s/kernel' % (depth, '_%d' % i if i else '')
                   for i in range(num_convolutions)]
  assert num_parameters == sum(
      v.shape.num_elements() for v in tf.trainable_variables())


def test_the_configuration_offers_these_depths():
  for depth in resnet.DEPTHS:
    base.override(backbones.ResNet(), {'resnet_depth': depth})
  with pytest.raises(base.ConfigError) as e:
    base.override(backbones.ResNet(), {'resnet_depth': 51})
  assert ', '.join(map(str, resnet.DEPTHS)) in str(e.value)


def test_sizes_are_rounded_up():
  features = _resnet()(tf.zeros([2, 65, 40, 3]), False)
  assert {level: f.shape.as_list()[:3] for level, f in features.items()} == {
      2: [2, 17, 10], 3: [2, 9, 5], 4: [2, 5, 3], 5: [2, 3, 2]}


def test_the_stem_pools_as_same():
  """On an even side windows of 3 begin at pixel 0, and the last is cut.

  The kernel copies every second pixel, and each window keeps its largest.
  """
  images = np.zeros([1, 8, 8, 3], np.float32)
  images[0, :, :, 0] = graphs.ramp(8, 8)
  kernel = np.zeros([7, 7, 3, 64], np.float32)
  kernel[3, 3, 0] = 1.
  _resnet()(tf.constant(images), False)
  graph = tf.get_default_graph()
  conv, pooled = [graph.get_tensor_by_name('resnet10/%s:0' % name)
                  for name in ('initial_conv', 'initial_max_pool')]
  conv, pooled = graphs.run([conv, pooled], {'resnet10/conv2d/kernel': kernel})
  np.testing.assert_array_equal(
      conv[0, :, :, 5], [[0, 2, 4, 6], [16, 18, 20, 22], [32, 34, 36, 38],
                         [48, 50, 52, 54]])
  np.testing.assert_allclose(pooled[0, :, :, 5], [[36, 38], [52, 54]],
                             rtol=1e-3)


@pytest.mark.parametrize('size', [(8, 8), (10, 6)])
def test_the_stem_of_folded_pixels_equals_the_plain_one(size):
  images = np.random.RandomState(0).randn(2, *(size + (3,))).astype(np.float32)
  folded = preprocess.transpose_images(tf.constant(images), 2, False)
  assert folded.shape.as_list() == [2, size[0] // 2, size[1] // 2, 12]
  with tf.variable_scope('plain'):
    plain = layers.conv2d_fixed_padding(tf.constant(images), 5, 7, 2)
  with tf.variable_scope('folded'):
    outputs = stems.conv7x7_of_folded(folded, 5)
  assert graphs.variables() == [('plain/conv2d/kernel', [7, 7, 3, 5]),
                                ('folded/conv2d/kernel', [7, 7, 3, 5])]
  kernel = np.random.RandomState(1).randn(7, 7, 3, 5)
  plain, outputs = graphs.run([plain, outputs], {
      'plain/conv2d/kernel': kernel, 'folded/conv2d/kernel': kernel})
  np.testing.assert_allclose(outputs, plain, atol=1e-4)


def test_folded_pixels_are_expected_in_training_only():
  network = _resnet(space_to_depth_block_size=2)
  features = network(tf.zeros([1, 16, 16, 12]), True)
  assert features[2].shape.as_list() == [1, 8, 8, 64]
  trained = graphs.variables()
  tf.reset_default_graph()
  features = network(tf.zeros([1, 32, 32, 3]), False)
  assert features[2].shape.as_list() == [1, 8, 8, 64]
  assert graphs.variables() == trained


def test_images_that_are_not_folded():
  with pytest.raises(ValueError, match='needs images with 12 channels'):
    _resnet(space_to_depth_block_size=2)(tf.zeros([1, 32, 32, 3]), True)


def test_stochastic_depth_rises_from_group_to_group(monkeypatch):
  rates = []

  def drop_connect(inputs, is_training, rate):
    assert is_training
    rates.append(rate)
    return inputs

  monkeypatch.setattr(layers, 'drop_connect', drop_connect)
  _resnet(18, init_drop_connect_rate=.5)(tf.zeros([1, 32, 32, 3]), True)
  np.testing.assert_allclose(rates, [.2, .2, .3, .3, .4, .4, .5, .5])
  del rates[:]
  tf.reset_default_graph()
  _resnet(10)(tf.zeros([1, 32, 32, 3]), True)
  assert rates == [None] * 4


def test_dropblock_is_in_every_block():
  class Recorder:
    count = 0

    def __call__(self, inputs, is_training):
      self.count += 1
      return inputs

  recorder = Recorder()
  _resnet(10, dropblock=recorder)(tf.zeros([1, 32, 32, 3]), True)
  assert recorder.count == 4 * 3  # Two convolutions and a projection each.


@pytest.mark.parametrize('arguments,message', [
    ({'depth': 51}, 'one of 10, 14, 18, 26, 34, 50, 101, 152, 200, not 51'),
    ({'init_drop_connect_rate': 1.}, r'init_drop_connect_rate.* \[0, 1\)'),
    ({'init_drop_connect_rate': -.1}, r'init_drop_connect_rate.* \[0, 1\)'),
    ({'space_to_depth_block_size': 4}, 'must be 1 or 2, not 4')])
def test_settings_that_do_not_exist(arguments, message):
  with pytest.raises(ValueError, match=message):
    _resnet(**arguments)
