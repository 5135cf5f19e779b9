"""The box head of Fast R-CNN, arXiv:1504.08083."""

from typing import Tuple

import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from ops import tensor_types


class FastRCNNHead:
  """Class and box of every RoI: convolutions, then dense layers."""

  def __init__(self, num_classes: int, num_convs: int = 0,
               num_filters: int = 256, use_separable_conv: bool = False,
               num_fcs: int = 2, fc_dims: int = 1024,
               *, norm_activation: tensor_types.Layer,
               use_batch_norm: bool = False,
               class_agnostic_bbox_pred: bool = False,
               scope: str = 'fast_rcnn_head') -> None:
    """Takes the settings.

    Args:
      num_classes: int, C, background included.
      num_convs: int, convolutions before the dense layers.
      num_filters: int, their channels.
      use_separable_conv: bool, for the convolutions.
      num_fcs: int, dense layers before the two predictions.
      fc_dims: int, their width.
      norm_activation: normalization.BatchNormActivation.
      use_batch_norm: bool; False leaves the activation only.
      class_agnostic_bbox_pred: bool, whether all classes share one box.
      scope: variable scope. Each head of a cascade has its own.
    """
    self._num_classes = num_classes
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._num_fcs = num_fcs
    self._fc_dims = fc_dims
    self._normalize = norm_activation if use_batch_norm else (
        normalization.ActivationOnly(norm_activation))
    self._num_boxes = 1 if class_agnostic_bbox_pred else num_classes
    self._scope = scope

  def __call__(self, roi_features: tf.Tensor,
               is_training: bool) -> Tuple[tf.Tensor, tf.Tensor]:
    """Predicts in the head's variable scope.

    Args:
      roi_features: [B, R, S, S, c], all but B static.
      is_training: Python bool.

    Returns:
      class_outputs: [B, R, C], logits.
      box_outputs: [B, R, C * 4], column class * 4 + (dy, dx, dh, dw), or
        [B, R, 4] where all classes share one box.
    """
    num_rois, height, width, channels = roi_features.shape.as_list()[1:]
    with tf.variable_scope(self._scope):
      x = tf.reshape(roi_features, [-1, height, width, channels])
      for i in range(self._num_convs):
        x = layers.conv2d(
            x, self._num_filters, 3,
            use_separable_conv=self._use_separable_conv,
            kernel_initializer=layers.he_normal_initializer(),
            name='conv_%d' % i)
        x = self._normalize(x, is_training)
      x = tf.reshape(x, [-1, height * width * x.shape.as_list()[-1]])
      for i in range(self._num_fcs):
        # The numbers continue those of the convolutions of VGG-16.
        x = layers.dense(x, self._fc_dims, name='fc%d' % (6 + i))
        x = self._normalize(x, is_training)
      class_outputs = layers.dense(
          x, self._num_classes, tf.random_normal_initializer(stddev=0.01),
          name='class-predict')
      box_outputs = layers.dense(
          x, self._num_boxes * 4, tf.random_normal_initializer(stddev=0.001),
          name='box-predict')
    return (tf.reshape(class_outputs, [-1, num_rois, self._num_classes]),
            tf.reshape(box_outputs, [-1, num_rois, self._num_boxes * 4]))
