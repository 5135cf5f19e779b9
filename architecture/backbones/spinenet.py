"""SpineNet, arXiv:1912.05027, from residual blocks."""

import functools
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from architecture import blocks
from architecture import layers
from architecture import recompute
from architecture import stems
from architecture.backbones import scale_permuted
from configs import base
from ops import resample
from ops import tensor_types

_RESIDUAL, _BOTTLENECK = 'residual', 'bottleneck'
_EXPANSION = {_RESIDUAL: 1, _BOTTLENECK: 4}  # channels over filters


class _Scaling(NamedTuple):
  """Size of a network.

  Attributes:
    endpoint_filters: channels of the result.
    filter_scale: factor on _FILTERS.
    resample_alpha: factor on the channels of resampling.
    block_repeats: how many blocks stand for each of the table.
  """
  endpoint_filters: int
  filter_scale: float
  resample_alpha: float
  block_repeats: int


_SCALINGS = {
    '49S': _Scaling(128, 0.65, 0.5, 1),
    '49': _Scaling(256, 1.0, 0.5, 1),
    '96': _Scaling(256, 1.0, 0.5, 2),
    '143': _Scaling(256, 1.0, 1.0, 3),
    '143l': _Scaling(256, 1.3, 1.0, 3),
    '190': _Scaling(512, 1.3, 1.0, 4),
}
MODEL_IDS = tuple(sorted(_SCALINGS))

_FILTERS = {2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}  # by level
_STEM_FILTERS = 64
_STEM_LEVEL = 2


class SpineNet(scale_permuted.ScalePermutedNetwork):
  """Fifteen groups of residual or bottleneck blocks."""

  SCOPE = 'spinenet'
  BLOCKS = tuple(scale_permuted.Block(*row) for row in (
      (2, _BOTTLENECK, (0, 1), False),
      (4, _RESIDUAL, (0, 1), False),
      (3, _BOTTLENECK, (2, 3), False),
      (4, _BOTTLENECK, (2, 4), False),
      (6, _RESIDUAL, (3, 5), False),
      (4, _BOTTLENECK, (3, 5), False),
      (5, _RESIDUAL, (6, 7), False),
      (7, _RESIDUAL, (6, 8), False),
      (5, _BOTTLENECK, (8, 9), False),
      (5, _BOTTLENECK, (8, 10), False),
      (4, _BOTTLENECK, (5, 10), True),
      (3, _BOTTLENECK, (4, 10), True),
      (5, _BOTTLENECK, (7, 12), True),
      (7, _BOTTLENECK, (5, 14), True),
      (6, _BOTTLENECK, (12, 14), True)))

  def __init__(self, model_id: str, min_level: int, max_level: int,
               norm_activation: tensor_types.Layer,
               endpoint_filters: Optional[int] = None,
               init_drop_connect_rate: Optional[float] = None,
               use_native_resize_op: bool = False,
               recompute_blocks: bool = False) -> None:
    """Takes the settings.

    Args:
      model_id: one of MODEL_IDS.
      min_level: int, finest level to return.
      max_level: int, coarsest level.
      norm_activation: normalization.BatchNormActivation.
      endpoint_filters: int, channels of the result; by default the model's.
      init_drop_connect_rate: see scale_permuted.ScalePermutedNetwork.
      use_native_resize_op: whether to enlarge with tf.image instead of
        repeating pixels.
      recompute_blocks: whether training keeps the inputs of blocks only.

    Raises:
      ValueError: for an unknown model, or levels or a rate out of range.
    """
    if model_id not in _SCALINGS:
      raise ValueError('spinenet.model_id must be one of %s, not %r.'
                       % (', '.join(MODEL_IDS), model_id))
    self._scaling = _SCALINGS[model_id]
    super().__init__(
        min_level, max_level,
        endpoint_filters or self._scaling.endpoint_filters, norm_activation,
        init_drop_connect_rate)
    self._use_native_resize_op = use_native_resize_op
    self._recompute_blocks = recompute_blocks
    self._blocks = blocks.BlockBuilder(norm_activation)

  def _stem(self, images, is_training):
    """[B, H, W, 3] -> two Features of level 2, [B, H / 4, W / 4, C]."""
    x = tf.identity(stems.conv7x7(images, _STEM_FILTERS), 'initial_conv')
    x = self._norm_activation(x, is_training)
    x = tf.nn.max_pool2d(x, ksize=3, strides=2, padding='SAME')
    x = tf.identity(x, 'initial_max_pool')
    features = []
    for group in range(2):
      x = self._group(x, _BOTTLENECK, _STEM_LEVEL, is_training,
                      use_projection=group == 0)
      x = tf.identity(x, 'stem_block_%d' % (group + 1))
      features.append(scale_permuted.Feature(x, _STEM_LEVEL, _BOTTLENECK))
    return features

  def _block(self, inputs, block, is_training, drop_connect_rate):
    return self._group(inputs, block.kind, block.level, is_training,
                       drop_connect_rate=drop_connect_rate)

  def _group(self, x, kind, level, is_training, use_projection=False,
             drop_connect_rate=None):
    """The blocks that stand for one of the table."""
    build = getattr(self._blocks, kind)
    for repeat in range(self._scaling.block_repeats):
      x = recompute.run_if(
          self._recompute_blocks and is_training,
          functools.partial(
              build, filters=self._filters(level), strides=1,
              is_training=is_training,
              use_projection=use_projection and repeat == 0,
              drop_connect_rate=drop_connect_rate), x)
    return x

  def _filters(self, level):
    return int(_FILTERS[level] * self._scaling.filter_scale)

  def _resample(self, feature, block, size, is_training, name):
    with tf.variable_scope('resample_with_alpha_resample_' + name):
      x = feature.values
      channels = x.shape.as_list()[-1] // _EXPANSION[feature.kind]
      filters = int(channels * self._scaling.resample_alpha)
      x = layers.conv2d_fixed_padding(x, filters, 1)
      x = self._norm_activation(x, is_training)
      if x.shape.as_list()[2] > size[1]:
        x = self._shrink(x, filters, size, is_training)
      elif x.shape.as_list()[2] < size[1]:
        x = enlarge(x, size, self._use_native_resize_op)
      # Sides that are not multiples of the coarsest stride end a little off.
      if x.shape.as_list()[1:3] != list(size):
        x = resample.native_resize(x, size)
      filters = self._filters(block.level) * _EXPANSION[block.kind]
      x = layers.conv2d_fixed_padding(x, filters, 1)
      return self._norm_activation(x, is_training, relu=False)

  def _shrink(self, x, filters, size, is_training):
    """A strided convolution; then pooling, where that is not enough."""
    width = x.shape.as_list()[2]
    x = layers.conv2d_fixed_padding(x, filters, 3, 2)
    x = self._norm_activation(x, is_training)
    if width // size[1] > 2:
      strides = 2 if width % size[1] else width // size[1] // 2
      x = tf.nn.max_pool2d(x, ksize=3 if width <= 4 * size[1] else 5,
                           strides=strides, padding='SAME')
    return x


def enlarge(x: tf.Tensor, size: Tuple[int, int],
            use_native_resize_op: bool = False) -> tf.Tensor:
  """Repeats pixels, evenly where the new size is a multiple.

  Args:
    x: [B, h, w, C], h and w static.
    size: (height, width) of the result.
    use_native_resize_op: whether to use tf.image in any case.

  Returns:
    [B, height, width, C].
  """
  height, width = x.shape.as_list()[1:3]
  scale = size[1] // width
  if use_native_resize_op or (height * scale, width * scale) != tuple(size):
    return resample.native_resize(x, size)
  return resample.nearest_upsample(x, scale)


def build(config: base.Config, norm_activation: tensor_types.Layer) -> SpineNet:
  """The SpineNet of sections `spinenet` and `architecture`."""
  return SpineNet.of_configuration(
      config, norm_activation,
      endpoint_filters=config.spinenet.endpoints_num_filters)
