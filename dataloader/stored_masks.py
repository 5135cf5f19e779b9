"""Masks as records hold them: PNG files of an image, or cut to their objects.

A cut file holds the pixels around one object and notes where they lie, so that
reading it takes a fraction of the time. See utils/mask_files.py.
"""

from typing import NamedTuple

import tensorflow.compat.v1 as tf

from ops import image_decoding
from utils import mask_files


class StoredMask(NamedTuple):
  """A mask; pixels of the image that are not among its own are 0.

  Attributes:
    pixels: uint8 [h, w]; above 0 is inside.
    origin: int32 [2], (y, x), the place of the first pixel in the image.
    image_size: int32 [2], height and width of the image.
  """
  pixels: tf.Tensor
  origin: tf.Tensor
  image_size: tf.Tensor


def decode(png: tf.Tensor, image_size: tf.Tensor,
           source_id: tf.Tensor) -> StoredMask:
  """Decodes the mask of an object.

  Args:
    png: string [], bytes of a PNG file: of the size of the image; or smaller,
      with a chunk that says where it lies.
    image_size: int32 [2], height and width of the image.
    source_id: string [], of the record, for the error.

  Returns:
    StoredMask.

  Raises:
    InvalidArgumentError: when run on a mask that is neither of the size of the
      image nor a part within it.
  """
  pixels = image_decoding.decode_mask(png)
  size = tf.shape(pixels)
  with tf.control_dependencies([size]):  # A file that is cut off stops there.
    is_placed, place = _place(png)
  is_whole = tf.reduce_all(tf.equal(size, image_size))
  origin = tf.where(tf.logical_and(is_placed, tf.logical_not(is_whole)), place,
                    [0, 0])
  is_inside = tf.logical_and(is_placed, tf.reduce_all(tf.logical_and(
      origin >= 0, origin <= image_size - size)))
  check = tf.debugging.Assert(
      tf.logical_or(is_whole, is_inside),
      [_wrong_size(size, is_placed, place, image_size, source_id)])
  with tf.control_dependencies([check]):
    return StoredMask(tf.identity(pixels), origin, image_size)


def _place(png):
  """Whether a file says where it lies, bool []; int32 [2], (y, x)."""
  start = mask_files.PLACE_START
  kind = tf.strings.substr(png, start - 4, 4)
  x_and_y = tf.io.decode_raw(tf.strings.substr(png, start, 8), tf.int32,
                             little_endian=False)
  return tf.equal(kind, mask_files.PLACE), tf.reverse(x_and_y, [0])


def _wrong_size(size, is_placed, place, image_size, source_id):
  def text(numbers, separator=' x '):
    return tf.strings.reduce_join(tf.as_string(numbers), separator=separator)
  where = tf.where(is_placed, tf.strings.join([' at (', text(place, ', '),
                                               ')']), '')
  return tf.strings.join([
      'Image ', source_id, ' has a mask of ', text(size),
      ' pixels (height x width)', where, '; the image has ', text(image_size),
      '.'])


def gather(mask: StoredMask, rows: tf.Tensor,
           columns: tf.Tensor) -> tf.Tensor:
  """Pixels in the crossings of rows and columns.

  Args:
    mask: StoredMask.
    rows: int32 [R], of the image.
    columns: int32 [C], of the image.

  Returns:
    uint8 [R, C].
  """
  height, width = tf.unstack(tf.shape(mask.pixels))
  rows, has_row = _within(rows - mask.origin[0], height)
  columns, has_column = _within(columns - mask.origin[1], width)
  pixels = tf.gather(tf.gather(mask.pixels, rows), columns, axis=1)
  return pixels * has_row[:, tf.newaxis] * has_column


def _within(positions, length):
  """Positions moved into an axis; 1 where they were in it, else 0, uint8."""
  moved = tf.clip_by_value(positions, 0, length - 1)
  return moved, tf.cast(tf.equal(moved, positions), tf.uint8)


def window(mask: StoredMask, y0: tf.Tensor, x0: tf.Tensor, y1: tf.Tensor,
           x1: tf.Tensor) -> tf.Tensor:
  """A rectangle of the image: rows y0 to y1 - 1, columns x0 to x1 - 1.

  Args:
    mask: StoredMask.
    y0: int32 [].
    x0: int32 [].
    y1: int32 [], at least y0.
    x1: int32 [], at least x0.

  Returns:
    uint8 [y1 - y0, x1 - x0].
  """
  first, last = tf.stack([y0, x0]), tf.stack([y1, x1])
  size = tf.shape(mask.pixels)
  start = tf.clip_by_value(first - mask.origin, 0, size)
  stop = tf.clip_by_value(last - mask.origin, 0, size)
  cut = mask.pixels[start[0]:stop[0], start[1]:stop[1]]
  before = tf.clip_by_value(mask.origin - first, 0, last - first)
  after = last - first - before - tf.shape(cut)
  return tf.pad(cut, tf.stack([before, after], axis=1))


def whole(mask: StoredMask) -> tf.Tensor:
  """All pixels of the image, uint8 [H, W]."""
  after = mask.image_size - mask.origin - tf.shape(mask.pixels)
  return tf.pad(mask.pixels, tf.stack([mask.origin, after], axis=1))


def look_up(mask: StoredMask, places: tf.Tensor) -> tf.Tensor:
  """Pixels of the image by their number, counted row by row.

  Args:
    mask: StoredMask.
    places: int32 [...]; `annotated_image.NOWHERE`: a pixel outside.

  Returns:
    uint8 [...].
  """
  size = tf.shape(mask.pixels)
  rows = tf.floordiv(places, mask.image_size[1]) - mask.origin[0]
  columns = tf.floormod(places, mask.image_size[1]) - mask.origin[1]
  is_inside = tf.logical_and(
      tf.logical_and(rows >= 0, rows < size[0]),
      tf.logical_and(columns >= 0, columns < size[1]))
  flat = tf.concat([[0], tf.reshape(mask.pixels, [-1])], axis=0)
  number = tf.where(is_inside, rows * size[1] + columns + 1,
                    tf.zeros_like(places))
  return tf.gather(flat, number)
