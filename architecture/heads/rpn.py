"""The region proposal network of Faster R-CNN, arXiv:1506.01497."""

from typing import Tuple

import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from ops import tensor_types


class RPNHead:
  """Predicts at every anchor whether there is an object, and its box."""

  def __init__(self, min_level: int, max_level: int, anchors_per_location: int,
               num_convs: int = 1, num_filters: int = 256,
               use_separable_conv: bool = False,
               *, norm_activation: tensor_types.Layer,
               use_batch_norm: bool = False,
               cast_to_float32: bool = False) -> None:
    """Takes the settings.

    Args:
      min_level: int, finest level.
      max_level: int, coarsest level.
      anchors_per_location: int, A.
      num_convs: int, convolutions before the two predictions.
      num_filters: int, their channels.
      use_separable_conv: bool, for all convolutions.
      norm_activation: normalization.BatchNormActivation.
      use_batch_norm: bool; False leaves the activation only. Statistics and
        parameters of a normalization belong to one level.
      cast_to_float32: bool, whether the predictions are computed in float32
        where the network is not.
    """
    self._levels = range(min_level, max_level + 1)
    self._anchors_per_location = anchors_per_location
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._normalize = norm_activation if use_batch_norm else (
        normalization.ActivationOnly(norm_activation))
    self._cast_to_float32 = cast_to_float32

  def __call__(
      self, features: tensor_types.Levels,
      is_training: bool) -> Tuple[tensor_types.Levels, tensor_types.Levels]:
    """Predicts in variable scope `rpn_head`.

    Args:
      features: {min_level..max_level: [B, h, w, c]}.
      is_training: Python bool.

    Returns:
      score_outputs: {level: [B, h, w, A]}, logits.
      box_outputs: {level: [B, h, w, A * 4]}, channel anchor * 4 + (dy, dx, dh,
        dw).
    """
    features = {level: features[level] for level in self._levels}
    with tf.variable_scope('rpn_head', reuse=tf.AUTO_REUSE):
      features = self._tower(features, is_training)
      if self._cast_to_float32:
        features = {level: tf.cast(x, tf.float32)
                    for level, x in features.items()}
      return (self._predict(features, 1, 'rpn-class'),
              self._predict(features, 4, 'rpn-box'))

  def _tower(self, features, is_training):
    """The convolutions `rpn`, `rpn-1` and so on, on all levels."""
    for i in range(self._num_convs):
      # Published models have one convolution, whose name has no number.
      number = '-%d' % i if i else ''
      features = layers.conv2d(
          features, self._num_filters, 3,
          use_separable_conv=self._use_separable_conv,
          kernel_initializer=tf.random_normal_initializer(stddev=0.01),
          name='rpn' + number)
      features = {
          level: self._normalize(x, is_training,
                                 name='rpn-l%d-bn%s' % (level, number))
          for level, x in features.items()}
    return features

  def _predict(self, features, outputs_per_anchor, name):
    initializer = tf.random_normal_initializer(stddev=0.01)
    return layers.conv2d(
        features, outputs_per_anchor * self._anchors_per_location, 1,
        use_separable_conv=self._use_separable_conv,
        kernel_initializer=initializer, pointwise_initializer=initializer,
        name=name)
