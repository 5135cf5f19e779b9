"""Regions for the second stage, from the outputs of a region proposal network.

Static shapes throughout: the same graph serves CPU, GPU and TPU.
"""

from typing import Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import nms
from ops import tensor_types

_NO_SUPPRESSION = 2.  # above any overlap


def generate_proposals(box_outputs: tensor_types.Levels,
                       score_outputs: tensor_types.Levels,
                       anchor_boxes: tensor_types.Levels,
                       image_shape: tf.Tensor, pre_nms_top_k: int,
                       post_nms_top_k: int, nms_threshold: float,
                       score_threshold: float = 0.,
                       min_size_threshold: float = 0.,
                       use_batched_nms: bool = False,
                       apply_sigmoid: bool = True, decode_boxes: bool = True,
                       clip_boxes: bool = True) -> Tuple[tf.Tensor, tf.Tensor]:
  """The best boxes of all levels; boxes of one level do not overlap much.

  They are constants for the rest of the model: no gradient passes.

  Args:
    box_outputs: {level: float32 [B, h, w, A * 4]}, encoded boxes.
    score_outputs: {level: float32 [B, h, w, A]}, logits.
    anchor_boxes: {level: float32 [B, h * w * A, 4] or [h * w * A, 4]}, yxyx,
      pixels of the network input.
    image_shape: float32 [B, 1, 2] or [B, 2], (height, width) to clip to, same
      pixels.
    pre_nms_top_k: int, how many boxes of each level are looked at.
    post_nms_top_k: int, how many proposals there are in the end, K.
    nms_threshold: float; a box that overlaps a better one of its level by this
      much is dropped. 0 drops none.
    score_threshold: float; if above 0, only boxes that score more are proposed.
    min_size_threshold: float, pixels; if above 0, see box_ops.filter_by_size.
    use_batched_nms: follow the conventions of the kernel of that name. All
      boxes are looked at, of which `pre_nms_top_k` of a level may remain; they
      score more than `score_threshold` also if it is 0; an overlap of exactly
      the threshold is allowed; unused places score 0.
    apply_sigmoid: whether `score_outputs` are logits; otherwise they are
      scores, which are not negative.
    decode_boxes: whether `box_outputs` are encoded; otherwise they are boxes.
    clip_boxes: whether to clip to `image_shape`.

  Returns:
    rois: float32 [B, K, 4], yxyx, same pixels, best first; K is less than
      `post_nms_top_k` if there are fewer candidates. Zeros where unused.
    scores: float32 [B, K]; -1 where unused.

  Raises:
    ValueError: if the threshold of the overlap is negative.

  Source: Faster R-CNN (arXiv:1506.01497), section 3.1; per level as in Feature
  Pyramid Networks (arXiv:1612.03144), section 4.1.
  """
  if nms_threshold < 0:
    raise ValueError('nms_threshold must not be negative: %g.' % nms_threshold)
  image_shape = tf.reshape(image_shape, [-1, 1, 2])

  def to_boxes(encoded, anchors):
    boxes = encoded
    if decode_boxes:
      boxes = box_ops.decode_boxes(encoded, anchors)
    return box_ops.clip_boxes(boxes, image_shape) if clip_boxes else boxes

  def candidates(level):
    """Boxes and scores of a level, best first."""
    num_boxes = int(np.prod(score_outputs[level].shape.as_list()[1:]))
    scores = tf.reshape(
        tf.stop_gradient(score_outputs[level]), [-1, num_boxes])
    encoded = tf.stop_gradient(box_outputs[level])
    if apply_sigmoid:
      scores = tf.sigmoid(scores)
    limit = num_boxes if use_batched_nms else min(pre_nms_top_k, num_boxes)
    return _best_boxes(encoded, anchor_boxes[level], scores, limit, to_boxes,
                       image_shape, min_size_threshold)

  with tf.name_scope('generate_proposals'):
    parts = [candidates(level) for level in sorted(box_outputs)]
    threshold = nms_threshold or _NO_SUPPRESSION
    if use_batched_nms:
      return _suppress_by_level(parts, pre_nms_top_k, post_nms_top_k, threshold,
                                score_threshold)
    return _suppress_at_once(parts, post_nms_top_k, threshold, score_threshold)


def _best_boxes(encoded, anchors, scores, limit, to_boxes, image_shape,
                min_size_threshold):
  """The boxes of a level that score best.

  Args:
    encoded: float32 [B, h, w, A * 4], N = h * w * A.
    anchors: float32 [B, N, 4] or [N, 4].
    scores: float32 [B, N].
    limit: int, at most N.
    to_boxes: function of encoded boxes and anchors, [B, limit, 4] each.
    image_shape: float32 [B, 1, 2].
    min_size_threshold: float.

  Returns:
    boxes: float32 [B, limit, 4], best first; zeros where too small.
    scores: float32 [B, limit].
  """
  if min_size_threshold > 0:  # needs the boxes before their order
    encoded = tf.reshape(encoded, [-1, scores.shape[1].value, 4])
    boxes, scores = box_ops.filter_by_size(
        to_boxes(encoded, anchors), scores, image_shape, min_size_threshold)
    return box_ops.top_k_boxes(boxes, scores, limit)
  scores, rows = tf.nn.top_k(scores, limit)
  height, width, depth = encoded.shape.as_list()[1:]
  encoded = tf.reshape(encoded, [-1, height * width, depth])
  anchors = tf.convert_to_tensor(anchors)
  batch_dims = anchors.shape.ndims - 2
  anchors = tf.reshape(
      anchors, [-1] * batch_dims + [height * width, depth])
  return to_boxes(_boxes_of(encoded, rows, 1),
                  _boxes_of(anchors, rows, batch_dims)), scores


def _boxes_of(cells, rows, batch_dims):
  """Some boxes of a level.

  Reads all boxes of a cell, then chooses: on a TPU an axis of four next to the
  channels would be padded to 128.

  Args:
    cells: float32 [B, h * w, A * 4], or without B.
    rows: int32 [B, K], numbers below h * w * A.
    batch_dims: 1, or 0 without B.

  Returns:
    float32 [B, K, 4].
  """
  num_anchors = cells.shape[-1].value // 4
  boxes = tf.gather(cells, rows // num_anchors, batch_dims=batch_dims)
  anchor = tf.expand_dims(rows % num_anchors, 2)
  result = boxes[:, :, :4]
  for i in range(1, num_anchors):
    result = tf.where_v2(tf.equal(anchor, i), boxes[:, :, 4 * i:4 * i + 4],
                         result)
  return result


def _suppress_at_once(parts, max_output_size, threshold, score_threshold):
  """Suppresses in all levels together, until enough boxes are kept.

  This is the same as doing it level by level and taking the best of all, as a
  level cannot have more among the best than there are. But boxes that would not
  be among them are not looked at.

  Args:
    parts: [(boxes, scores)] of the levels, best first; boxes of zeros are
      removed ones.
    max_output_size: int.
    threshold: float.
    score_threshold: float.

  Returns:
    boxes [B, K, 4] and scores [B, K].
  """
  sizes = [scores.shape[1].value for _, scores in parts]
  boxes, scores = [tf.concat(values, axis=1) for values in zip(*parts)]
  if score_threshold > 0:
    boxes, scores = box_ops.filter_by_score(boxes, scores, score_threshold)
  scores, rows = tf.nn.top_k(scores, sum(sizes))
  classes = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
  scores, boxes = nms.sorted_nms_padded(
      scores, tf.gather(boxes, rows, batch_dims=1),
      min(max_output_size, sum(sizes)), threshold, tf.gather(classes, rows),
      len(sizes))
  return boxes, scores


def _suppress_by_level(parts, max_per_level, max_output_size, threshold,
                       score_threshold):
  """Suppresses in each level and takes the best of all.

  Args:
    parts: as in `_suppress_at_once`.
    max_per_level: int.
    max_output_size: int.
    threshold: float.
    score_threshold: float.

  Returns:
    boxes [B, K, 4] and scores [B, K].
  """
  kept = []
  for boxes, scores in parts:
    positions, num_kept = nms.select(
        boxes, scores > score_threshold,
        min(max_per_level, max_output_size, scores.shape[1].value), threshold)
    in_use = tf.sequence_mask(
        num_kept, positions.shape[1].value, dtype=scores.dtype)
    kept.append((
        tf.gather(boxes, positions, batch_dims=1) * in_use[..., tf.newaxis],
        tf.gather(scores, positions, batch_dims=1) * in_use))
  boxes, scores = [tf.concat(values, axis=1) for values in zip(*kept)]
  return box_ops.top_k_boxes(
      boxes, scores, min(max_output_size, scores.shape[1].value))
