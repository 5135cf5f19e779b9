"""Feature pyramid network, arXiv:1612.03144."""

from typing import Optional

import tensorflow.compat.v1 as tf

from architecture import layers
from configs import base
from ops import resample
from ops import tensor_types


class FPN:
  """Brings a backbone's levels to one width and adds coarser levels."""

  def __init__(self, min_level: int, max_level: int, fpn_feat_dims: int = 256,
               use_separable_conv: bool = False, use_batch_norm: bool = True,
               norm_activation: Optional[tensor_types.Layer] = None) -> None:
    """Takes the settings.

    Args:
      min_level: int, finest level of the pyramid.
      max_level: int, coarsest level.
      fpn_feat_dims: int, channels of all levels.
      use_separable_conv: bool, for all convolutions.
      use_batch_norm: bool, whether to normalize the result.
      norm_activation: normalization.BatchNormActivation, needed then.
    """
    self._min_level, self._max_level = min_level, max_level
    self._filters = fpn_feat_dims
    self._use_separable_conv = use_separable_conv
    self._norm_activation = norm_activation if use_batch_norm else None

  def __call__(self, features: tensor_types.Levels,
               is_training: bool) -> tensor_types.Levels:
    """Builds the pyramid in variable scope `fpn`.

    Args:
      features: {level: [B, h, w, c]}, sizes halve from level to level.
      is_training: Python bool.

    Returns:
      {min_level..max_level: [B, h, w, fpn_feat_dims]}.

    Raises:
      ValueError: if `features` do not have the finest level.
    """
    if self._min_level not in features:
      raise ValueError(
          'architecture.min_level is %d, but the backbone has levels %s.'
          % (self._min_level, ', '.join(map(str, sorted(features)))))
    top = min(max(features), self._max_level)
    with tf.variable_scope('fpn'):
      pyramid = self._top_down(features, top)
      for level in range(self._min_level, top + 1):
        pyramid[level] = self._conv(pyramid[level], 3, 'post_hoc_d%d' % level)
      self._add_coarser(pyramid, top)
      if self._norm_activation:
        for level in range(self._min_level, self._max_level + 1):
          pyramid[level] = self._norm_activation(
              pyramid[level], is_training, relu=False, name='p%d-bn' % level)
    return pyramid

  def _top_down(self, features, top):
    """{min_level..top}: laterals, each with the sum of all coarser ones."""
    pyramid = {level: self._conv(features[level], 1, 'l%d' % level)
               for level in range(self._min_level, top + 1)}
    for level in range(top - 1, self._min_level - 1, -1):
      pyramid[level] += resample.nearest_upsample(pyramid[level + 1], 2)
    return pyramid

  def _add_coarser(self, pyramid, top):
    """Adds levels top + 1..max_level by strided convolutions."""
    for level in range(top + 1, self._max_level + 1):
      x = pyramid[level - 1]
      if level > top + 1:
        # Always relu, whatever the network's activation: published weights
        # were trained this way.
        x = tf.nn.relu(x)
      pyramid[level] = self._conv(x, 3, 'p%d' % level, strides=2)

  def _conv(self, inputs, kernel_size, name, strides=1):
    return layers.conv2d(inputs, self._filters, kernel_size, strides,
                         self._use_separable_conv, name=name)


class Identity:
  """For backbones that make the pyramid themselves."""

  def __init__(self, min_level: int, max_level: int) -> None:
    self._levels = range(min_level, max_level + 1)

  def __call__(self, features: tensor_types.Levels,
               is_training: bool) -> tensor_types.Levels:
    """Returns the levels of the pyramid as they are.

    Args:
      features: {level: [B, h, w, c]}, with any other levels too.
      is_training: not used.

    Returns:
      {min_level..max_level: [B, h, w, c]}.

    Raises:
      ValueError: if a level is missing.
    """
    del is_training
    missing = [str(level) for level in self._levels if level not in features]
    if missing:
      raise ValueError(
          "architecture.multilevel_features 'identity' needs a backbone with "
          "levels %d to %d; it lacks %s. Use 'fpn'."
          % (self._levels[0], self._levels[-1], ', '.join(missing)))
    return {level: features[level] for level in self._levels}


def build(config: base.Config, norm_activation: tensor_types.Layer) -> FPN:
  """The FPN of sections `fpn` and `architecture`."""
  return FPN(
      config.architecture.min_level, config.architecture.max_level,
      fpn_feat_dims=config.fpn.fpn_feat_dims,
      use_separable_conv=config.fpn.use_separable_conv,
      use_batch_norm=config.fpn.use_batch_norm,
      norm_activation=norm_activation)


def build_identity(config: base.Config,
                   norm_activation: tensor_types.Layer) -> Identity:
  """The levels of section `architecture`, as the backbone has them."""
  del norm_activation
  return Identity(config.architecture.min_level, config.architecture.max_level)
