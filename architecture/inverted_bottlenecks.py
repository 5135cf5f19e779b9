"""Mobile inverted bottlenecks, arXiv:1801.04381, and their parts.

The order of calls numbers the variables, which published checkpoints fix.
"""

import contextlib
from typing import Callable, Optional

import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from ops import tensor_types


def depthwise_conv2d(
    inputs: tf.Tensor, kernel_size: int, strides: int = 1,
    padding: str = layers.FIXED,
    kernel_initializer: Optional[tensor_types.Initializer] = None,
    name: Optional[str] = None) -> tf.Tensor:
  """Convolution of every channel on its own, without bias.

  Args:
    inputs: [B, H, W, C].
    kernel_size: int.
    strides: int.
    padding: layers.FIXED, or 'SAME' of TensorFlow.
    kernel_initializer: by default Glorot uniform.
    name: the name of the layer, by default depthwise_conv2d,
      depthwise_conv2d_1 and so on.

  Returns:
    [B, ceil(H / strides), ceil(W / strides), C].
  """
  channels = inputs.shape.as_list()[-1]
  with tf.variable_scope(name, default_name='depthwise_conv2d'):
    kernel = tf.get_variable(
        'depthwise_kernel', [kernel_size, kernel_size, channels, 1],
        inputs.dtype, kernel_initializer)
    inputs, padding = layers.pad(inputs, kernel_size, strides, padding)
    return tf.nn.depthwise_conv2d(inputs, kernel, [1, strides, strides, 1],
                                  padding)


def squeeze_excite(
    inputs: tf.Tensor, filters: int,
    kernel_initializer: Optional[tensor_types.Initializer] = None,
    activation: Callable[[tf.Tensor], tf.Tensor] = normalization.swish
) -> tf.Tensor:
  """Scales every channel by a function of all channels' means.

  Args:
    inputs: [B, H, W, C].
    filters: int, width of the layer in between.
    kernel_initializer: by default truncated normal, variance 1 / fan in.
    activation: the activation of the layer in between.

  Returns:
    [B, H, W, C].

  Source: arXiv:1709.01507.
  """
  initializer = kernel_initializer or tf.variance_scaling_initializer()
  x = tf.reduce_mean(inputs, [1, 2], keepdims=True)
  x = layers.conv2d(x, filters, 1, kernel_initializer=initializer)
  x = activation(x)
  x = layers.conv2d(x, inputs.shape.as_list()[-1], 1,
                    kernel_initializer=initializer)
  return tf.sigmoid(x) * inputs


class MobileBlockBuilder:
  """The settings that all blocks of a network share."""

  def __init__(
      self, norm_activation: tensor_types.Layer,
      se_ratio: Optional[float] = None, se_scope: Optional[str] = None,
      padding: str = layers.FIXED,
      kernel_initializer: Optional[tensor_types.Initializer] = None,
      se_activation: Callable[[tf.Tensor], tf.Tensor] = normalization.swish
  ) -> None:
    """Takes the shared parts.

    Args:
      norm_activation: normalization.BatchNormActivation.
      se_ratio: float in [0, 1] or None, width of squeeze-and-excitation as a
        part of a block's input; 0 or None: there is none.
      se_scope: variable scope of squeeze-and-excitation; by default that of the
        block, so that its layers are counted with the others.
      padding: padding of the depthwise convolution, layers.FIXED or 'SAME'.
      kernel_initializer: initializer of all convolutions; by default each has
        its own.
      se_activation: within squeeze-and-excitation.

    Raises:
      ValueError: for a ratio out of range.
    """
    if not 0. <= (se_ratio or 0.) <= 1.:
      raise ValueError('se_ratio must be in [0, 1], not %s.' % se_ratio)
    self._norm_activation = norm_activation
    self._se_ratio = se_ratio
    self._se_scope = se_scope
    self._padding = padding
    self._initializer = kernel_initializer
    self._se_activation = se_activation

  def __call__(self, inputs: tf.Tensor, filters: int, strides: int,
               is_training: bool, expand_ratio: int, kernel_size: int = 3,
               drop_connect_rate: Optional[float] = None) -> tf.Tensor:
    """Widens, convolves every channel, and narrows; linear at the end.

    Args:
      inputs: [B, H, W, C].
      filters: int, channels of the result.
      strides: int.
      is_training: Python bool.
      expand_ratio: int, channels in between over C.
      kernel_size: int, of the depthwise convolution.
      drop_connect_rate: float in [0, 1) or None, share of the samples for which
        only the shortcut is used in training.

    Returns:
      [B, ceil(H / strides), ceil(W / strides), filters]; where that is the
      shape of the inputs they are added.
    """
    channels = inputs.shape.as_list()[-1]
    x = inputs
    if expand_ratio != 1:
      x = self._conv1x1(x, channels * expand_ratio, is_training)
    x = depthwise_conv2d(x, kernel_size, strides, self._padding,
                         self._initializer)
    x = self._norm_activation(x, is_training)
    if self._se_ratio:
      with self._scope_of_se():
        x = squeeze_excite(x, max(1, int(channels * self._se_ratio)),
                           self._initializer, self._se_activation)
    x = self._conv1x1(x, filters, is_training, relu=False)
    if strides == 1 and channels == filters:
      x = inputs + layers.drop_connect(x, is_training, drop_connect_rate)
    return x

  def _conv1x1(self, x, filters, is_training, relu=True):
    x = layers.conv2d_without_bias(x, filters, 1,
                                   kernel_initializer=self._initializer)
    return self._norm_activation(x, is_training, relu=relu)

  def _scope_of_se(self):
    if self._se_scope:
      return tf.variable_scope(self._se_scope)
    return contextlib.nullcontext()
