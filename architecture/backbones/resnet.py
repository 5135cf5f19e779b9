"""ResNet, arXiv:1512.03385, as a backbone."""

import functools
from typing import Optional

import tensorflow.compat.v1 as tf

from architecture import blocks
from architecture import layers
from architecture import recompute
from architecture import stems
from configs import base
from ops import tensor_types
from utils import registry

# depth: (kind of block, blocks of each of the four groups).
GROUPS = {
    10: ('residual', (1, 1, 1, 1)),
    14: ('bottleneck', (1, 1, 1, 1)),
    18: ('residual', (2, 2, 2, 2)),
    26: ('bottleneck', (2, 2, 2, 2)),
    34: ('residual', (3, 4, 6, 3)),
    50: ('bottleneck', (3, 4, 6, 3)),
    101: ('bottleneck', (3, 4, 23, 3)),
    152: ('bottleneck', (3, 8, 36, 3)),
    200: ('bottleneck', (3, 24, 36, 3)),
}
DEPTHS = tuple(sorted(GROUPS))
_STEM_FILTERS = 64
_BELOW_ALL = -1e30  # activations; finite, which -inf times 0 is not


def _pool_same(x):
  return tf.nn.max_pool2d(x, ksize=3, strides=2, padding='SAME')


def _pool_symmetric(x):
  """As PyTorch does: a pixel around the map, below every value in it."""
  x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]],
             constant_values=tf.cast(_BELOW_ALL, x.dtype))
  return tf.nn.max_pool2d(x, ksize=3, strides=2, padding='VALID')


_POOLS = {'same': _pool_same, 'symmetric': _pool_symmetric}


class ResNet:
  """The four block groups, as features of levels 2 to 5."""

  def __init__(self, depth: int, norm_activation: tensor_types.Layer,
               dropblock: Optional[layers.DropBlock] = None,
               init_drop_connect_rate: Optional[float] = None,
               space_to_depth_block_size: int = 1,
               recompute_blocks: bool = False, strided_conv: str = '3x3',
               pool_padding: str = 'same') -> None:
    """Takes the settings.

    Args:
      depth: int of DEPTHS.
      norm_activation: normalization.BatchNormActivation.
      dropblock: layers.DropBlock, by default none.
      init_drop_connect_rate: float in [0, 1), rate of stochastic depth in the
        last group; earlier groups have less. None: off.
      space_to_depth_block_size: 1, or 2 where the images of training come with
        2 x 2 pixels folded into their channels (faster on a TPU).
      recompute_blocks: whether training keeps the inputs of blocks only.
      strided_conv: see blocks.BlockBuilder.
      pool_padding: key of _POOLS, padding before the first pooling.

    Raises:
      ValueError: for a depth, rate, block size, convolution or padding that is
        not listed above.
    """
    if depth not in GROUPS:
      raise ValueError('resnet_depth must be one of %s, not %s.'
                       % (', '.join(map(str, DEPTHS)), depth))
    if not 0. <= (init_drop_connect_rate or 0.) < 1.:
      raise ValueError('resnet.init_drop_connect_rate must be in [0, 1), '
                       'not %s.' % init_drop_connect_rate)
    if space_to_depth_block_size not in (1, 2):
      raise ValueError('space_to_depth_block_size must be 1 or 2, not %s.'
                       % space_to_depth_block_size)
    self._depth = depth
    self._norm_activation = norm_activation
    self._init_drop_connect_rate = init_drop_connect_rate
    self._has_folded_input = space_to_depth_block_size == 2
    self._recompute_blocks = recompute_blocks
    self._pool = registry.pick(_POOLS, pool_padding, 'resnet.pool_padding')
    kind, self._repeats = GROUPS[depth]
    self._block = getattr(
        blocks.BlockBuilder(norm_activation, dropblock, strided_conv), kind)

  def __call__(self, images: tf.Tensor,
               is_training: bool) -> tensor_types.Levels:
    """Runs the network in variable scope `resnet<depth>`.

    Args:
      images: [B, H, W, 3], H and W static; with a space_to_depth_block_size of
        2 and in training [B, H/2, W/2, 12], channel (dy * 2 + dx) * 3 + colour.
      is_training: Python bool.

    Returns:
      {2..5: [B, H / 2**level, W / 2**level, C]}, sizes rounded up.
    """
    with tf.variable_scope('resnet%d' % self._depth):
      x = self._stem(images, is_training)
      features = {}
      for group, repeats in enumerate(self._repeats, 1):
        x = self._block_group(x, group, repeats, is_training)
        features[group + 1] = x
      return features

  def _stem(self, images, is_training):
    """[B, H, W, 3] -> [B, H / 4, W / 4, 64]."""
    if is_training and self._has_folded_input:
      x = stems.conv7x7_of_folded(images, _STEM_FILTERS)
    else:
      x = stems.conv7x7(images, _STEM_FILTERS)
    x = tf.identity(x, 'initial_conv')
    x = self._norm_activation(x, is_training)
    x = self._pool(x)
    return tf.identity(x, 'initial_max_pool')

  def _block_group(self, x, group, repeats, is_training):
    """Blocks of one resolution; group is 1 to 4."""
    rate = None
    if self._init_drop_connect_rate:
      rate = self._init_drop_connect_rate * (group + 1) / 5.
    for block in range(repeats):
      is_first = block == 0
      build = functools.partial(
          self._block, filters=64 * 2 ** (group - 1),
          strides=2 if is_first and group > 1 else 1, is_training=is_training,
          use_projection=is_first, drop_connect_rate=rate)
      x = recompute.run_if(self._recompute_blocks and is_training, build, x)
    return tf.identity(x, 'block_group%d' % group)


def build(config: base.Config, norm_activation: tensor_types.Layer) -> ResNet:
  """The ResNet of sections `resnet`, `dropblock` and `architecture`."""
  return ResNet(
      config.resnet.resnet_depth, norm_activation,
      dropblock=layers.DropBlock.of_section(config.dropblock),
      init_drop_connect_rate=config.resnet.init_drop_connect_rate,
      space_to_depth_block_size=config.architecture.space_to_depth_block_size,
      recompute_blocks=config.train.recompute_activations,
      strided_conv=config.resnet.strided_conv,
      pool_padding=config.resnet.pool_padding)
