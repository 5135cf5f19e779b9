"""Non-maximum suppression with static shapes, on CPU, GPU and TPU alike.

Greedy suppression visits the boxes in order of score and drops every box that
overlaps a kept one too much. A kernel does this box by box; here it is done
tile by tile with dense blocks of overlaps, which XLA compiles well for a TPU:
no data dependent shapes, and a loop that ends as soon as enough boxes are kept.
The result is that of the greedy rule, box for box.
"""

from typing import Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from ops import portability

# Boxes settled per turn of the loop. Larger tiles mean fewer turns but
# quadratic blocks; this is a TPU lane width, and the fastest tried on a CPU.
TILE = 128

# Keeps 0 / 0, the overlap of two boxes without area, at 0.
MIN_AREA = 1e-12


def select(boxes: tf.Tensor, valid: tf.Tensor, max_output_size: int,
           iou_threshold: float, classes: Optional[tf.Tensor] = None,
           inclusive: bool = False,
           num_classes: Optional[int] = None) -> Tuple[tf.Tensor, tf.Tensor]:
  """Greedy suppression among boxes that are sorted by score.

  Args:
    boxes: float32 [B, N, 4], yxyx, in any space, best first.
    valid: bool [B, N]; False for padding, which is never kept.
    max_output_size: int, the number K of places for kept boxes.
    iou_threshold: float; see `inclusive`.
    classes: int32 [B, N], or None; boxes of different classes do not suppress
      each other.
    inclusive: whether an overlap of exactly the threshold suppresses, too. No
      overlap at all never does.
    num_classes: int, above all of `classes`; needed where graphs have no
      loops, see ops/portability.py.

  Returns:
    positions: int32 [B, K], rows of `boxes` in order; 0 where unused.
    num_kept: int32 [B].

  Source: greedy suppression, as R-CNN (arXiv:1311.2524), section 2.2, does it.
  """
  with tf.name_scope('nms'):
    if not portability.has_loops():
      return _select_by_kernel(boxes, valid, max_output_size, iou_threshold,
                               classes, num_classes, inclusive)
    batch_size = tf.shape(boxes)[0]
    boxes, valid, classes = _pad_to_tiles(boxes, valid, classes)
    if classes is not None:
      classes = tf.cast(classes, tf.float32)
    # The loop need not look past the last valid box of the batch.
    places = tf.range(1, tf.shape(valid)[1] + 1)
    num_candidates = tf.reduce_max(tf.cast(valid, tf.int32) * places)

    def is_too_much(overlaps):
      if inclusive and iou_threshold > 0:
        return overlaps >= iou_threshold
      return overlaps > iou_threshold

    def unfinished(start, positions, num_kept):
      del positions
      return tf.logical_and(
          start < num_candidates,
          tf.reduce_any(num_kept < max_output_size))

    def settle_tile(start, positions, num_kept):
      """Decides on the TILE boxes at `start`, given the kept ones before."""
      tile = _tile(boxes, classes, start)
      kept = _kept(boxes, classes, positions, num_kept)
      alive = tf.logical_and(_slice_tile(valid, start), tf.logical_not(
          is_too_much(tf.reduce_max(_overlaps(kept, tile), axis=1))))
      alive = _suppress_within(is_too_much(_overlaps(tile, tile)), alive)
      positions, num_kept = _append(
          positions, num_kept, alive, start, max_output_size)
      return start + TILE, positions, num_kept

    _, positions, num_kept = tf.while_loop(
        unfinished, settle_tile,
        [0, tf.zeros([batch_size, max_output_size], tf.int32),
         tf.zeros([batch_size], tf.int32)],
        shape_invariants=[
            tf.TensorShape([]),
            tf.TensorShape([boxes.shape[0], max_output_size]),
            tf.TensorShape([boxes.shape[0]])],
        parallel_iterations=1, back_prop=False)
    return positions, num_kept


def _select_by_kernel(boxes, valid, max_output_size, iou_threshold, classes,
                      num_classes, inclusive):
  """`select` as one operation that other formats also have.

  Its scores are the places of the boxes, counted from the end, so that the
  scores of the kept boxes identify them.
  """
  num_boxes = boxes.shape[1].value
  countdown = tf.range(num_boxes, 0, -1, dtype=tf.float32)
  scores = tf.where(valid, tf.zeros_like(boxes[:, :, 0]) + countdown,
                    -tf.ones_like(boxes[:, :, 0]))[:, :, tf.newaxis]
  if classes is not None:
    scores *= tf.one_hot(classes, num_classes)
  threshold = np.float32(iou_threshold)
  if inclusive and threshold > 0:
    threshold = np.nextafter(threshold, np.float32(0))
  kept = tf.raw_ops.CombinedNonMaxSuppression(
      boxes=tf.expand_dims(boxes, 2), scores=scores,
      max_output_size_per_class=max_output_size,
      max_total_size=max_output_size,
      # No overlap is more than 1, and the operation takes no larger numbers.
      iou_threshold=float(min(threshold, 1.)), score_threshold=0.,
      pad_per_class=False, clip_boxes=False)
  in_use = tf.sequence_mask(kept.valid_detections, max_output_size,
                            dtype=tf.int32)
  positions = num_boxes - tf.cast(tf.round(kept.nmsed_scores), tf.int32)
  return positions * in_use, kept.valid_detections


def sorted_nms_padded(
    scores: tf.Tensor, boxes: tf.Tensor, max_output_size: int,
    iou_threshold: float, classes: Optional[tf.Tensor] = None,
    num_classes: Optional[int] = None) -> Tuple[tf.Tensor, tf.Tensor]:
  """Boxes that overlap no better one by `iou_threshold` or more.

  Args:
    scores: float32 [B, N], descending.
    boxes: float32 [B, N, 4], yxyx, in any space. A box of four zeros stands
      for a removed one and is never returned.
    max_output_size: int, K; may exceed N.
    iou_threshold: float; an overlap of exactly this suppresses.
    classes: int32 [B, N], or None; boxes of different classes do not suppress
      each other.
    num_classes: int; see `select`.

  Returns:
    scores: float32 [B, K], descending, padded with -1.
    boxes: float32 [B, K, 4], padded with 0.

  Source: greedy NMS, as upstream's `sorted_non_max_suppression_padded`.
  """
  with tf.name_scope('sorted_nms_padded'):
    valid = tf.reduce_any(tf.not_equal(boxes, 0.), axis=2)
    positions, num_kept = select(
        boxes, valid, max_output_size, iou_threshold, classes, inclusive=True,
        num_classes=num_classes)
    in_use = tf.sequence_mask(num_kept, max_output_size)
    scores = tf.gather(scores, positions, batch_dims=1)
    boxes = tf.gather(boxes, positions, batch_dims=1)
    return (tf.where(in_use, scores, -tf.ones_like(scores)),
            boxes * tf.expand_dims(tf.cast(in_use, boxes.dtype), 2))


def _pad_to_tiles(boxes, valid, classes):
  """Appends invalid boxes up to a multiple of TILE."""
  num_boxes = boxes.shape[1].value
  missing = -num_boxes % TILE if num_boxes else TILE
  boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0]])
  # TFLite pads numbers only.
  valid = tf.pad(tf.cast(valid, tf.int32), [[0, 0], [0, missing]]) > 0
  if classes is not None:
    classes = tf.pad(classes, [[0, 0], [0, missing]])
  return boxes, valid, classes


def _tile(boxes, classes, start):
  """(boxes, classes) of the TILE boxes from `start`; classes may be None."""
  return (_slice_tile(boxes, start),
          None if classes is None else _slice_tile(classes, start))


def _slice_tile(values, start):
  """values[:, start:start + TILE]; XLA wants all sizes spelled out."""
  rest = values.shape.as_list()[2:]
  result = tf.slice(values, [0, start] + [0] * len(rest),
                    [tf.shape(values)[0], TILE] + rest)
  result.set_shape([values.shape[0], TILE] + rest)
  return result


def _kept(boxes, classes, positions, num_kept):
  """(boxes, classes) at `positions` [B, K]; boxes of zeros where unused."""
  in_use = tf.sequence_mask(
      num_kept, positions.shape[1].value, dtype=boxes.dtype)
  kept = tf.gather(boxes, positions, batch_dims=1)
  return (kept * tf.expand_dims(in_use, 2),
          None if classes is None
          else tf.gather(classes, positions, batch_dims=1))


def _overlaps(boxes, others):
  """The overlaps that suppression compares with its threshold.

  Args:
    boxes: (float32 [B, N, 4], float32 classes [B, N] or None).
    others: (float32 [B, M, 4], float32 classes [B, M] or None).

  Returns:
    float32 [B, N, M], intersection over union; not above 0 for different
    classes.
  """
  iou = pairwise_iou(boxes[0], others[0])
  if boxes[1] is None:
    return iou
  # At least 1 for different classes. Numbers are faster to compare than
  # classes, and truth values slower to combine, by a factor of three.
  return iou - tf.math.squared_difference(
      tf.expand_dims(boxes[1], 2), tf.expand_dims(others[1], 1))


def pairwise_iou(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
  """Intersection over union; a box without area overlaps nothing.

  Unlike `ops.boxes.pairwise_iou` nothing is taken for padding, corners may come
  in any order, and the arithmetic is that of the NMS kernels, so that exact
  thresholds come out alike.

  Args:
    boxes: float32 [B, N, 4], (y, x) of two opposite corners.
    others: float32 [B, M, 4], same space.

  Returns:
    float32 [B, N, M].
  """
  y0, x0, y1, x1 = _corners(boxes, 2)
  other_y0, other_x0, other_y1, other_x1 = _corners(others, 1)
  height = tf.nn.relu(tf.minimum(y1, other_y1) - tf.maximum(y0, other_y0))
  width = tf.nn.relu(tf.minimum(x1, other_x1) - tf.maximum(x0, other_x0))
  intersection = height * width
  union = ((y1 - y0) * (x1 - x0)
           + (other_y1 - other_y0) * (other_x1 - other_x0) - intersection)
  return intersection / tf.maximum(union, MIN_AREA)


def _corners(boxes, axis):
  """Sorted corners, four of [B, N, 1] for axis 2 or [B, 1, N] for axis 1."""
  y0, x0, y1, x1 = [tf.expand_dims(c, axis) for c in tf.unstack(boxes, axis=2)]
  return (tf.minimum(y0, y1), tf.minimum(x0, x1),
          tf.maximum(y0, y1), tf.maximum(x0, x1))


def _suppress_within(suppresses, alive):
  """Applies the greedy rule inside a tile.

  A box is kept when no kept box before it suppresses it. Starting from all
  alive boxes and applying this to all at once, the first n boxes of every chain
  of suppressions are right after n rounds; a round without change is the end.

  Args:
    suppresses: bool [B, T, T], [b, i, j]: i suppresses j if i is better.
    alive: bool [B, T], not suppressed from outside.

  Returns:
    bool [B, T].
  """
  size = suppresses.shape[1].value
  places = tf.range(size)
  is_better = tf.expand_dims(places, 1) < tf.expand_dims(places, 0)
  edges = tf.cast(tf.logical_and(suppresses, is_better), tf.float32)
  # [B, 1, T] all through the loop: TFLite cannot convert a product of matrices
  # that is squeezed.
  alive = tf.expand_dims(tf.cast(alive, tf.float32), 1)

  def apply_rule(kept):
    # Counts of suppressors, exact in any precision as far as 0 is concerned.
    hits = tf.matmul(kept, edges)
    return alive * tf.cast(tf.equal(hits, 0.), tf.float32)

  def changed(before, kept):
    return tf.reduce_any(tf.not_equal(before, kept))

  _, kept = tf.while_loop(
      changed, lambda before, kept: (kept, apply_rule(kept)),
      [alive, apply_rule(alive)], parallel_iterations=1, back_prop=False)
  return tf.squeeze(kept, 1) > 0.


def _append(positions, num_kept, alive, start, max_output_size):
  """Appends the places of the alive boxes of a tile to those of the kept ones.

  Args:
    positions: int32 [B, K], the first `num_kept` in use.
    num_kept: int32 [B].
    alive: bool [B, T].
    start: int32 [], place of the tile's first box.
    max_output_size: int, K.

  Returns:
    positions and num_kept, updated; places beyond K are left out.
  """
  # Top-k of descending numbers packs the alive places to the front, in order.
  countdown = tf.range(TILE, 0, -1)
  packed, _ = tf.nn.top_k(tf.cast(alive, tf.int32) * countdown, TILE)
  new_positions = start + TILE - packed
  places = tf.expand_dims(tf.range(max_output_size), 0)
  rank = places - tf.expand_dims(num_kept, 1)
  new_positions = tf.gather(
      new_positions, tf.clip_by_value(rank, 0, TILE - 1), batch_dims=1)
  num_alive = tf.reduce_sum(tf.cast(alive, tf.int32), axis=1)
  is_new = tf.logical_and(rank >= 0, rank < tf.expand_dims(num_alive, 1))
  positions = tf.where(is_new, new_positions, positions)
  return positions, tf.minimum(num_kept + num_alive, max_output_size)
