"""Atrous spatial pyramid pooling of DeepLab, arXiv:1706.05587."""

import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization

_RATES = (6, 12, 18)


class ASPP:
  """Looks at features with windows of several sizes.

  Its batch norm has fixed settings, whatever those of the network are:
  published weights were trained this way.
  """

  def __init__(self, num_filters: int = 256) -> None:
    """Takes the channels of every branch and of the result."""
    self._num_filters = num_filters
    self._normalize = normalization.BatchNormActivation(
        momentum=0.997, epsilon=1e-4, activation='relu')

  def __call__(self, inputs: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Runs in variable scope `aspp`.

    Args:
      inputs: [B, h, w, c], h and w static.
      is_training: Python bool.

    Returns:
      [B, h, w, num_filters].
    """
    with tf.variable_scope('aspp'):
      branches = [self._mean(inputs, is_training),
                  self._branch(inputs, 1, 1, is_training)]
      branches += [self._branch(inputs, 3, rate, is_training)
                   for rate in _RATES]
      return self._branch(tf.concat(branches, axis=3), 1, 1, is_training)

  def _branch(self, x, kernel_size, rate, is_training):
    x = layers.dilated_conv2d(x, self._num_filters, kernel_size, rate)
    return self._normalize(x, is_training)

  def _mean(self, inputs, is_training):
    """The branch that sees the entire image, the same at every place."""
    x = tf.reduce_mean(inputs, axis=[1, 2], keepdims=True)
    _, height, width, _ = inputs.shape.as_list()
    x = tf.tile(x, [1, height, width, 1])
    return self._branch(x, 1, 1, is_training)
