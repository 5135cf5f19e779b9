"""Masks pasted into their images, in a graph: utils.masks.paste_masks."""

import tensorflow.compat.v1 as tf

from utils import mask_grids

_INSIDE = .5 - 1e-6  # as utils.masks
_TOLERANCE = 1e-4    # as utils.mask_grids


def paste(masks: tf.Tensor, boxes: tf.Tensor, image_info: tf.Tensor,
          grid: mask_grids.MaskGrid = mask_grids.CELLS) -> tf.Tensor:
  """Pastes box-sized masks into images.

  Args:
    masks: float32 [B, N, h, w], 0..1 within `boxes`.
    boxes: float32 [B, N, 4], yxyx, pixels of the network's input.
    image_info: float32 [B, 4, 2].
    grid: mask_grids.MaskGrid, how the masks were sampled.

  Returns:
    uint8 [B, N, H, W], 0 or 1, pixels of the images. H and W are those of the
    largest image of the batch; beyond a smaller one all is 0.

  Raises:
    ValueError: for the grid of upstream's paste.
  """
  if grid == mask_grids.LEGACY:
    raise ValueError(
        'postprocess.legacy_mask_paste is a rule for masks that are pasted '
        'outside of the graph: set it to false to paste them inside.')
  with tf.name_scope('paste_masks'):
    canvas = tf.cast(tf.round(tf.reduce_max(image_info[:, 0], axis=0)),
                     tf.int32)

    def paste_image(values):
      of_image, of_boxes, info = values
      rows, columns = [
          _weights(of_boxes[:, axis] / info[2, axis],
                   of_boxes[:, axis + 2] / info[2, axis], info[0, axis],
                   canvas[axis], masks.shape[axis + 2], grid)
          for axis in range(2)]
      values = tf.matmul(tf.matmul(rows.weights, of_image), columns.weights,
                         transpose_b=True)
      inside = tf.logical_and(rows.inside[:, :, tf.newaxis],
                              columns.inside[:, tf.newaxis])
      return tf.cast(tf.logical_and(values >= _INSIDE, inside), tf.uint8)

    pasted = tf.map_fn(paste_image, (masks, boxes, image_info), dtype=tf.uint8,
                       parallel_iterations=1, back_prop=False)
    pasted.set_shape(masks.shape.as_list()[:2] + [None, None])
    return pasted


class _Axis:
  """weights: float32 [N, P, S]; inside: bool [N, P]."""

  def __init__(self, weights, inside):
    self.weights, self.inside = weights, inside


def _weights(start, stop, num_pixels, canvas, num_samples, grid):
  """What each sample of a mask gives to each pixel; mask_grids.MaskGrid.axis.

  Args:
    start: float32 [N], where boxes begin, pixels of the image.
    stop: float32 [N].
    num_pixels: float32 [], of the image.
    canvas: int32 [], P.
    num_samples: S.
    grid: mask_grids.MaskGrid.

  Returns:
    _Axis.
  """
  num_samples = int(num_samples)
  stretch, shift = tf.constant(1.), tf.constant(.5)
  if grid.name == mask_grids.CORNERS_NAME:
    has_border = num_pixels > 1.5
    stretch = tf.where(has_border, num_pixels / (num_pixels - 1.), 1.)
    shift = tf.where(has_border, 0., .5)
  scale, offset = _samples(num_samples, grid)
  pixels = tf.cast(tf.range(canvas), tf.float32)
  start, stop = start[:, tf.newaxis], stop[:, tf.newaxis]
  places = pixels * stretch + shift
  inside = tf.logical_and(places >= start - _TOLERANCE,
                          places <= stop + _TOLERANCE)
  positions = ((places - start) * scale / tf.maximum(stop - start, _TOLERANCE)
               + offset)
  # A box between the places of two pixels has the one of its middle.
  is_empty = tf.logical_not(tf.reduce_any(inside, axis=1, keepdims=True))
  is_middle = tf.equal(pixels, tf.floor((start + stop) / 2.))
  inside = tf.logical_or(inside, tf.logical_and(is_empty, is_middle))
  positions = tf.where_v2(is_empty, .5 * scale + offset, positions)
  inside = tf.logical_and(inside, pixels < num_pixels - .5)
  positions = tf.clip_by_value(positions, 0., num_samples - 1.)
  distances = tf.abs(positions[:, :, tf.newaxis]
                     - tf.range(num_samples, dtype=tf.float32))
  return _Axis(tf.maximum(1. - distances, 0.), inside)


def _samples(num_samples, grid):
  """As mask_grids.MaskGrid._samples."""
  if grid.name == mask_grids.CELLS_NAME:
    return float(num_samples), -.5
  if not grid.crop_size:
    return num_samples - 1., 0.
  return num_samples * (grid.crop_size - 1.) / grid.crop_size, -.5
