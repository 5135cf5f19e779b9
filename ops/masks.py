"""Instance masks as training targets: cropping them out of their boxes."""

import functools

import tensorflow.compat.v1 as tf

# Pixels; a box without a side gives no division by zero. As a lower bound: the
# optimizer of graphs moves what is added to a difference of large numbers into
# it, where it is lost.
_MIN_SIZE = 1e-8


def crop_masks_in_boxes(masks: tf.Tensor, gt_boxes: tf.Tensor,
                        target_boxes: tf.Tensor, output_size: int,
                        sample_offset: float = 0.5,
                        means_of_cells: bool = False) -> tf.Tensor:
  """The part of every mask that lies in a target box, resampled.

  Outside its own box a mask is zero. Computed as a product of three small
  matrices, as its gradient is, which is fast on every device.

  Args:
    masks: [B, N, H, W], float32 or bfloat16; each covers exactly its box.
    gt_boxes: float32 [B, N, 4], yxyx, pixels of the network input, the boxes
      of the masks.
    target_boxes: float32 [B, N, 4], yxyx, same pixels. No gradient flows back
      to boxes.
    output_size: int, S.
    sample_offset: float, where in a pixel of the result its bilinear sample
      lies, 0 to 1. The pixels of a mask are at integers, the upper left corners
      of their cells, as in upstream.
    means_of_cells: whether a pixel of the result is the mean of the mask over
      its area instead; see mask_grids.CELLS. `sample_offset` is not used.

  Returns:
    [B, N, S, S], the type of the masks.

  Source: upstream's `crop_mask_in_target_box`, for square masks as
    everywhere; for others upstream mixes up height and width.
  """
  with tf.name_scope('crop_masks_in_boxes'):
    height, width = masks.shape.as_list()[2:]
    gt_y0, gt_x0, gt_y1, gt_x1 = tf.unstack(
        tf.stop_gradient(tf.cast(gt_boxes, tf.float32)), axis=2)
    y0, x0, y1, x1 = tf.unstack(
        tf.stop_gradient(tf.cast(target_boxes, tf.float32)), axis=2)
    row_scale = height / tf.maximum(gt_y1 - gt_y0, _MIN_SIZE)
    column_scale = width / tf.maximum(gt_x1 - gt_x0, _MIN_SIZE)
    weights = functools.partial(
        _shares if means_of_cells else _weights, count=output_size,
        offset=sample_offset)
    row_weights = weights((y0 - gt_y0) * row_scale, (y1 - y0) * row_scale,
                          height)
    column_weights = weights((x0 - gt_x0) * column_scale,
                             (x1 - x0) * column_scale, width)
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


def _shares(start, size, num_cells, count, offset):
  """`_weights` of means: the share of every bin that each cell covers.

  Args: as in `_weights`; `offset` is not used.
  """
  del offset
  bin_size = tf.expand_dims(size, 2) / count
  low = (tf.expand_dims(start, 2)
         + bin_size * tf.range(count, dtype=tf.float32))
  low, bin_size = tf.expand_dims(low, 3), tf.expand_dims(bin_size, 3)
  cells = tf.range(num_cells, dtype=tf.float32)
  covered = (tf.minimum(low + bin_size, cells + 1.) - tf.maximum(low, cells))
  return tf.nn.relu(covered) / tf.maximum(bin_size, _MIN_SIZE)
