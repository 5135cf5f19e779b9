"""The head of semantic segmentation on one level of features."""

import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from ops import tensor_types


class SegmentationHead:
  """A class for every pixel: convolutions, then a linear prediction."""

  def __init__(self, num_classes: int, norm_activation: tensor_types.Layer,
               num_convs: int = 2, use_batch_norm: bool = True,
               upsample_factor: int = 1,
               upsample_num_filters: int = 256) -> None:
    """Takes the settings.

    Args:
      num_classes: int, C.
      norm_activation: normalization.BatchNormActivation.
      num_convs: int, convolutions before the prediction, each with as many
        channels as the features.
      use_batch_norm: bool; False leaves the activation only.
      upsample_factor: int, how much larger than the features the prediction is,
        in each direction.
      upsample_num_filters: int, channels of the upsampling.
    """
    self._num_classes = num_classes
    self._num_convs = num_convs
    self._upsample_factor = upsample_factor
    self._upsample_num_filters = upsample_num_filters
    self._normalize = norm_activation if use_batch_norm else (
        normalization.ActivationOnly(norm_activation))

  def __call__(self, features: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Predicts in variable scope `segmentation`.

    Args:
      features: [B, h, w, c], h and w static.
      is_training: Python bool.

    Returns:
      [B, h * upsample_factor, w * upsample_factor, C], logits.
    """
    initializer = tf.random_normal_initializer(stddev=0.01)
    x, factor = features, self._upsample_factor
    with tf.variable_scope('segmentation'):
      for i in range(self._num_convs):
        x = layers.conv2d(x, features.shape.as_list()[-1], 3,
                          kernel_initializer=initializer, name='conv-%d' % i)
        x = self._normalize(x, is_training, name='conv-%d-bn' % i)
      if factor > 1:
        x = layers.conv2d_transpose_to_blocks(
            x, self._upsample_num_filters, factor,
            layers.he_normal_initializer(), name='deconv-upsample')
        x = self._normalize(x, is_training, name='conv-upsample-bn')
      x = layers.conv2d(x, self._num_classes, 1,
                        kernel_initializer=initializer)
      return layers.blocks_to_map(x, factor) if factor > 1 else x
