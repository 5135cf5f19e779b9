"""SpineNet (arXiv:1912.05027) for mobile devices, from inverted bottlenecks."""

import functools
from typing import NamedTuple, Optional

import tensorflow.compat.v1 as tf

from architecture import inverted_bottlenecks
from architecture import layers
from architecture import recompute
from architecture.backbones import scale_permuted
from architecture.backbones import spinenet
from configs import base
from ops import tensor_types

_MBCONV = 'mbconv'
_EXPAND_RATIO = 6


class _Scaling(NamedTuple):
  """Size of a network.

  Attributes:
    endpoint_filters: channels of the result.
    filter_scale: factor on _FILTERS.
  """
  endpoint_filters: int
  filter_scale: float


_SCALINGS = {
    '49XS': _Scaling(24, 0.6),
    '49S': _Scaling(40, 0.65),
    '49': _Scaling(48, 1.0),
}
MODEL_IDS = tuple(sorted(_SCALINGS))

# By level; level 0 is the stem's convolution.
_FILTERS = {0: 8, 1: 16, 2: 24, 3: 40, 4: 80, 5: 112, 6: 112, 7: 112}


class SpineNetMBConv(scale_permuted.ScalePermutedNetwork):
  """Sixteen inverted bottlenecks."""

  SCOPE = 'spinenet_mbconv'
  BLOCKS = tuple(scale_permuted.Block(level, _MBCONV, parents, is_output)
                 for level, parents, is_output in (
                     (2, (0, 1), False),
                     (2, (1, 2), False),
                     (4, (1, 2), False),
                     (3, (3, 4), False),
                     (4, (3, 5), False),
                     (6, (4, 6), False),
                     (4, (4, 6), False),
                     (5, (7, 8), False),
                     (7, (7, 9), False),
                     (5, (9, 10), False),
                     (5, (9, 11), False),
                     (4, (6, 11), True),
                     (3, (5, 11), True),
                     (5, (8, 13), True),
                     (7, (6, 15), True),
                     (6, (13, 15), True)))

  def __init__(self, model_id: str, min_level: int, max_level: int,
               norm_activation: tensor_types.Layer, se_ratio: float = 0.2,
               init_drop_connect_rate: Optional[float] = None,
               use_native_resize_op: bool = False,
               recompute_blocks: bool = False) -> None:
    """Takes the settings.

    Args:
      model_id: one of MODEL_IDS.
      min_level: int, finest level to return.
      max_level: int, coarsest level.
      norm_activation: normalization.BatchNormActivation.
      se_ratio: see inverted_bottlenecks.MobileBlockBuilder.
      init_drop_connect_rate: see scale_permuted.ScalePermutedNetwork.
      use_native_resize_op: whether to enlarge with tf.image instead of
        repeating pixels.
      recompute_blocks: whether training keeps the inputs of blocks only.

    Raises:
      ValueError: for an unknown model, or levels, a ratio or a rate out of
        range.
    """
    if model_id not in _SCALINGS:
      raise ValueError('spinenet_mbconv.model_id must be one of %s, not %r.'
                       % (', '.join(MODEL_IDS), model_id))
    self._scaling = _SCALINGS[model_id]
    super().__init__(min_level, max_level, self._scaling.endpoint_filters,
                     norm_activation, init_drop_connect_rate)
    self._use_native_resize_op = use_native_resize_op
    self._recompute_blocks = recompute_blocks
    self._mbconv = inverted_bottlenecks.MobileBlockBuilder(
        norm_activation, se_ratio)

  def _stem(self, images, is_training):
    """[B, H, W, 3] -> Features [B, H / 2, W / 2, C], [B, H / 4, W / 4, C]."""
    x = layers.conv2d_fixed_padding(images, self._filters(0), 3, 2)
    x = tf.identity(x, 'initial_conv')
    x = self._norm_activation(x, is_training)
    features = []
    for level, strides in ((1, 1), (2, 2)):
      x = self._mbconv(x, self._filters(level), strides, is_training,
                       _EXPAND_RATIO)
      x = tf.identity(x, 'stem_block_%d' % (level - 1))
      features.append(scale_permuted.Feature(x, level, _MBCONV))
    return features

  def _block(self, inputs, block, is_training, drop_connect_rate):
    build = functools.partial(
        self._mbconv, filters=self._filters(block.level), strides=1,
        is_training=is_training, expand_ratio=_EXPAND_RATIO,
        drop_connect_rate=drop_connect_rate)
    return recompute.run_if(self._recompute_blocks and is_training, build,
                            inputs)

  def _filters(self, level):
    return int(_FILTERS[level] * self._scaling.filter_scale)

  def _resample(self, feature, block, size, is_training, name):
    with tf.variable_scope('resample_with_sepconv_resample_' + name):
      x = feature.values
      for _ in range(block.level - feature.level):
        x = inverted_bottlenecks.depthwise_conv2d(x, 3, 2)
        x = self._norm_activation(x, is_training)
      if feature.level > block.level:
        x = spinenet.enlarge(x, size, self._use_native_resize_op)
      x = layers.conv2d_fixed_padding(x, self._filters(block.level), 1)
      return self._norm_activation(x, is_training, relu=False)


def build(config: base.Config,
          norm_activation: tensor_types.Layer) -> SpineNetMBConv:
  """The SpineNet of sections `spinenet_mbconv` and `architecture`."""
  return SpineNetMBConv.of_configuration(
      config, norm_activation, se_ratio=config.spinenet_mbconv.se_ratio)
