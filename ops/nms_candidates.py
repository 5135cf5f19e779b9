"""Chooses the pairs of box and class that suppression looks at, in order.

Sorting all pairs of a RetinaNet, seven million an image, would take longer than
the rest of the prediction. A pool holds the boxes with the best scores, and a
bound on the scores of those that were left out.
"""

from typing import NamedTuple, Optional, Sequence

import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import portability
from ops import tensor_types

# Rounding may order sigmoid scores unlike their logits, by about this much.
_SCORE_ROUNDING = 1e-6


class Pool(NamedTuple):
  """Boxes and their scores.

  Attributes:
    boxes: float32 [B, N, 1 or C, 4], yxyx, pixels of the network input,
      clipped; C without background.
    scores: float32 [B, N, C].
    bound: float32 [B], no pair that was left out scores more; None if nothing
      was left out.
  """
  boxes: tf.Tensor
  scores: tf.Tensor
  bound: Optional[tf.Tensor]


class Ranking(NamedTuple):
  """Pairs of a pool, best first.

  Attributes:
    boxes: float32 [B, L, 4], yxyx, pixels of the network input.
    scores: float32 [B, L].
    classes: int32 [B, L], from 0.
    valid: bool [B, L], scores above the threshold and above every pair that is
      missing here.
    complete: bool [B], no pair above the threshold is missing; None if none is
      missing for any input.
  """
  boxes: tf.Tensor
  scores: tf.Tensor
  classes: tf.Tensor
  valid: tf.Tensor
  complete: Optional[tf.Tensor]


class DenseOutputs:
  """Outputs of a dense head, all levels in a row; 76,725 anchors at 640."""

  def __init__(self, box_outputs: tensor_types.Levels,
               class_outputs: tensor_types.Levels, anchors: tensor_types.Levels,
               image_shape: tf.Tensor, apply_sigmoid: bool = True) -> None:
    """Flattens; for arguments see `detections.generate_one_stage_detections`.

    Args:
      box_outputs: {level: float32 [B, h, w, A * 4]}.
      class_outputs: {level: float32 [B, h, w, A * C]}.
      anchors: {level: float32 [B, h * w * A, 4] or [h * w * A, 4]}.
      image_shape: float32 [B, 1, 2] or [B, 2].
      apply_sigmoid: whether `class_outputs` are logits.
    """
    levels = sorted(box_outputs)
    num_classes = (4 * int(class_outputs[levels[0]].shape[-1])
                   // int(box_outputs[levels[0]].shape[-1]))
    self.encoded_boxes = _flatten(box_outputs, levels, 4)
    # Kept by level: a copy of all logits would take as long as all the rest.
    self._logits = [_flatten(class_outputs, [level], num_classes)
                    for level in levels]
    # The background takes part, as leaving it out would be such a copy. It can
    # only make an anchor look better than it is.
    self._best_logits = tf.concat(
        [tf.reduce_max(logits, axis=2) for logits in self._logits], axis=1)
    self._boxes = _clip(box_ops.decode_boxes(
        self.encoded_boxes,
        tf.concat([anchors[level] for level in levels], axis=-2)), image_shape)
    self._to_scores = tf.sigmoid if apply_sigmoid else tf.identity

  def pool(self, size: Optional[int] = None) -> Pool:
    """The `size` anchors with the best scores, or all.

    Args:
      size: int, N of the result; None for all.

    Returns:
      Pool; anchors keep their order.
    """
    if size is None or size >= self._boxes.shape[1].value:
      scores = self._to_scores(tf.concat(self._logits, axis=1)[:, :, 1:])
      return Pool(tf.expand_dims(self._boxes, 2), scores, None)
    best_logits, rows = tf.nn.top_k(self._best_logits, size)
    rows = _sort_ascending(rows)
    boxes = tf.gather(self._boxes, rows, batch_dims=1)
    scores = self._to_scores(_gather_rows(self._logits, rows)[:, :, 1:])
    bound = self._to_scores(best_logits[:, -1])
    bound += _SCORE_ROUNDING * tf.abs(bound)
    return Pool(tf.expand_dims(boxes, 2), scores, bound)

  def first_class_box(self) -> tf.Tensor:
    """The box that scores best in class 1; float32 [B, 4], as in a Pool."""
    return _best_box(
        self._boxes,
        tf.concat([logits[:, :, 1] for logits in self._logits], axis=1))


class RegionOutputs:
  """Outputs of a region head, for some thousand regions at most."""

  def __init__(self, box_outputs: tf.Tensor, class_outputs: tf.Tensor,
               rois: tf.Tensor, image_shape: tf.Tensor,
               regression_weights: Sequence[float]) -> None:
    """Decodes; for arguments see `detections.generate_two_stage_detections`.

    Args:
      box_outputs: float32 [B, R, C * 4] or [B, R, 4].
      class_outputs: float32 [B, R, C], logits.
      rois: float32 [B, R, 4].
      image_shape: float32 [B, 1, 2] or [B, 2].
      regression_weights: four floats.
    """
    num_rois, num_classes = class_outputs.shape.as_list()[1:]
    self._scores = tf.nn.softmax(class_outputs)[:, :, 1:]
    num_boxes = box_outputs.shape[2].value // 4
    encoded_boxes = tf.reshape(box_outputs, [-1, num_rois, num_boxes, 4])
    if num_boxes == num_classes:
      encoded_boxes = encoded_boxes[:, :, 1:]
      num_boxes -= 1
    boxes = box_ops.decode_boxes(
        encoded_boxes, tf.expand_dims(rois, 2), regression_weights)
    boxes = _clip(tf.reshape(boxes, [-1, num_rois * num_boxes, 4]), image_shape)
    self._boxes = tf.reshape(boxes, [-1, num_rois, num_boxes, 4])

  def pool(self, size: Optional[int] = None) -> Pool:
    """Pool of all boxes, whatever the size: they are few."""
    del size
    return Pool(self._boxes, self._scores, None)

  def first_class_box(self) -> tf.Tensor:
    """The box that scores best in class 1; float32 [B, 4], as in a Pool."""
    return _best_box(self._boxes[:, :, 0], self._scores[:, :, 0])


def rank(pool: Pool, size: Optional[int], limit: Optional[int],
         score_threshold: float) -> Ranking:
  """Puts pairs of box and class in order: by score, then class, then box.

  Args:
    pool: Pool.
    size: int, how many pairs at most; None for all.
    limit: int or None; only so many pairs of each class are valid.
    score_threshold: float.

  Returns:
    Ranking.
  """
  num_boxes, num_classes = pool.scores.shape.as_list()[1:]
  scores = tf.transpose(pool.scores, [0, 2, 1])
  rows = None
  if size is None and limit is not None and limit < num_boxes:
    scores, rows = tf.nn.top_k(scores, limit)
  per_class = scores.shape[2].value
  num_pairs = num_classes * per_class
  size = min(size or num_pairs, num_pairs)
  # Top-k takes the first of equals.
  scores, pairs = tf.nn.top_k(tf.reshape(scores, [-1, num_pairs]), size)
  classes = pairs // per_class
  if rows is None:
    rows = pairs % per_class
  else:
    rows = tf.gather(tf.reshape(rows, [-1, num_pairs]), pairs, batch_dims=1)

  valid = scores > score_threshold
  complete = None
  if pool.bound is not None:
    valid = tf.logical_and(valid, scores > tf.expand_dims(pool.bound, 1))
    complete = pool.bound <= score_threshold
  if size < num_pairs:
    reaches_down = scores[:, -1] <= score_threshold
    complete = reaches_down if complete is None else tf.logical_and(
        complete, reaches_down)
  if limit is not None and limit < min(size, per_class):
    valid = tf.logical_and(valid, _count_before(classes, num_classes) < limit)
  return Ranking(_gather_boxes(pool.boxes, rows, classes), scores, classes,
                 valid, complete)


def _flatten(by_level, levels, width):
  """[B, h, w, A * width] of some levels as one [B, N, width]."""
  flat = []
  for level in levels:
    height, columns, channels = [int(d) for d in by_level[level].shape[1:]]
    flat.append(tf.reshape(
        by_level[level], [-1, height * columns * channels // width, width]))
  return flat[0] if len(flat) == 1 else tf.concat(flat, axis=1)


def _best_box(boxes, scores):
  """The box of [B, N, 4] with the highest of scores [B, N]."""
  best = tf.argmax(scores, axis=1, output_type=tf.int32)
  # TF 1.15 has no batch_dims for indices of one dimension.
  return tf.squeeze(
      tf.gather(boxes, tf.expand_dims(best, 1), batch_dims=1), 1)


def _gather_rows(levels, rows):
  """Rows [B, R, C] of arrays [B, N_l, C], numbered as if they were one."""
  width = levels[0].shape[2].value
  result, start = None, 0
  for values in levels:
    num_rows = values.shape[1].value
    local = portability.clip_indices(rows - start, num_rows - 1)
    part = tf.reshape(tf.gather(values, local, batch_dims=1), [-1, width])
    # Selecting whole rows is faster than broadcasting the condition.
    result = part if result is None else tf.where(
        tf.reshape(rows >= start, [-1]), part, result)
    start += num_rows
  return tf.reshape(result, [-1, rows.shape[1].value, width])


def _gather_boxes(boxes, rows, classes):
  """Boxes [B, L, 4] of [B, N, 1 or C, 4] at `rows` and `classes` [B, L]."""
  num_rows, per_row = boxes.shape.as_list()[1:3]
  if per_row > 1:
    rows = rows * per_row + classes
  return tf.gather(
      tf.reshape(boxes, [-1, num_rows * per_row, 4]), rows, batch_dims=1)


def _sort_ascending(rows):
  """Sorts int32 [B, R]; every device has a kernel of top-k."""
  return -tf.nn.top_k(-rows, rows.shape[1].value)[0]


def _count_before(classes, num_classes):
  """How often the class of each place came up before; int32 [B, L]."""
  one_hot = tf.one_hot(classes, num_classes)
  counts = tf.cumsum(one_hot, axis=1, exclusive=True)
  return tf.cast(tf.reduce_sum(counts * one_hot, axis=2), tf.int32)


def _clip(boxes, image_shape):
  """Clips boxes [B, N, 4] to images of [B, 2] or [B, 1, 2]."""
  image_shape = tf.convert_to_tensor(image_shape)
  if image_shape.shape.ndims == 2:
    image_shape = tf.expand_dims(image_shape, 1)
  return box_ops.clip_boxes(boxes, image_shape)
