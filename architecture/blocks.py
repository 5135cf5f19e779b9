"""Residual blocks, arXiv:1512.03385.

Variables are numbered in the order of calls, which published checkpoints fix:
the projection of the shortcut comes before the main path.
"""

from typing import Optional

import tensorflow.compat.v1 as tf

from architecture import layers
from ops import tensor_types

STRIDED_CONVS = ('3x3', '1x1')


class BlockBuilder:
  """The settings that all blocks of a network share."""

  def __init__(self, norm_activation: tensor_types.Layer,
               dropblock: Optional[layers.DropBlock] = None,
               strided_conv: str = '3x3') -> None:
    """Takes the shared parts.

    Args:
      norm_activation: normalization.BatchNormActivation.
      dropblock: layers.DropBlock, by default none.
      strided_conv: '3x3' or '1x1', which convolution of a bottleneck has the
        stride.

    Raises:
      ValueError: for another one.
    """
    if strided_conv not in STRIDED_CONVS:
      raise ValueError("resnet.strided_conv must be '3x3' or '1x1', not %r."
                       % strided_conv)
    self._is_1x1_strided = strided_conv == '1x1'
    self._norm_activation = norm_activation
    self._dropblock = dropblock or layers.DropBlock()

  def residual(self, inputs: tf.Tensor, filters: int, strides: int,
               is_training: bool, use_projection: bool = False,
               drop_connect_rate: Optional[float] = None) -> tf.Tensor:
    """Two 3x3 convolutions, for networks of up to 34 layers.

    Args:
      inputs: [B, H, W, C].
      filters: int, channels of the result.
      strides: int.
      is_training: Python bool.
      use_projection: whether the shortcut has a 1x1 convolution. Needed where
        the shapes of input and result differ.
      drop_connect_rate: float in [0, 1) or None, share of the samples for which
        only the shortcut is used in training.

    Returns:
      [B, ceil(H / strides), ceil(W / strides), filters].
    """
    shortcut = self._shortcut(inputs, filters, strides, is_training,
                              use_projection)
    x = self._conv(inputs, filters, 3, strides, is_training)
    x = self._conv(x, filters, 3, 1, is_training, relu=False)
    return self._join(x, shortcut, is_training, drop_connect_rate)

  def bottleneck(self, inputs: tf.Tensor, filters: int, strides: int,
                 is_training: bool, use_projection: bool = False,
                 drop_connect_rate: Optional[float] = None) -> tf.Tensor:
    """1x1, 3x3 and 1x1 convolution; one of the first two has the stride.

    Args:
      inputs: [B, H, W, C].
      filters: int, channels within the block.
      strides: int.
      is_training: Python bool.
      use_projection: as in `residual`.
      drop_connect_rate: as in `residual`.

    Returns:
      [B, ceil(H / strides), ceil(W / strides), 4 * filters].
    """
    shortcut = self._shortcut(inputs, 4 * filters, strides, is_training,
                              use_projection)
    first, second = (strides, 1) if self._is_1x1_strided else (1, strides)
    x = self._conv(inputs, filters, 1, first, is_training)
    x = self._conv(x, filters, 3, second, is_training)
    x = self._conv(x, 4 * filters, 1, 1, is_training, relu=False)
    return self._join(x, shortcut, is_training, drop_connect_rate)

  def _conv(self, inputs, filters, kernel_size, strides, is_training,
            relu=True):
    x = layers.conv2d_fixed_padding(inputs, filters, kernel_size, strides)
    x = self._norm_activation(x, is_training, relu=relu)
    return self._dropblock(x, is_training)

  def _shortcut(self, inputs, filters, strides, is_training, use_projection):
    if not use_projection:
      return self._dropblock(inputs, is_training)
    return self._conv(inputs, filters, 1, strides, is_training, relu=False)

  def _join(self, x, shortcut, is_training, drop_connect_rate):
    x = layers.drop_connect(x, is_training, drop_connect_rate)
    return self._norm_activation.activate(x + shortcut)
