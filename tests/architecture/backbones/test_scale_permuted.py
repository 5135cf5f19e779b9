"""The graph of a table, run with blocks that only add."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.backbones import scale_permuted
from architecture.backbones import spinenet
from architecture.backbones import spinenet_mbconv
from tests.architecture import graphs


def _block(level, parents, is_output=False):
  return scale_permuted.Block(level, 'plain', parents, is_output)


class _Network(scale_permuted.ScalePermutedNetwork):
  """Features are powers of ten; blocks return the sum that they are given."""
  SCOPE = 'toy'
  BLOCKS = (_block(3, (0, 1)), _block(3, (0, 1)),
            _block(3, (1, 2), True), _block(4, (0, 4), True))

  def __init__(self, *args, **kwargs):
    super().__init__(*args, **kwargs)
    self.rates = []

  def _stem(self, images, is_training):
    return [scale_permuted.Feature(tf.fill([1, 2, 4, 1], value), 3, 'plain')
            for value in (1., 10.)]

  def _resample(self, feature, block, size, is_training, name):
    del name
    assert size == ((2, 4) if block.level == 3 else (1, 2))
    return feature.values[:, :size[0], :size[1]]

  def _block(self, inputs, block, is_training, drop_connect_rate):
    self.rates.append(drop_connect_rate)
    return inputs + 100. * (block.level == 3)


def _run(min_level=3, max_level=4, **settings):
  network = _Network(min_level, max_level, 1,
                     normalization.BatchNormActivation(), **settings)
  return network, network(tf.zeros([1, 16, 32, 3]), False)


def test_blocks_sum_their_parents_and_outputs_what_is_left_of_their_level():
  _, pyramid = _run()
  pyramid = graphs.run(pyramid, {'toy/conv2d/kernel': 1.,
                                 'toy/conv2d_1/kernel': 1.})
  # Features 2 and 3: 1 + 10 + 100. Feature 4: 10 + 111 + 100, and feature 3,
  # which nothing has used, but not feature 0 or 1.
  np.testing.assert_allclose(pyramid[3], np.full([1, 2, 4, 1], 332.), rtol=1e-3)
  # No further feature of level 4 is left.
  np.testing.assert_allclose(pyramid[4], np.full([1, 1, 2, 1], 333.), rtol=1e-3)


def test_levels_that_are_asked_for():
  assert sorted(_run(4, 4)[1]) == [4]
  assert [n for n in graphs.names() if n.endswith('kernel')] == [
      'toy/conv2d/kernel']


def test_stochastic_depth_rises_from_block_to_block():
  np.testing.assert_allclose(_run(init_drop_connect_rate=.8)[0].rates,
                             [.2, .4, .6, .8])
  tf.reset_default_graph()
  assert _run()[0].rates == [0.] * 4


@pytest.mark.parametrize('arguments,message', [
    ({'min_level': 2}, "'toy' has levels 3 to 7.*min_level is 2"),
    ({'max_level': 8}, 'max_level is 8'),
    ({'min_level': 5}, 'min_level is 5 and max_level is 4'),
    ({'init_drop_connect_rate': 1.}, r'toy.init_drop_connect_rate.*\[0, 1\)')])
def test_settings_that_do_not_exist(arguments, message):
  with pytest.raises(ValueError, match=message):
    _run(**arguments)


def test_sizes_are_rounded_up():
  images = tf.zeros([1, 224, 65, 3])
  assert scale_permuted.size_of_level(images, 6) == (4, 2)


@pytest.mark.parametrize('network,leftovers', [
    (spinenet.SpineNet, {12: [11]}), (spinenet_mbconv.SpineNetMBConv,
                                      {13: [12]})])
def test_published_tables(network, leftovers):
  """Five outputs; parents come first; who takes up what nothing used."""
  blocks = network.BLOCKS
  outputs = [block.level for block in blocks if block.is_output]
  assert sorted(outputs) == [3, 4, 5, 6, 7]
  levels = ([2, 2] if network is spinenet.SpineNet else [1, 2]) + [
      block.level for block in blocks]
  used, found = set(), {}
  for i, block in enumerate(blocks):
    assert len(block.parents) == 2 and max(block.parents) < i + 2
    used.update(block.parents)
    features = [scale_permuted.Feature(j, level, '')
                for j, level in enumerate(levels[:i + 2])]
    rest = scale_permuted.unused_features(features, used, block.level)
    if block.is_output and rest:
      found[i] = rest
  assert found == leftovers
