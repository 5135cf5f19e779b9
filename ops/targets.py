"""The targets that a loss compares the outputs of a head with."""

from typing import Callable, Mapping, Tuple

import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import boxes as box_ops
from ops import matching
from ops import tensor_types


def label_retinanet_anchors(
    anchors: tensor_types.LevelArrays, boxes: tf.Tensor, classes: tf.Tensor,
    image_size: Tuple[int, int], match_threshold: float,
    unmatched_threshold: float
) -> Tuple[tensor_types.Levels, tensor_types.Levels, tf.Tensor]:
  """Training targets of a dense one-stage head, for one image.

  Made for the input pipeline: only the anchors near a box are looked at and
  only the matched ones are encoded, so shapes inside depend on the data.

  Args:
    anchors: {level: float32 NumPy array [h*w*A, 4]}, of AnchorGenerator.boxes.
    boxes: float32 [K, 4], yxyx, pixels of the network input. K may be 0. Rows
      whose coordinates are all negative are padding.
    classes: int [K], class of each box.
    image_size: (height, width), ints, of the network input.
    match_threshold: float, smallest IoU of a positive anchor.
    unmatched_threshold: float in (0, match_threshold]; anchors with an IoU
      below it are background, those between the two are ignored. Every box
      has a positive anchor nevertheless.

  Returns:
    cls_targets: {level: int32 [h, w, A]}, class id, -1 background, -2 ignored.
    box_targets: {level: float32 [h, w, 4*A]}, (dy, dx, dh, dw) of
      `boxes.encode_anchor_targets`, zeros where nothing matched.
    num_positives: float32 [].

  Raises:
    ValueError: if the anchors are not a regular grid for this image size, for
      thresholds out of order or an `unmatched_threshold` of 0.

  Source: RetinaNet (arXiv:1708.02002), section 4.
  """
  grid = anchor_ops.make_grid(anchors, image_size)
  with tf.name_scope('label_retinanet_anchors'):
    matches = matching.match_grid_anchors(boxes, grid, match_threshold,
                                          unmatched_threshold)
    classes = tf.gather(tf.cast(classes, tf.int32), matches.box_ids)
    labels = tf.where(matches.is_positive, classes,
                      tf.fill(tf.shape(classes), matching.IGNORED))
    cls_targets = tf.tensor_scatter_update(
        tf.fill([len(grid.boxes)], matching.NEGATIVE),
        matches.anchor_ids[:, tf.newaxis], labels)
    box_targets, anchor_ids = _anchor_box_targets(boxes, matches, grid)
    num_positives = tf.cast(tf.size(anchor_ids), tf.float32)
    return (unpack_levels(cls_targets, grid.level_shapes),
            unpack_levels(box_targets, grid.level_shapes), num_positives)


def label_rpn_anchors(
    anchors: tensor_types.LevelArrays, boxes: tf.Tensor,
    image_size: Tuple[int, int], match_threshold: float,
    unmatched_threshold: float, batch_size_per_im: int, fg_fraction: float,
    choose: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
) -> Tuple[tensor_types.Levels, tensor_types.Levels]:
  """Training targets of a region proposal network, for one image.

  Made for the input pipeline, like `label_retinanet_anchors`. All objects are
  one class here.

  Args:
    anchors: {level: float32 NumPy array [h*w*A, 4]}, of AnchorGenerator.boxes.
    boxes: float32 [K, 4], yxyx, pixels of the network input. K may be 0. Rows
      whose coordinates are all negative are padding.
    image_size: (height, width), ints, of the network input.
    match_threshold: float, smallest IoU of a positive anchor.
    unmatched_threshold: float in (0, match_threshold]; anchors with an IoU
      below it are negative. Every box has a positive anchor nevertheless.
    batch_size_per_im: int, anchors that are sampled for the score loss.
    fg_fraction: float, at most this share of them is positive.
    choose: function of int32 scalars (size, count) to int32 [min(size,
      count)], different numbers below size: `sampling.draw_distinct` with a
      seed of its own in every call.

  Returns:
    score_targets: {level: int32 [h, w, A]}, 1 object, 0 background, -1 not
      sampled.
    box_targets: {level: float32 [h, w, 4*A]}, (dy, dx, dh, dw) of every
      positive anchor, sampled or not; zeros elsewhere.

  Raises:
    ValueError: if the anchors are not a regular grid for this image size, for
      thresholds out of order or an `unmatched_threshold` of 0.

  Source: Faster R-CNN (arXiv:1506.01497), section 3.1.
  """
  grid = anchor_ops.make_grid(anchors, image_size)
  with tf.name_scope('label_rpn_anchors'):
    matches = _in_order(matching.match_grid_anchors(
        boxes, grid, match_threshold, unmatched_threshold))
    box_targets, anchor_ids = _anchor_box_targets(boxes, matches, grid)
    positives = tf.gather(anchor_ids, choose(
        tf.size(anchor_ids), int(batch_size_per_im * fg_fraction)))
    negatives = _choose_absent(matches.anchor_ids, len(grid.boxes),
                               batch_size_per_im - tf.size(positives), choose)
    # One more than the score, into zeros: an update of a whole tensor of -1
    # takes ten times as long.
    score_targets = tf.scatter_nd(
        tf.concat([positives, negatives], axis=0)[:, tf.newaxis],
        tf.concat([2 * tf.ones_like(positives), tf.ones_like(negatives)],
                  axis=0), [len(grid.boxes)]) - 1
    return (unpack_levels(score_targets, grid.level_shapes),
            unpack_levels(box_targets, grid.level_shapes))


def _in_order(matches):
  """The same GridMatches, ordered by anchor."""
  order = tf.argsort(matches.anchor_ids)
  return matching.GridMatches(*[tf.gather(values, order) for values in matches])


def _choose_absent(present, size, count, choose):
  """Different numbers below `size` that are not in a list.

  The number of rank r among the absent ones is r plus how many of the present
  ones come before it, so the absent ones need not be listed.

  Args:
    present: int32 [M], different and ascending.
    size: int.
    count: int32 [], how many.
    choose: function of `label_rpn_anchors`.

  Returns:
    int32 [min(size - M, count)].
  """
  num_present = tf.size(present)
  ranks = choose(size - num_present, count)
  return ranks + tf.searchsorted(present - tf.range(num_present), ranks,
                                 side='right')


def _anchor_box_targets(boxes, matches, grid):
  """Encoded boxes of the positive anchors.

  Args:
    boxes: float32 [K, 4].
    matches: GridMatches.
    grid: AnchorGrid of N anchors.

  Returns:
    float32 [N, 4], zeros where nothing matched; and the positive anchors, int32
    [P], in the order of `matches`.
  """
  positives = tf.where(matches.is_positive)[:, 0]
  anchor_ids = tf.gather(matches.anchor_ids, positives)
  encoded = box_ops.encode_anchor_targets(
      tf.gather(boxes, tf.gather(matches.box_ids, positives)),
      tf.gather(grid.boxes, anchor_ids))
  return tf.scatter_nd(anchor_ids[:, tf.newaxis], encoded,
                       grid.boxes.shape), anchor_ids


def unpack_levels(
    flat: tf.Tensor,
    level_shapes: Mapping[int, Tuple[int, int, int]]) -> tensor_types.Levels:
  """Cuts a tensor over all anchors into one per level.

  Args:
    flat: [N] or [N, D], anchors of all levels, ascending.
    level_shapes: {level: (h, w, A)}.

  Returns:
    {level: [h, w, A] or [h, w, A*D]}.
  """
  levels = sorted(level_shapes)
  shapes = [level_shapes[level] for level in levels]
  parts = tf.split(flat, [h * w * a for h, w, a in shapes])
  depth = 1 if flat.shape.ndims == 1 else flat.shape.as_list()[1]
  return {level: tf.reshape(part, [h, w, a * depth])
          for level, part, (h, w, a) in zip(levels, parts, shapes)}
