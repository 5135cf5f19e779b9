"""Instance masks as training targets: cropping them out of their boxes."""

import tensorflow.compat.v1 as tf

_MIN_SIZE = 1e-8  # pixels; a box without a side gives no division by zero


def crop_masks_in_boxes(masks, gt_boxes, target_boxes, output_size,
                        sample_offset=0.5):
  """The part of every mask that lies in a target box, resampled.

  Bilinear; outside its own box a mask is zero. As a product of three small
  matrices, which every device likes, with a gradient that is one, too.

  Args:
    masks: [B, N, H, W], float32 or bfloat16; each fills its box.
    gt_boxes: float32 [B, N, 4], yxyx, the boxes of the masks.
    target_boxes: float32 [B, N, 4], yxyx, same pixels. No gradient flows back
      to boxes.
    output_size: int, S.
    sample_offset: float, where in a pixel of the result its sample lies, 0
      to 1.

  Returns:
    [B, N, S, S], the type of the masks.

  Source: spec/data_ops_eval.md 8.3, for square masks as everywhere; for others
    the reference mixes up height and width.
  """
  with tf.name_scope('crop_masks_in_boxes'):
    height, width = masks.shape.as_list()[2:]
    gt_y0, gt_x0, gt_y1, gt_x1 = tf.unstack(
        tf.stop_gradient(tf.cast(gt_boxes, tf.float32)), axis=2)
    y0, x0, y1, x1 = tf.unstack(
        tf.stop_gradient(tf.cast(target_boxes, tf.float32)), axis=2)
    row_scale = height / (gt_y1 - gt_y0 + _MIN_SIZE)
    column_scale = width / (gt_x1 - gt_x0 + _MIN_SIZE)
    row_weights = _weights((y0 - gt_y0) * row_scale, (y1 - y0) * row_scale,
                           height, output_size, sample_offset)
    column_weights = _weights(
        (x0 - gt_x0) * column_scale, (x1 - x0) * column_scale, width,
        output_size, sample_offset)
    rows = tf.matmul(row_weights, tf.cast(masks, tf.float32))
    crops = tf.matmul(rows, column_weights, transpose_b=True)
    return tf.cast(crops, masks.dtype)


def _weights(start, size, num_cells, count, offset):
  """How much every cell of one axis counts for every sample.

  Args:
    start: float32 [B, N], edge of the target box, cells.
    size: float32 [B, N], its height or width, cells.
    num_cells: int, K.
    count: int, S, samples.
    offset: float, where in its bin a sample lies.

  Returns:
    float32 [B, N, S, K]: one minus the distance, where positive.
  """
  places = (tf.range(count, dtype=tf.float32) + offset) / count
  points = tf.expand_dims(start, 2) + tf.expand_dims(size, 2) * places
  distances = tf.abs(
      tf.expand_dims(points, 3) - tf.range(num_cells, dtype=tf.float32))
  return tf.nn.relu(1. - distances)
