"""What a loss compares the outputs of a head with."""

import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import boxes as box_ops
from ops import matching


def label_retinanet_anchors(anchors, boxes, classes, image_size,
                            match_threshold, unmatched_threshold):
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
      between the two are ignored. Every box has a positive anchor nevertheless.

  Returns:
    cls_targets: {level: int32 [h, w, A]}, class id, -1 background, -2 ignored.
    box_targets: {level: float32 [h, w, 4*A]}, encoded as (dy, dx, log dh, log
      dw), zeros where nothing matched.
    num_positives: float32 [].

  Raises:
    ValueError: if the anchors are no regular grid for this image size, or for
      thresholds out of order.

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
    positives = tf.where(matches.is_positive)[:, 0]
    anchor_ids = tf.gather(matches.anchor_ids, positives)
    encoded = box_ops.encode_anchor_targets(
        tf.gather(boxes, tf.gather(matches.box_ids, positives)),
        tf.gather(grid.boxes, anchor_ids))
    box_targets = tf.scatter_nd(anchor_ids[:, tf.newaxis], encoded,
                                grid.boxes.shape)
    num_positives = tf.cast(tf.size(anchor_ids), tf.float32)
    return (unpack_levels(cls_targets, grid.level_shapes),
            unpack_levels(box_targets, grid.level_shapes), num_positives)


def unpack_levels(flat, level_shapes):
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
