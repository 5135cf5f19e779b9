"""Losses of two-stage models.

Every function returns a float32 scalar, 0 where there is nothing to learn from;
targets carry no gradient. With `by_image` it returns float32 [B] instead: of
every image as if it were a batch of its own.
"""

from typing import Optional, Sequence

import tensorflow.compat.v1 as tf

from ops import losses as loss_ops
from ops import portability
from ops import tensor_types


def rpn_score_loss(score_outputs: tensor_types.Levels,
                   score_targets: tensor_types.Levels,
                   rpn_batch_size_per_im: int,
                   by_image: bool = False) -> tf.Tensor:
  """Cross entropy of the sampled anchors, object or background.

  Args:
    score_outputs: {level: float32 [B, h, w, A]}, logits.
    score_targets: {level: int32 [B, h, w, A]}, 1 object, 0 background; others
      do not count.
    rpn_batch_size_per_im: int; the loss is divided by B times this, however
      many anchors were sampled.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.

  Source: Faster R-CNN (arXiv:1506.01497), section 3.1.2.
  """
  with tf.name_scope('rpn_score_loss'):
    sums = []
    for level in sorted(score_outputs):
      logits, targets = score_outputs[level], score_targets[level]
      is_sampled = tf.logical_or(tf.equal(targets, 0), tf.equal(targets, 1))
      entropy = tf.nn.sigmoid_cross_entropy_with_logits(
          labels=tf.cast(targets, tf.float32), logits=logits)
      sums.append(_masked_sum(entropy, is_sampled, by_image))
    if by_image:
      return tf.add_n(sums) / rpn_batch_size_per_im
    batch_size = tf.cast(tf.shape(logits)[0], tf.float32)
    return tf.add_n(sums) / (batch_size * rpn_batch_size_per_im)


def _masked_sum(values, condition, by_image):
  """Sum of the values where a condition of the same shape holds."""
  return tf.reduce_sum(values * tf.cast(condition, values.dtype),
                       axis=_axes(values, by_image))


def _axes(values: tf.Tensor, by_image: bool) -> Optional[Sequence[int]]:
  """Those that are summed: all, or all but the images."""
  return list(range(1, values.shape.rank)) if by_image else None


def rpn_box_loss(box_outputs: tensor_types.Levels,
                 box_targets: tensor_types.Levels,
                 huber_loss_delta: float, by_image: bool = False) -> tf.Tensor:
  """Huber loss over the coordinates of matched anchors.

  Each level is averaged separately, then the levels are added: a level with few
  matches weighs as much as one with many. A coordinate whose target is exactly
  0 does not count, as in published training.

  Args:
    box_outputs: {level: float32 [B, h, w, 4*A]}, (dy, dx, dh, dw) of each
      anchor.
    box_targets: {level: float32 [B, h, w, 4*A]}, the same; 0 where an anchor
      has no box.
    huber_loss_delta: float, where the loss turns from square to linear.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.

  Source: Faster R-CNN (arXiv:1506.01497), section 3.1.2, averaged as
    upstream does.
  """
  with tf.name_scope('rpn_box_loss'):
    return tf.add_n([
        _mean_huber(box_outputs[level], box_targets[level],
                    tf.not_equal(box_targets[level], 0.), huber_loss_delta,
                    by_image)
        for level in sorted(box_outputs)])


def _mean_huber(outputs, targets, condition, delta, by_image):
  """Mean Huber loss where a condition of the same shape holds; 0 if nowhere."""
  count = tf.reduce_sum(tf.cast(condition, tf.float32),
                        axis=_axes(condition, by_image))
  return _masked_sum(loss_ops.huber(outputs, targets, delta), condition,
                     by_image) / tf.maximum(count, 1.)


def fast_rcnn_class_loss(class_outputs: tf.Tensor,
                         class_targets: tf.Tensor,
                         by_image: bool = False) -> tf.Tensor:
  """Softmax cross entropy, mean over all regions.

  Args:
    class_outputs: float32 [B, R, C], logits.
    class_targets: int32 [B, R], 0 is background. Regions with a negative target
      add 0 to the loss, but count in the mean.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.

  Source: Fast R-CNN (arXiv:1504.08083), section 2.3.
  """
  with tf.name_scope('fast_rcnn_class_loss'):
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.maximum(class_targets, 0), logits=class_outputs)
    entropy *= tf.cast(class_targets >= 0, entropy.dtype)
    return tf.reduce_mean(entropy, axis=_axes(entropy, by_image))


def fast_rcnn_box_loss(box_outputs: tf.Tensor, class_targets: tf.Tensor,
                       box_targets: tf.Tensor, huber_loss_delta: float,
                       class_agnostic: bool = False,
                       by_image: bool = False) -> tf.Tensor:
  """Huber loss of the boxes of regions with an object, mean over coordinates.

  Args:
    box_outputs: float32 [B, R, 4*C], or [B, R, 4] if class-agnostic; (dy, dx,
      dh, dw) of each class.
    class_targets: int32 [B, R]; 0 is background.
    box_targets: float32 [B, R, 4], of `roi_targets.encode_box_targets`.
    huber_loss_delta: float, where the loss turns from square to linear.
    class_agnostic: whether the same box serves all classes.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.

  Raises:
    ValueError: if the depth of `box_outputs` does not fit `class_agnostic`.

  Source: Fast R-CNN (arXiv:1504.08083), section 2.3.
  """
  depth = box_outputs.shape[2].value
  if class_agnostic != (depth == 4):
    raise ValueError(
        'box_outputs have %d channels; a region has 4 with class_agnostic '
        'boxes, else 4 for each class.' % depth)
  with tf.name_scope('fast_rcnn_box_loss'):
    if not class_agnostic:
      box_outputs = boxes_of_class(box_outputs, class_targets)
    is_object = tf.tile(tf.expand_dims(class_targets > 0, 2), [1, 1, 4])
    return _mean_huber(box_outputs, box_targets, is_object, huber_loss_delta,
                       by_image)


def boxes_of_class(box_outputs: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
  """Of the boxes of all classes, those of one class of each region.

  Args:
    box_outputs: float32 [B, R, 4*C], column class * 4 + coordinate.
    classes: int32 [B, R]; a number that is not a class takes the nearest one.

  Returns:
    float32 [B, R, 4].
  """
  num_rois, depth = box_outputs.shape.as_list()[1:]
  num_classes = depth // 4
  rows = tf.range(tf.size(classes)) * num_classes + tf.reshape(
      portability.clip_indices(classes, num_classes - 1), [-1])
  boxes = tf.gather(tf.reshape(box_outputs, [-1, 4]), rows)
  return tf.reshape(boxes, [-1, num_rois, 4])


def mask_loss(mask_outputs: tf.Tensor, mask_targets: tf.Tensor,
              class_targets: tf.Tensor, by_image: bool = False) -> tf.Tensor:
  """Cross entropy of the masks of objects, mean over their pixels.

  Args:
    mask_outputs: float32 [B, N, S, S], logits of the class of each region.
    mask_targets: float32 [B, N, S, S], in [0, 1].
    class_targets: int32 [B, N]; 0 is background.
    by_image: whether a loss of each image is wanted.

  Returns:
    float32 [], or [B] with `by_image`.

  Source: Mask R-CNN (arXiv:1703.06870), section 3.
  """
  with tf.name_scope('mask_loss'):
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.stop_gradient(mask_targets), logits=mask_outputs)
    is_object = tf.cast(class_targets > 0, tf.float32)
    by_mask = tf.reduce_mean(entropy, axis=[2, 3])
    axes = _axes(is_object, by_image)
    return (tf.reduce_sum(by_mask * is_object, axis=axes) /
            tf.maximum(tf.reduce_sum(is_object, axis=axes), 1.))
