"""The three heads of ShapeMask, arXiv:1904.03239, section 3.

Each RoI is an outer box: the box of an object with some context around it. The
first head guesses the mask as a mixture of known shapes, the second one refines
it, the third one refines it again by what the inside of this very object looks
like, and enlarges it. Where all classes share one mask, classes without masks
in training are segmented too.
"""

from typing import Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from architecture import class_selection
from architecture import layers
from architecture.heads import retinanet
from ops import convolution
from ops import masks as mask_ops
from ops import portability
from ops import roi_align
from ops import tensor_types

_EPSILON = 1e-20  # pixels; an empty mask gives no division by zero


class ShapePriorHead:
  """The mask of every object as a mixture of the priors of its class."""

  def __init__(self, priors: np.ndarray, num_channels: int = 128,
               means_of_cells: bool = False) -> None:
    """Takes the settings.

    Args:
      priors: float32 [M, K, S, S], 0..1, K masks for each of M classes,
        background included; M = 1: the same for all classes. See
        utils/shape_priors.py.
      num_channels: int, D, of the RoI features.
      means_of_cells: bool, whether masks are means over the cells of a box or
        a RoI; otherwise pixels are sampled at their corner, on which published
        weights depend.
    """
    self._priors = priors
    self._means_of_cells = means_of_cells
    self._num_channels = num_channels

  def __call__(self, features: tensor_types.Levels, boxes: tf.Tensor,
               outer_boxes: tf.Tensor,
               classes: tf.Tensor) -> Tuple[tf.Tensor, tf.Tensor]:
    """Predicts in variable scope `prior_mask`.

    Args:
      features: {level: [B, h, w, c]}, all but B static.
      boxes: float32 [B, N, 4], yxyx, pixels of the network input.
      outer_boxes: float32 [B, N, 4], yxyx, same pixels, the RoIs around them.
      classes: int32 [B, N]; a number that is not a class takes the priors of
        the nearest one.

    Returns:
      [B, N, S, S, D]: the features of the RoIs.
      float32 [B, N, S, S]: the mixtures, 0..1, each within its RoI.

    Raises:
      ValueError: for features that ops.roi_align.multilevel_roi_align refuses.
    """
    size = self._priors.shape[2]
    num_rois = boxes.shape[1].value
    with tf.variable_scope('prior_mask', reuse=tf.AUTO_REUSE):
      # Cropping works on each channel, so it may come second: a pyramid has
      # fewer cells, and features more channels, than the crops.
      is_first = not convolution.is_plain()
      if is_first:
        features = {level: self._project(features[level])
                    for level in sorted(features)}
      crops = roi_align.multilevel_roi_align(features, outer_boxes, size)
      if not is_first:
        crops = self._project(crops)
      # 1 within the box, 0 in the context.
      inside = self._move_to_context(
          tf.ones(tf.concat([tf.shape(boxes)[:2], [size, size]], axis=0)),
          boxes, outer_boxes)
      weights = self._weights(_mean_within(crops, inside), classes)
      mixtures = tf.reshape(self._mix(weights, classes),
                            [-1, num_rois, size, size])
    return crops, self._move_to_context(mixtures, boxes, outer_boxes)

  def _move_to_context(self, masks, boxes, outer_boxes):
    """Masks [B, N, S, S] within boxes, to masks within the outer boxes."""
    return mask_ops.crop_masks_in_boxes(
        masks, boxes, outer_boxes, masks.shape[2].value, sample_offset=0.,
        means_of_cells=self._means_of_cells)

  def _project(self, x):
    """[B, ..., c] to [B, ..., D], pixel by pixel."""
    shape = x.shape.as_list()
    x = layers.dense(tf.reshape(x, [-1, shape[-1]]), self._num_channels,
                     name='dense')
    return tf.reshape(x, [-1] + shape[1:-1] + [self._num_channels])

  def _rows(self, classes):
    """Rows of the priors, int32 [B * N]."""
    return portability.clip_indices(
        tf.reshape(tf.cast(classes, tf.int32), [-1]), len(self._priors) - 1)

  def _weights(self, embedding, classes):
    """Weights of the priors, float32 [B * N, K], from embeddings [B * N, D]."""
    num_classes, num_priors = self._priors.shape[:2]
    logits = layers.dense(embedding, num_classes * num_priors,
                          tf.random_normal_initializer(stddev=0.01),
                          name='dense_1')
    logits = tf.reshape(tf.cast(logits, tf.float32),
                        [-1, num_classes, num_priors])
    rows = tf.one_hot(self._rows(classes), num_classes)
    logits = tf.reduce_sum(logits * tf.expand_dims(rows, 2), axis=1)
    return tf.nn.softmax(logits, name='shape_prior_weights')

  def _mix(self, weights, classes):
    """Sums of priors, float32 [B * N, S * S], by weights [B * N, K]."""
    num_classes, num_priors = self._priors.shape[:2]
    table = tf.constant(self._priors.reshape([num_classes, num_priors, -1]))
    priors = tf.gather(table, self._rows(classes))
    return tf.squeeze(tf.matmul(tf.expand_dims(weights, 1), priors), 1)


def _mean_within(features, weights):
  """Weighted sums over the pixels of RoIs, divided by the number of pixels.

  Args:
    features: [B, N, S, S, D].
    weights: float32 [B, N, S, S].

  Returns:
    [B * N, D], the type of the features.
  """
  _, _, height, width, channels = features.shape.as_list()
  num_pixels = height * width
  # Divided before they may become bfloat16, which TF 1.15 cannot divide by a
  # constant on a CPU.
  weights = tf.reshape(weights / num_pixels, [-1, 1, num_pixels])
  features = tf.reshape(features, [-1, num_pixels, channels])
  return tf.squeeze(tf.matmul(tf.cast(weights, features.dtype), features), 1)


class _RefiningHead:
  """The layers that the coarse and the fine head share."""

  def __init__(self, scope, num_masks, num_convs, norm_activation):
    self._scope = scope
    self._num_masks = num_masks
    self._num_convs = num_convs
    self._normalize = norm_activation

  def _tower(self, features, masks, is_training):
    """Features after those of a mask were added, and the convolutions.

    Args:
      features: [B, N, S, S, D].
      masks: [B, N, S, S].
      is_training: Python bool.

    Returns:
      [B * N, S, S, D].
    """
    _, _, height, width, channels = features.shape.as_list()
    shape = [-1, height, width, channels]
    masks = tf.reshape(tf.cast(masks, features.dtype), [-1, 1])
    x = tf.reshape(features, shape) + tf.reshape(
        layers.dense(masks, channels, name='dense'), shape)
    for i in range(self._num_convs):
      x = layers.conv2d(
          x, channels, 3,
          kernel_initializer=tf.random_normal_initializer(stddev=0.01),
          name='class-%d' % i)
      x = self._normalize(x, is_training, name='class-%d-bn' % i)
    return x

  def _rows(self, classes):
    """The channel of each mask, int32 [B * N]."""
    return portability.clip_indices(
        tf.reshape(tf.cast(classes, tf.int32), [-1]), self._num_masks - 1)

  def _predict(self, x, classes, is_training):
    """Logits [B * N, S, S] from features [B * N, S, S, D]."""
    return class_selection.conv2d_of_class(
        x, self._num_masks, self._rows(classes), is_training,
        **self._prediction_settings())

  def _prediction_settings(self):
    return dict(
        name='class-predict',
        kernel_initializer=tf.random_normal_initializer(stddev=0.01),
        bias_initializer=tf.constant_initializer(retinanet.PRIOR_LOGIT))


class CoarseMaskHead(_RefiningHead):
  """Refines the mask of the priors."""

  def __init__(self, num_masks: int, num_convs: int,
               norm_activation: tensor_types.Layer) -> None:
    """Takes the settings.

    Args:
      num_masks: int, one mask for each class, background included, or 1 for
        all classes.
      num_convs: int, convolutions before the prediction.
      norm_activation: normalization.BatchNormActivation.
    """
    super().__init__('coarse_mask', num_masks, num_convs, norm_activation)

  def __call__(self, features: tf.Tensor, prior_masks: tf.Tensor,
               classes: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Predicts in variable scope `coarse_mask`.

    Args:
      features: [B, N, S, S, D], of the RoIs, all but B static.
      prior_masks: [B, N, S, S], of ShapePriorHead.
      classes: int32 [B, N].
      is_training: Python bool.

    Returns:
      [B, N, S, S], logits.
    """
    _, num_rois, height, width, _ = features.shape.as_list()
    with tf.variable_scope(self._scope):
      x = self._tower(features, prior_masks, is_training)
      logits = self._predict(x, classes, is_training)
    return tf.reshape(logits, [-1, num_rois, height, width])


class FineMaskHead(_RefiningHead):
  """Refines the coarse mask by the looks of the object, and enlarges it."""

  def __init__(self, num_masks: int, num_convs: int,
               norm_activation: tensor_types.Layer,
               upsample_factor: int = 4) -> None:
    """Takes the settings.

    Args:
      num_masks: int, one mask for each class, background included, or 1 for
        all classes.
      num_convs: int, convolutions before the prediction.
      norm_activation: normalization.BatchNormActivation.
      upsample_factor: int, F, sides of the result over those of the RoIs.
    """
    super().__init__('fine_mask', num_masks, num_convs, norm_activation)
    self._upsample_factor = upsample_factor

  def __call__(self, features: tf.Tensor, coarse_logits: tf.Tensor,
               classes: tf.Tensor, is_training: bool) -> tf.Tensor:
    """Predicts in variable scope `fine_mask`.

    Args:
      features: [B, N, S, S, D], of the RoIs, all but B static.
      coarse_logits: [B, N, S, S], of CoarseMaskHead.
      classes: int32 [B, N].
      is_training: Python bool.

    Returns:
      [B, N, S * F, S * F], logits.
    """
    _, num_rois, height, width, _ = features.shape.as_list()
    factor = self._upsample_factor
    with tf.variable_scope(self._scope):
      scores = tf.sigmoid(coarse_logits)
      x = self._tower(_relative_to_inside(features, scores), scores,
                      is_training)
      if factor == 1:
        logits = self._predict(x, classes, is_training)
      else:
        logits = class_selection.upsampled_conv2d_of_class(
            x, self._num_masks, self._rows(classes), factor,
            **self._prediction_settings())
    return tf.reshape(logits, [-1, num_rois, height * factor, width * factor])


def _relative_to_inside(features, scores):
  """Features minus their mean over the inside of the object.

  Args:
    features: [B, N, S, S, D].
    scores: [B, N, S, S]; above 0.5 is inside.

  Returns:
    [B, N, S, S, D].
  """
  is_inside = tf.cast(scores > .5, tf.float32)
  share = tf.reduce_mean(is_inside, axis=[2, 3], keepdims=True)
  mean = _mean_within(features, is_inside / (share + _EPSILON))
  _, num_rois, _, _, channels = features.shape.as_list()
  return features - tf.reshape(mean, [-1, num_rois, 1, 1, channels])
