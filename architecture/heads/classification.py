"""The head of an image classifier."""

import tensorflow.compat.v1 as tf

from architecture import layers
from ops import resample
from ops import tensor_types
from utils import registry

AGGREGATIONS = ('top', 'all')


class ClassificationHead:
  """Features to class logits: mean over the image, one dense layer."""

  def __init__(self, num_classes: int, norm_activation: tensor_types.Layer,
               aggregation: str = 'top', endpoints_num_filters: int = 0,
               dropout_rate: float = 0.) -> None:
    """Takes the settings.

    Args:
      num_classes: int, C.
      norm_activation: normalization.BatchNormActivation, of the convolution.
      aggregation: 'top', the coarsest level of the features; 'all', the mean
        of all levels, which need the same number of channels.
      endpoints_num_filters: int, channels of a 1x1 convolution before the
        mean; 0: none.
      dropout_rate: float in [0, 1), share of the mean features that are
        dropped in training.

    Raises:
      ValueError: for an unknown aggregation, or a rate that drops everything.
    """
    registry.pick(AGGREGATIONS, aggregation, 'classification_head.aggregation')
    if not 0. <= dropout_rate < 1.:
      raise ValueError('classification_head.dropout_rate is %g; it must be at '
                       'least 0 and below 1.' % dropout_rate)
    self._num_classes = num_classes
    self._normalize = norm_activation
    self._aggregation = aggregation
    self._endpoints_num_filters = endpoints_num_filters
    self._dropout_rate = dropout_rate

  def __call__(self, features: tensor_types.Levels,
               is_training: bool) -> tf.Tensor:
    """Predicts in variable scope `classification_head`.

    Args:
      features: {level: [B, h, w, c]}, h and w static.
      is_training: Python bool.

    Returns:
      [B, C], logits.

    Raises:
      ValueError: naming the levels, if their channels differ and all are used.
    """
    with tf.variable_scope('classification_head'):
      x = (_mean_of_levels(features) if self._aggregation == 'all'
           else features[max(features)])
      if self._endpoints_num_filters:
        x = layers.conv2d_fixed_padding(x, self._endpoints_num_filters, 1)
        x = self._normalize(x, is_training)
      x = tf.identity(tf.reduce_mean(x, axis=[1, 2]), 'final_avg_pool')
      x = layers.dropout(x, is_training, self._dropout_rate)
      x = layers.dense(x, self._num_classes,
                       tf.random_normal_initializer(stddev=0.01))
      return tf.identity(x, 'logits')


def _mean_of_levels(features):
  """The mean of all levels at the size of the finest, [B, h, w, c].

  Raises:
    ValueError: naming the levels, if their channels differ.
  """
  channels = {level: x.shape.as_list()[-1] for level, x in features.items()}
  if len(set(channels.values())) > 1:
    raise ValueError(
        "classification_head.aggregation is 'all', which adds up the levels "
        'of the backbone, but they differ in channels: %s. Use a backbone '
        "such as 'spinenet', or 'top'." % ', '.join(
            'level %d has %d' % item for item in sorted(channels.items())))
  levels = sorted(features, reverse=True)
  total = features[levels[0]]
  for level in levels[1:]:
    x = features[level]
    total = x + resample.native_resize(total, x.shape.as_list()[1:3])
  return total / len(levels)
