"""NAS-FPN, arXiv:1904.07392: a pyramid whose connections a search has found."""

import dataclasses
from typing import NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf

from architecture import blocks
from architecture import layers
from architecture import normalization
from architecture.backbones import scale_permuted
from configs import base
from ops import resample
from ops import tensor_types


class _Node(NamedTuple):
  """A node of the cell.

  Attributes:
    level: level of the new feature.
    combine: key of _COMBINATIONS.
    parents: indices of two earlier features of the cell; 0 to 4 are its inputs,
      fine to coarse, and node i makes feature i + 5.
    is_output: whether it is a level of the result; then the features of its
      level that no node has used are added to it.
  """
  level: int
  combine: str
  parents: Tuple[int, int]
  is_output: bool


_ATTENTION, _SUM = 'attention', 'sum'
_CELL = tuple(_Node(*row) for row in (
    (4, _ATTENTION, (1, 3), False),
    (4, _SUM, (1, 5), False),
    (3, _SUM, (0, 6), True),
    (4, _SUM, (6, 7), True),
    (5, _ATTENTION, (7, 8), True),
    (7, _ATTENTION, (6, 9), True),
    (6, _ATTENTION, (9, 10), True)))
MIN_LEVEL, MAX_LEVEL = 3, 7
_LEVELS = range(MIN_LEVEL, MAX_LEVEL + 1)

BLOCKS = ('bottleneck', 'conv')


class NASFPN:
  """Repeats a cell that turns a pyramid into another."""

  def __init__(self, min_level: int, max_level: int,
               norm_activation: tensor_types.Layer, fpn_feat_dims: int = 256,
               num_repeats: int = 5, use_separable_conv: bool = False,
               block_fn: str = 'conv',
               dropblock: Optional[layers.DropBlock] = None,
               init_drop_connect_rate: Optional[float] = None,
               use_sum_for_combination: bool = False) -> None:
    """Takes the settings.

    Args:
      min_level: int, MIN_LEVEL: the search was for these levels.
      max_level: int, MAX_LEVEL.
      norm_activation: normalization.BatchNormActivation.
      fpn_feat_dims: int, channels within the cells.
      num_repeats: int, how many cells.
      use_separable_conv: bool, for all convolutions but those of bottlenecks.
      block_fn: one of BLOCKS, what follows each combination. A bottleneck
        returns four times the channels.
      dropblock: layers.DropBlock, by default none.
      init_drop_connect_rate: float in [0, 1), rate of stochastic depth of all
        bottlenecks. None: off.
      use_sum_for_combination: bool, whether to sum where the cell has
        attention.

    Raises:
      ValueError: for other levels, an unknown block or a rate out of range.
    """
    if (min_level, max_level) != (MIN_LEVEL, MAX_LEVEL):
      raise ValueError(
          "architecture.multilevel_features 'nasfpn' has levels %d to %d: set "
          'architecture.min_level and max_level to them, not to %d and %d.'
          % (MIN_LEVEL, MAX_LEVEL, min_level, max_level))
    if block_fn not in BLOCKS:
      raise ValueError('nasfpn.block_fn must be one of %s, not %r.'
                       % (', '.join(BLOCKS), block_fn))
    if not 0. <= (init_drop_connect_rate or 0.) < 1.:
      raise ValueError('nasfpn.init_drop_connect_rate must be in [0, 1), not '
                       '%s.' % init_drop_connect_rate)
    self._norm_activation = norm_activation
    self._filters = fpn_feat_dims
    self._num_repeats = num_repeats
    self._use_separable_conv = use_separable_conv
    self._dropblock = dropblock or layers.DropBlock()
    self._drop_connect_rate = init_drop_connect_rate
    self._use_sum = use_sum_for_combination
    self._block = {'conv': self._conv_block,
                   'bottleneck': self._bottleneck}[block_fn]
    self._blocks = blocks.BlockBuilder(norm_activation, self._dropblock)

  def __call__(self, features: tensor_types.Levels,
               is_training: bool) -> tensor_types.Levels:
    """Builds the pyramid; its cells are in variable scope `fpn_cells`.

    Args:
      features: {level: [B, h, w, c]}, sizes halve from level to level.
      is_training: Python bool.

    Returns:
      {3..7: [B, h, w, C]}, C is fpn_feat_dims, with bottlenecks four times it.

    Raises:
      ValueError: if `features` do not have the finest level.
    """
    if MIN_LEVEL not in features:
      raise ValueError(
          "architecture.multilevel_features 'nasfpn' needs level %d of the "
          'backbone, which has levels %s.'
          % (MIN_LEVEL, ', '.join(map(str, sorted(features)))))
    pyramid = self._inputs(features, is_training)
    with tf.variable_scope('fpn_cells'):
      for repeat in range(self._num_repeats):
        with tf.variable_scope('cell_%d' % repeat):
          pyramid = self._cell(pyramid, is_training)
    return {feature.level: feature.values for feature in pyramid}

  def _inputs(self, features, is_training):
    """[Feature] of all levels; those that the backbone lacks are pooled."""
    pyramid = []
    for level in _LEVELS:
      if level in features:
        feature = scale_permuted.Feature(features[level], level, None)
        tag = 'l%d' % level
      else:
        feature, tag = pyramid[-1], 'p%d' % level
      x = self._resample(feature, level, tag, is_training)
      pyramid.append(scale_permuted.Feature(x, level, None))
    return pyramid

  def _cell(self, features, is_training):
    """[Feature] of all levels to the same of the next cell."""
    features, used = list(features), set()
    for i, node in enumerate(_CELL):
      new = len(features)
      used.update(node.parents)
      with tf.variable_scope('sub_policy%d' % i):
        parents = [features[index] for index in node.parents]
        values = [
            self._resample(features[index], node.level,
                           '%d_%d_%d' % (order, index, new), is_training)
            for order, index in enumerate(node.parents)]
        x = self._combine(node, parents, values)
        if node.is_output:
          x = self._add_unused(x, features, used, i, is_training)
        with tf.variable_scope('op_after_combine%d' % new):
          x = self._block(self._norm_activation.activate(x), is_training)
      features.append(scale_permuted.Feature(x, node.level, None))
    return sorted(features[-len(_LEVELS):], key=lambda feature: feature.level)

  def _combine(self, node, parents, values):
    """Joins two parents, whose values have the node's size."""
    if node.combine == _SUM or self._use_sum:
      return values[0] + values[1]
    # The coarser parent weighs the channels of the finer one.
    if parents[0].level < parents[1].level:
      values = values[::-1]
    return global_attention(*values)

  def _add_unused(self, x, features, used, i, is_training):
    """Adds what no node has taken of the features of node i's level."""
    level = _CELL[i].level
    for index, feature in enumerate(features):
      if feature.level == level and index not in used:
        used.add(index)
        x += self._resample(feature, level, 'fa_%d_%d' % (i, index),
                            is_training)
    return x

  def _resample(self, feature, level, tag, is_training):
    """Brings a Feature to the cells' channels and to a level."""
    x = feature.values
    with tf.variable_scope('resample_' + tag):
      if x.shape.as_list()[-1] != self._filters:
        x = layers.conv2d(x, self._filters, 1,
                          use_separable_conv=self._use_separable_conv)
        x = self._norm_activation(x, is_training, relu=False, name='bn')
      if feature.level < level:
        window = 2 ** (level - feature.level)
        return tf.nn.max_pool2d(x, window, window, 'SAME')
      return resample.nearest_upsample(x, 2 ** (feature.level - level))

  def _conv_block(self, x, is_training):
    x = layers.conv2d(x, self._filters, 3,
                      use_separable_conv=self._use_separable_conv, name='conv')
    x = self._norm_activation(x, is_training, relu=False, name='bn')
    return self._dropblock(x, is_training)

  def _bottleneck(self, x, is_training):
    return self._blocks.bottleneck(
        x, self._filters, 1, is_training, use_projection=True,
        drop_connect_rate=self._drop_connect_rate)


def global_attention(coarse: tf.Tensor, fine: tf.Tensor) -> tf.Tensor:
  """Adds a feature, its channels weighed by the largest values of a coarser.

  Args:
    coarse: [B, h, w, C].
    fine: [B, h, w, C], of a finer level, resampled.

  Returns:
    [B, h, w, C].
  """
  weights = tf.sigmoid(tf.reduce_max(coarse, [1, 2], keepdims=True))
  return coarse + fine * weights


def build(config: base.Config, norm_activation: tensor_types.Layer) -> NASFPN:
  """The NAS-FPN of sections `nasfpn`, `dropblock` and `architecture`.

  Its activation is that of `batch_norm_activation` unless the section has one.
  """
  section = config.nasfpn
  if section.activation:
    norm_activation = normalization.build(dataclasses.replace(
        config.batch_norm_activation, activation=section.activation))
  return NASFPN(
      config.architecture.min_level, config.architecture.max_level,
      norm_activation, fpn_feat_dims=section.fpn_feat_dims,
      num_repeats=section.num_repeats,
      use_separable_conv=section.use_separable_conv, block_fn=section.block_fn,
      dropblock=layers.DropBlock.of_section(config.dropblock),
      init_drop_connect_rate=section.init_drop_connect_rate,
      use_sum_for_combination=section.use_sum_for_combination)
