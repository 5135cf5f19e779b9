"""Moves the pixels of an image, and boxes along with them.

Nearest neighbour, so that maps of ids can be warped like colours. Positions are
whole numbers at the centres of pixels for images, and at their edges for boxes:
pixel 0 reaches from 0 to 1.

Every function on pixels takes and returns what `shift_x` does, every function
on boxes what `shift_boxes_x` does. Distances are in pixels, slopes in pixels
per pixel, angles in degrees, each float32 [].

Source: AutoAugment (arXiv:1805.09501), table 6.
"""

import math
from typing import Union

import tensorflow.compat.v1 as tf

_BORDER = 1  # pixels of filling around an image that is being warped


def _clipped(positions, length):
  """Indices in an image with a border: of the nearest pixel, or of the border.

  Args:
    positions: float32, any shape.
    length: int32 [], rows or columns of the image without its border.

  Returns:
    int32, the same shape.
  """
  # Casting cuts the fraction off: with the half, to the nearest pixel.
  last = tf.cast(length, tf.float32) + 2 * _BORDER - 1.
  indices = tf.cast(tf.clip_by_value(positions + (_BORDER + .5), 0., last),
                    tf.int32)
  # Halves are rounded away from 0, so this one is outside.
  return indices * tf.cast(positions > -.5, tf.int32)


def _axes(pixels):
  """float32 [H, 1] and [1, W]: the position of every row and column."""
  height, width = tf.unstack(tf.shape(pixels)[:2])
  return (tf.range(tf.cast(height, tf.float32))[:, tf.newaxis],
          tf.range(tf.cast(width, tf.float32))[tf.newaxis])


def _take(pixels, rows, columns, fill):
  """Pixels at these positions.

  Args:
    pixels: [H, W] or [H, W, C], any type.
    rows: float32, [H, 1] or [H, W], positions.
    columns: float32, [1, W] or [H, W], positions.
    fill: number, of what is outside.

  Returns:
    [H, W] or [H, W, C].
  """
  shape = tf.shape(pixels)
  border = [[_BORDER, _BORDER]] * 2 + [[0, 0]] * (pixels.shape.ndims - 2)
  padded = tf.pad(pixels, border, constant_values=fill)
  stride = shape[1] + 2 * _BORDER
  indices = (_clipped(rows, shape[0]) * stride + _clipped(columns, shape[1]))
  flat = tf.reshape(padded, tf.concat([[-1], shape[2:]], axis=0))
  flat.set_shape([None] + pixels.shape.as_list()[2:])
  result = tf.gather(flat, indices)
  result.set_shape(pixels.shape)
  return result


def _round_away(positions):
  """The nearest whole number; of two, the one farther from 0."""
  return tf.sign(positions) * tf.floor(tf.abs(positions) + .5)


def shift_x(pixels: tf.Tensor, distance: tf.Tensor,
            fill: Union[int, float]) -> tf.Tensor:
  """Moves the content to the left.

  Args:
    pixels: [H, W] or [H, W, C], any type.
    distance: float32 [], pixels.
    fill: number, of what comes in.

  Returns:
    The type and shape of `pixels`.
  """
  with tf.name_scope('shift_x'):
    rows, columns = _axes(pixels)
    return _take(pixels, rows, _round_away(columns + distance), fill)


def shift_y(pixels: tf.Tensor, distance: tf.Tensor,
            fill: Union[int, float]) -> tf.Tensor:
  """Moves the content of [H, W] or [H, W, C] up; see `shift_x`."""
  with tf.name_scope('shift_y'):
    rows, columns = _axes(pixels)
    return _take(pixels, _round_away(rows + distance), columns, fill)


def shear_x(pixels: tf.Tensor, slope: tf.Tensor,
            fill: Union[int, float]) -> tf.Tensor:
  """Moves row y of [H, W] or [H, W, C] by slope * y to the left."""
  with tf.name_scope('shear_x'):
    rows, columns = _axes(pixels)
    return _take(pixels, rows, columns + slope * rows, fill)


def shear_y(pixels: tf.Tensor, slope: tf.Tensor,
            fill: Union[int, float]) -> tf.Tensor:
  """Moves column x of [H, W] or [H, W, C] by slope * x up."""
  with tf.name_scope('shear_y'):
    rows, columns = _axes(pixels)
    return _take(pixels, rows + slope * columns, columns, fill)


def rotate(pixels: tf.Tensor, degrees: tf.Tensor,
           fill: Union[int, float]) -> tf.Tensor:
  """Turns [H, W] or [H, W, C] around its centre, counter-clockwise."""
  with tf.name_scope('rotate'):
    cosine, sine = _cos_sin(degrees)
    rows, columns = _axes(pixels)
    height, width = [tf.cast(n, tf.float32) - 1.
                     for n in tf.unstack(tf.shape(pixels)[:2])]
    first_row = (height - (sine * width + cosine * height)) / 2.
    first_column = (width - (cosine * width - sine * height)) / 2.
    return _take(pixels, sine * columns + (cosine * rows + first_row),
                 cosine * columns + (first_column - sine * rows), fill)


def _cos_sin(degrees):
  radians = degrees * (math.pi / 180.)
  return tf.cos(radians), tf.sin(radians)


def shift_boxes_x(boxes: tf.Tensor, distance: tf.Tensor, image_size: tf.Tensor,
                  legacy: bool = False) -> tf.Tensor:
  """Moves boxes along with `shift_x`.

  Args:
    boxes: float32 [K, 4], yxyx, 0..1 of the image.
    distance: float32 [], pixels.
    image_size: float32 [2], height and width.
    legacy: whether to cut off fractions of pixels and to leave no side empty,
      as upstream; otherwise a box that left the image has no area.

  Returns:
    float32 [K, 4], inside of 0..1.
  """
  return _shift_boxes(boxes, [0., distance, 0., distance], image_size, legacy)


def shift_boxes_y(boxes: tf.Tensor, distance: tf.Tensor, image_size: tf.Tensor,
                  legacy: bool = False) -> tf.Tensor:
  """Moves boxes [K, 4] along with `shift_y`; see `shift_boxes_x`."""
  return _shift_boxes(boxes, [distance, 0., distance, 0.], image_size, legacy)


def _shift_boxes(boxes, distances, image_size, legacy):
  with tf.name_scope('shift_boxes'):
    pixels = _to_pixels(boxes, image_size, legacy)
    # In whole pixels, as the image moves.
    distances = tf.stack(distances)
    moved = pixels - (_truncate(distances) if legacy else distances)
    return _to_unit(moved, image_size, legacy)


def shear_boxes_x(boxes: tf.Tensor, slope: tf.Tensor, image_size: tf.Tensor,
                  legacy: bool = False) -> tf.Tensor:
  """The boxes [K, 4] around boxes moved with `shear_x`; see `shift_boxes_x`."""
  return _map_corners(boxes, image_size, legacy,
                      lambda y, x: (y, x - slope * y))


def shear_boxes_y(boxes: tf.Tensor, slope: tf.Tensor, image_size: tf.Tensor,
                  legacy: bool = False) -> tf.Tensor:
  """The boxes [K, 4] around boxes moved with `shear_y`; see `shift_boxes_x`."""
  return _map_corners(boxes, image_size, legacy,
                      lambda y, x: (y - slope * x, x))


def rotate_boxes(boxes: tf.Tensor, degrees: tf.Tensor, image_size: tf.Tensor,
                 legacy: bool = False) -> tf.Tensor:
  """Moves boxes along with `rotate`; see `shift_boxes_x`.

  Returns:
    float32 [K, 4], the boxes around the turned boxes.
  """
  with tf.name_scope('rotate_boxes'):
    cosine, sine = _cos_sin(degrees)
    # From the centre, where cutting fractions off means towards the centre.
    centered = _map_corners(
        boxes - .5, image_size, legacy,
        lambda y, x: (cosine * y - sine * x, sine * y + cosine * x),
        to_unit=lambda pixels: _divide(pixels, image_size))
    return _clip(centered + .5, legacy)


def _map_corners(boxes, image_size, legacy, move, to_unit=None):
  """The boxes around the moved corners of boxes.

  Args:
    boxes: float32 [K, 4].
    image_size: float32 [2].
    legacy: see `shift_boxes_x`.
    move: function of y and x to both, pixels, float32 [K, 4].
    to_unit: function of boxes in pixels to the result.

  Returns:
    float32 [K, 4].
  """
  with tf.name_scope('map_corners'):
    y0, x0, y1, x1 = tf.unstack(_to_pixels(boxes, image_size, legacy), 4,
                                axis=1)
    y, x = move(tf.stack([y0, y0, y1, y1], axis=1),
                tf.stack([x0, x1, x0, x1], axis=1))
    if legacy:
      y, x = _truncate(y), _truncate(x)
    moved = tf.stack([tf.reduce_min(y, axis=1), tf.reduce_min(x, axis=1),
                      tf.reduce_max(y, axis=1), tf.reduce_max(x, axis=1)],
                     axis=1)
    if to_unit is not None:
      return to_unit(moved)
    return _to_unit(moved, image_size, legacy)


def _to_pixels(boxes, image_size, legacy):
  pixels = boxes * tf.tile(image_size, [2])
  return _truncate(pixels) if legacy else pixels


def _truncate(values):
  """Cuts fractions off, towards 0."""
  return tf.cast(tf.cast(values, tf.int32), tf.float32)


def _to_unit(boxes, image_size, legacy):
  return _clip(_divide(boxes, image_size), legacy)


def _divide(boxes, image_size):
  # As a product, like the reference's optimizer: another last bit would become
  # another pixel when fractions are cut off.
  return boxes * tf.tile(1. / image_size, [2])


_MIN_SIDE = 0.05  # of the image; of a box without extent, as upstream


def _clip(boxes, legacy):
  """Cuts boxes at the borders of the image."""
  boxes = tf.clip_by_value(boxes, 0., 1.)
  if not legacy:
    return boxes
  lower, upper = boxes[:, :2], boxes[:, 2:]
  is_flat = tf.equal(lower, upper)
  return tf.concat(
      [tf.where(is_flat, tf.minimum(lower, 1. - _MIN_SIDE), lower),
       tf.where(is_flat, tf.maximum(upper, _MIN_SIDE), upper)], axis=1)
