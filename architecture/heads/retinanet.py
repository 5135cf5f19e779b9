"""The dense head of RetinaNet, arXiv:1708.02002."""

import math
from typing import Tuple

import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from ops import tensor_types

# Every anchor starts with this probability of being an object: the many easy
# negatives would swamp the loss of the first steps. arXiv:1708.02002, 4.1.
_PRIOR = 0.01
PRIOR_LOGIT = -math.log((1. - _PRIOR) / _PRIOR)
# Small enough for the bias alone to decide the first predictions.
_PREDICTION_STDDEV = 1e-5


class RetinaNetHead:
  """Two towers of convolutions, shared by all levels."""

  def __init__(self, min_level: int, max_level: int, num_classes: int,
               anchors_per_location: int, num_convs: int = 4,
               num_filters: int = 256, use_separable_conv: bool = False,
               *, norm_activation: tensor_types.Layer,
               use_batch_norm: bool = True) -> None:
    """Takes the settings.

    Args:
      min_level: int, finest level.
      max_level: int, coarsest level.
      num_classes: int, background included.
      anchors_per_location: int.
      num_convs: int, convolutions of each tower before the prediction.
      num_filters: int, their channels.
      use_separable_conv: bool, for all convolutions.
      norm_activation: normalization.BatchNormActivation.
      use_batch_norm: bool; False leaves the activation only. Statistics and
        parameters of a normalization belong to one level.
    """
    self._levels = range(min_level, max_level + 1)
    self._num_classes = num_classes
    self._anchors_per_location = anchors_per_location
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._normalize = norm_activation if use_batch_norm else (
        normalization.ActivationOnly(norm_activation))

  def __call__(
      self, features: tensor_types.Levels,
      is_training: bool) -> Tuple[tensor_types.Levels, tensor_types.Levels]:
    """Predicts in variable scopes `retinanet/{class_net,box_net}`.

    Args:
      features: {min_level..max_level: [B, h, w, c]}.
      is_training: Python bool.

    Returns:
      class_outputs: {level: [B, h, w, A * C]}, logits, channel anchor * C +
        class.
      box_outputs: {level: [B, h, w, A * 4]}, channel anchor * 4 + (dy, dx, dh,
        dw).
    """
    features = {level: features[level] for level in self._levels}
    with tf.variable_scope('retinanet', reuse=tf.AUTO_REUSE):
      with tf.variable_scope('class_net'):
        class_outputs = self._tower(
            features, is_training, 'class', self._num_classes,
            tf.constant_initializer(PRIOR_LOGIT))
      with tf.variable_scope('box_net'):
        box_outputs = self._tower(
            features, is_training, 'box', 4, tf.zeros_initializer())
    return class_outputs, box_outputs

  def _tower(self, features, is_training, name, outputs_per_anchor,
             bias_initializer):
    """The convolutions `<name>-<i>` and `<name>-predict` on all levels."""
    for i in range(self._num_convs):
      features = layers.conv2d(
          features, self._num_filters, 3,
          use_separable_conv=self._use_separable_conv,
          kernel_initializer=tf.random_normal_initializer(stddev=0.01),
          name='%s-%d' % (name, i))
      features = {
          level: self._normalize(x, is_training,
                                 name='%s-%d-%d' % (name, i, level))
          for level, x in features.items()}
    initializer = tf.random_normal_initializer(stddev=_PREDICTION_STDDEV)
    return layers.conv2d(
        features, outputs_per_anchor * self._anchors_per_location, 3,
        use_separable_conv=self._use_separable_conv,
        kernel_initializer=initializer, pointwise_initializer=initializer,
        bias_initializer=bias_initializer, name='%s-predict' % name)
