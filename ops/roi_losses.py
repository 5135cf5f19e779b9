"""Losses of two-stage models.

Every function returns a float32 scalar, 0 where there is nothing to learn from;
targets carry no gradient.
"""

import tensorflow.compat.v1 as tf

from ops import losses as loss_ops
from ops import tensor_types


def rpn_score_loss(score_outputs: tensor_types.Levels,
                   score_targets: tensor_types.Levels,
                   rpn_batch_size_per_im: int) -> tf.Tensor:
  """Cross entropy of the sampled anchors, object or background.

  Args:
    score_outputs: {level: float32 [B, h, w, A]}, logits.
    score_targets: {level: int32 [B, h, w, A]}, 1 object, 0 background; others
      do not count.
    rpn_batch_size_per_im: int; the loss is divided by B times this, however
      many anchors were sampled.

  Returns:
    float32 [].

  Source: Faster R-CNN (arXiv:1506.01497), section 3.1.2.
  """
  with tf.name_scope('rpn_score_loss'):
    sums = []
    for level in sorted(score_outputs):
      logits, targets = score_outputs[level], score_targets[level]
      is_sampled = tf.logical_or(tf.equal(targets, 0), tf.equal(targets, 1))
      entropy = tf.nn.sigmoid_cross_entropy_with_logits(
          labels=tf.cast(targets, tf.float32), logits=logits)
      sums.append(_masked_sum(entropy, is_sampled))
    batch_size = tf.cast(tf.shape(logits)[0], tf.float32)
    return tf.add_n(sums) / (batch_size * rpn_batch_size_per_im)


def _masked_sum(values, condition):
  """Sum of the values where a condition of the same shape holds."""
  return tf.reduce_sum(values * tf.cast(condition, values.dtype))


def rpn_box_loss(box_outputs: tensor_types.Levels,
                 box_targets: tensor_types.Levels,
                 huber_loss_delta: float) -> tf.Tensor:
  """Huber loss over the coordinates of matched anchors.

  Each level is averaged separately, then the levels are added: a level with few
  matches weighs as much as one with many. A coordinate whose target is exactly
  0 does not count, as in published training.

  Args:
    box_outputs: {level: float32 [B, h, w, 4*A]}.
    box_targets: {level: float32 [B, h, w, 4*A]}.
    huber_loss_delta: float, where the loss turns from square to linear.

  Returns:
    float32 [].
  """
  with tf.name_scope('rpn_box_loss'):
    return tf.add_n([
        _mean_huber(box_outputs[level], box_targets[level],
                    tf.not_equal(box_targets[level], 0.), huber_loss_delta)
        for level in sorted(box_outputs)])


def _mean_huber(outputs, targets, condition, delta):
  """Mean Huber loss where a condition of the same shape holds; 0 if nowhere."""
  count = tf.reduce_sum(tf.cast(condition, tf.float32))
  return _masked_sum(loss_ops.huber(outputs, targets, delta),
                     condition) / tf.maximum(count, 1.)


def fast_rcnn_class_loss(class_outputs: tf.Tensor,
                         class_targets: tf.Tensor) -> tf.Tensor:
  """Softmax cross entropy, mean over all regions.

  Args:
    class_outputs: float32 [B, R, C], logits.
    class_targets: int32 [B, R], 0 is background. Regions with a negative target
      add 0 to the loss, but count in the mean.

  Returns:
    float32 [].

  Source: Fast R-CNN (arXiv:1504.08083), section 2.3.
  """
  with tf.name_scope('fast_rcnn_class_loss'):
    entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=tf.maximum(class_targets, 0), logits=class_outputs)
    return tf.reduce_mean(entropy * tf.cast(class_targets >= 0, entropy.dtype))


def fast_rcnn_box_loss(box_outputs: tf.Tensor, class_targets: tf.Tensor,
                       box_targets: tf.Tensor, huber_loss_delta: float,
                       class_agnostic: bool = False) -> tf.Tensor:
  """Huber loss of the boxes of regions with an object, mean over coordinates.

  Args:
    box_outputs: float32 [B, R, 4*C], or [B, R, 4] if class-agnostic.
    class_targets: int32 [B, R]; 0 is background.
    box_targets: float32 [B, R, 4].
    huber_loss_delta: float, where the loss turns from square to linear.
    class_agnostic: whether the same box serves all classes.

  Returns:
    float32 [].

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
    return _mean_huber(box_outputs, box_targets, is_object, huber_loss_delta)


def boxes_of_class(box_outputs: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
  """The boxes [B, R, 4] among [B, R, 4*C] that belong to a class [B, R]."""
  num_rois, depth = box_outputs.shape.as_list()[1:]
  num_classes = depth // 4
  rows = tf.range(tf.size(classes)) * num_classes + tf.reshape(
      tf.clip_by_value(classes, 0, num_classes - 1), [-1])
  boxes = tf.gather(tf.reshape(box_outputs, [-1, 4]), rows)
  return tf.reshape(boxes, [-1, num_rois, 4])


def mask_loss(mask_outputs: tf.Tensor, mask_targets: tf.Tensor,
              class_targets: tf.Tensor) -> tf.Tensor:
  """Cross entropy of the masks of objects, mean over their pixels.

  Args:
    mask_outputs: float32 [B, N, S, S], logits of the class of each region.
    mask_targets: float32 [B, N, S, S], in [0, 1].
    class_targets: int32 [B, N]; 0 is background.

  Returns:
    float32 [].

  Source: Mask R-CNN (arXiv:1703.06870), section 3.
  """
  with tf.name_scope('mask_loss'):
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(
        labels=tf.stop_gradient(mask_targets), logits=mask_outputs)
    is_object = tf.cast(class_targets > 0, tf.float32)
    by_mask = tf.reduce_mean(entropy, axis=[2, 3])
    return (tf.reduce_sum(by_mask * is_object) /
            tf.maximum(tf.reduce_sum(is_object), 1.))
