"""Assigns ground-truth boxes to anchors by overlap.

An anchor is matched to the box with the highest IoU if that reaches
`matched_threshold`, is negative below `unmatched_threshold`, and ignored in
between; every box also gets the anchor with the highest IoU, however low that
is. Among equals the first box, and the first anchor, wins.

Anchors form a regular grid: a box overlaps only few of them enough to matter,
and where they are follows from arithmetic, so the cost depends on the number of
boxes and hardly on the number of anchors. The shapes depend on the data, so it
belongs in the input pipeline.

Source of the rule: Faster R-CNN (arXiv:1506.01497), section 3.1.2.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import boxes as box_ops

NEGATIVE = -1
IGNORED = -2

# Above any overlap, so that an anchor that a box claims goes to that box.
_FORCED = 2.

# float32 coordinates of some thousand pixels are good to this many pixels. Such
# overlaps as could tie after rounding must all be looked at.
_ROUNDING_PX = 2e-3


class GridMatches(NamedTuple):
  """The anchors that are not negative.

  Attributes:
    anchor_ids: int32 [U], unique flat indices.
    box_ids: int32 [U], the box of each.
    is_positive: bool [U]; the others are ignored.
  """
  anchor_ids: tf.Tensor
  box_ids: tf.Tensor
  is_positive: tf.Tensor


def check_thresholds(matched_threshold: float,
                     unmatched_threshold: float) -> None:
  """Checks that there is room for ignored anchors, or none.

  Args:
    matched_threshold: float, smallest IoU of a positive anchor.
    unmatched_threshold: float; below it an anchor is negative.

  Raises:
    ValueError: when they are in the wrong order.
  """
  if unmatched_threshold > matched_threshold:
    raise ValueError('unmatched_threshold %g must not exceed match_threshold '
                     '%g.' % (unmatched_threshold, matched_threshold))


def match_grid_anchors(boxes: tf.Tensor, grid: anchor_ops.AnchorGrid,
                       matched_threshold: float,
                       unmatched_threshold: float) -> GridMatches:
  """The box of every anchor by IoU, without the matrix of all overlaps.

  Args:
    boxes: float32 [K, 4], yxyx, pixels of the network input. Rows whose
      coordinates are all negative are padding and match nothing.
    grid: ops.anchors.AnchorGrid.
    matched_threshold: float, smallest IoU of a positive anchor.
    unmatched_threshold: float above 0; below it an anchor is negative.

  Returns:
    GridMatches; anchors that it does not name are negative.

  Raises:
    ValueError: for thresholds out of order or an `unmatched_threshold` of 0,
      with which no anchor would be negative.
  """
  check_thresholds(matched_threshold, unmatched_threshold)
  if unmatched_threshold <= 0:
    raise ValueError('unmatched_threshold must be above 0, not %g.'
                     % unmatched_threshold)
  with tf.name_scope('match_grid_anchors'):
    num_boxes = tf.shape(boxes)[0]
    windows = _candidate_windows(boxes, grid, unmatched_threshold)
    anchor_ids, box_ids = _enumerate_windows(windows, grid)
    overlaps = box_ops.paired_iou(tf.gather(boxes, box_ids),
                                  tf.gather(grid.boxes, anchor_ids))
    # A box that touches no anchor claims the first one, as an arg-max over a
    # row of zeros would give.
    _, forced_ids = _first_argmax(overlaps, box_ids, anchor_ids, num_boxes)
    forced_ids = tf.where(tf.equal(forced_ids, tf.int32.max),
                          tf.zeros_like(forced_ids), forced_ids)
    real = _indices(tf.reduce_max(boxes, axis=1) >= 0.)
    enough = _indices(overlaps >= unmatched_threshold)
    overlaps = tf.concat([tf.gather(overlaps, enough),
                          tf.fill(tf.shape(real), _FORCED)], axis=0)
    anchor_ids = tf.concat([tf.gather(anchor_ids, enough),
                            tf.gather(forced_ids, real)], axis=0)
    box_ids = tf.concat([tf.gather(box_ids, enough), real], axis=0)
    anchor_ids, slots = tf.unique(anchor_ids)
    best, box_ids = _first_argmax(overlaps, slots, box_ids,
                                  tf.size(anchor_ids))
    return GridMatches(anchor_ids, box_ids, best >= matched_threshold)


def _indices(condition):
  """int32 [M]: where the vector `condition` is true."""
  return tf.cast(tf.where(condition)[:, 0], tf.int32)


def _first_argmax(values, segments, ids, num_segments):
  """The largest value of each segment and the smallest id that has it.

  Args:
    values: float32 [N].
    segments: int32 [N].
    ids: int32 [N].
    num_segments: int32 [].

  Returns:
    float32 and int32 [num_segments]; lowest float, largest int where a segment
    is empty.
  """
  best = tf.unsorted_segment_max(values, segments, num_segments)
  is_best = tf.equal(values, tf.gather(best, segments))
  candidates = tf.where(is_best, ids, tf.fill(tf.shape(ids), tf.int32.max))
  return best, tf.unsorted_segment_min(candidates, segments, num_segments)


def _candidate_windows(boxes, grid, min_overlap):
  """Where the anchors are that can matter to a box.

  They are those with an IoU of `min_overlap`, or, when the box has none, its
  best one. With I the intersection and S the sum of both areas, IoU >= t means
  I >= S * t / (1 + t); and I is the product of an overlap in y, which depends
  on the row alone, and one in x. So for each box and anchor type the candidates
  lie in a window: rows that reach the bound with the best column, and columns
  that reach it with the best row.

  Args:
    boxes: float32 [K, 4].
    grid: AnchorGrid of T types.
    min_overlap: float.

  Returns:
    first_row, first_col, num_rows, num_cols: int32 [K, T]; sizes are 0 where a
    type has no candidate.
  """
  y0, x0, y1, x1 = tf.split(boxes, 4, axis=1)  # [K, 1] each
  box_h, box_w = y1 - y0, x1 - x0
  y, x = (y0 + y1) / 2., (x0 + x1) / 2.
  best_h = _best_overlap(y, box_h, grid.strides, grid.heights, grid.rows)
  best_w = _best_overlap(x, box_w, grid.strides, grid.widths, grid.cols)
  inter = best_h * best_w  # [K, T]
  areas = box_h * box_w + grid.heights * grid.widths
  best = tf.reduce_max(inter / (areas - inter), axis=1, keepdims=True)
  # Leaves room for rounding, which weighs more the smaller the box is.
  slack = tf.minimum(1e-3 + _ROUNDING_PX / tf.minimum(box_h, box_w), 0.5)
  overlap = tf.minimum(best, min_overlap) * (1. - slack)
  needed = areas * overlap / (1. + overlap)
  # Comparisons with NaN are false: a broken box has no window.
  valid = tf.logical_and(inter > 0., inter >= needed)
  valid = tf.logical_and(valid, tf.maximum(y1, x1) >= 0.)
  first_row, num_rows = _window(y, (box_h + grid.heights) / 2.,
                                needed / best_w, grid.strides, grid.rows)
  first_col, num_cols = _window(x, (box_w + grid.widths) / 2.,
                                needed / best_h, grid.strides, grid.cols)
  num_rows = tf.where(valid, num_rows, tf.zeros_like(num_rows))
  return first_row, first_col, num_rows, num_cols


def _best_overlap(center, size, strides, anchor_sizes, counts):
  """Overlap in one axis with the nearest anchor of each type, float32 [K, T].

  Args:
    center: float32 [K, 1], of the boxes.
    size: float32 [K, 1].
    strides: float32 [T].
    anchor_sizes: float32 [T].
    counts: int32 [T], rows or columns.
  """
  last = (counts - 1).astype('float32')
  nearest = tf.clip_by_value(tf.round(center / strides - 0.5), 0., last)
  distance = tf.abs((nearest + 0.5) * strides - center)
  overlap = tf.minimum(tf.minimum(size, anchor_sizes),
                       (size + anchor_sizes) / 2. - distance)
  return tf.maximum(overlap, 0.)


def _window(center, touching, needed, strides, counts):
  """Cells whose anchors overlap a box by `needed` pixels in one axis.

  Args:
    center: float32 [K, 1], of the boxes.
    touching: float32 [K, T], distance at which an anchor ceases to overlap.
    needed: float32 [K, T].
    strides: float32 [T].
    counts: int32 [T], rows or columns.

  Returns:
    First cell and number of cells, int32 [K, T].
  """
  reach = touching - needed + _ROUNDING_PX
  first = tf.ceil((center - reach) / strides - 0.5)
  last = tf.floor((center + reach) / strides - 0.5)
  first = tf.maximum(first, 0.)
  last = tf.minimum(last, (counts - 1).astype('float32'))
  size = tf.maximum(last - first + 1., 0.)
  return tf.cast(first, tf.int32), tf.cast(size, tf.int32)


def _enumerate_windows(windows, grid):
  """Lists the anchors of all windows.

  Args:
    windows: what `_candidate_windows` returns.
    grid: AnchorGrid.

  Returns:
    anchor_ids, box_ids: int32 [M].
  """
  first_row, first_col, num_rows, num_cols = windows
  counts = num_rows * num_cols
  row_steps = grid.cols * grid.steps
  first = grid.starts + first_row * row_steps + first_col * grid.steps
  windows = tf.where(counts > 0)  # [P, 2] of box and type
  box_ids, types = tf.unstack(tf.cast(windows, tf.int32), axis=1)
  counts, first, num_cols = tf.unstack(
      tf.gather_nd(tf.stack([counts, first, num_cols], axis=-1), windows),
      axis=1)
  ends = tf.cumsum(counts)
  members = tf.range(tf.reduce_sum(counts))
  window = tf.searchsorted(ends, members, side='right')  # [M]
  of_window = tf.stack(
      [box_ids, ends - counts, num_cols, first, tf.gather(row_steps, types),
       tf.gather(grid.steps, types)], axis=1)
  box_ids, start, num_cols, first, row_step, col_step = tf.unstack(
      tf.gather(of_window, window), axis=1)
  row = (members - start) // num_cols
  col = members - start - row * num_cols
  return first + row * row_step + col * col_step, box_ids
