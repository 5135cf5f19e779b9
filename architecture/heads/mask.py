"""The mask head of Mask R-CNN, arXiv:1703.06870."""


import tensorflow.compat.v1 as tf

from architecture import class_selection
from architecture import layers
from architecture import normalization
from ops import compat
from ops import tensor_types

UPSAMPLING = 2  # mask pixels of a pixel of the features, in each direction


class MaskHead:
  """The mask of every RoI: a small fully convolutional network."""

  def __init__(self, num_classes: int, num_convs: int = 4,
               num_filters: int = 256, use_separable_conv: bool = False,
               *, norm_activation: tensor_types.Layer,
               use_batch_norm: bool = False,
               class_agnostic_mask_pred: bool = False) -> None:
    """Takes the settings.

    Args:
      num_classes: int, C, background included.
      num_convs: int, convolutions before the upsampling.
      num_filters: int, their channels, and those of the upsampling.
      use_separable_conv: bool, for all but the upsampling.
      norm_activation: normalization.BatchNormActivation.
      use_batch_norm: bool; False leaves the activation only.
      class_agnostic_mask_pred: bool, whether all classes share one mask.
    """
    self._num_masks = 1 if class_agnostic_mask_pred else num_classes
    self._num_convs = num_convs
    self._num_filters = num_filters
    self._use_separable_conv = use_separable_conv
    self._use_batch_norm = use_batch_norm
    self._normalize = norm_activation if use_batch_norm else (
        normalization.ActivationOnly(norm_activation))

  def __call__(self, roi_features: tf.Tensor, classes: tf.Tensor,
               is_training: bool) -> tf.Tensor:
    """Predicts in variable scope `mask_head`.

    Args:
      roi_features: [B, R, S, S, c], all but B static.
      classes: int32 [B, R], the class whose mask is meant, from 0.
      is_training: Python bool.

    Returns:
      [B, R, 2 * S, 2 * S], logits.
    """
    num_rois, height, width, channels = roi_features.shape.as_list()[1:]
    with tf.variable_scope('mask_head'):
      x = tf.reshape(roi_features, [-1, height, width, channels])
      for i in range(self._num_convs):
        x = layers.conv2d(
            x, self._num_filters, 3,
            use_separable_conv=self._use_separable_conv,
            kernel_initializer=layers.he_normal_initializer(),
            name='mask-conv-l%d' % i)
        x = self._normalize(x, is_training)
      upsample = self._upsample_and_predict
      if (is_training and compat.in_xla_context() and self._num_masks > 1
          and not self._use_batch_norm):
        upsample = self._upsample_and_predict_maps
      logits = layers.blocks_to_image(
          upsample(x, tf.reshape(classes, [-1]), is_training), UPSAMPLING)
    return tf.reshape(
        logits, [-1, num_rois, height * UPSAMPLING, width * UPSAMPLING])

  def _upsample_and_predict(self, x, classes, is_training):
    """Logits of features.

    Args:
      x: [N, S, S, c].
      classes: int32 [N], whose mask is meant.
      is_training: Python bool.

    Returns:
      [N, S, S * UPSAMPLING**2], of layers.blocks_to_image.
    """
    x = layers.conv2d_transpose_to_blocks(
        x, self._num_filters, UPSAMPLING, layers.he_normal_initializer(),
        name='conv5-mask')
    x = self._normalize(x, is_training)
    return self._predict(x, classes, is_training)

  def _upsample_and_predict_maps(self, x, classes, is_training):
    """The same without a copy of the features, as XLA would need."""
    maps = layers.conv2d_transpose_to_maps(
        x, self._num_filters, UPSAMPLING, layers.he_normal_initializer(),
        name='conv5-mask')
    maps = self._predict([self._normalize(x, is_training) for x in maps],
                         classes, is_training)
    height, width = x.shape.as_list()[1:3]
    return tf.reshape(tf.stack(maps, axis=3),
                      [-1, height, width * UPSAMPLING**2])

  def _predict(self, x, classes, is_training):
    """Logits [N, h, w] of the classes [N] from features [N, h, w, c]."""
    return class_selection.conv2d_of_class(
        x, self._num_masks, classes, is_training,
        use_separable_conv=self._use_separable_conv,
        kernel_initializer=layers.he_normal_initializer(),
        name='mask_fcn_logits')
