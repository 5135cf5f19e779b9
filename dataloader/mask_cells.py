"""Means of a mask over the cells of a box, exact for cells of any size."""

from typing import Callable

import tensorflow.compat.v1 as tf

_MIN_AREA = 1e-12  # pixels; a box without area gives no division by zero


def means(
    box: tf.Tensor, num_cells: int, image_size: tf.Tensor,
    is_mirrored: tf.Tensor,
    read: Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
) -> tf.Tensor:
  """The mean of a mask over every cell of a grid that tiles a box.

  Args:
    box: float32 [4], yxyx, 0..1 of the image. May reach beyond it.
    num_cells: int, S, cells along a side.
    image_size: int32 [2], height and width of the image.
    is_mirrored: bool [], whether the box is of the mirrored image.
    read: (y0, x0, y1, x1), int32 [] each, within the image -> int32
      [y1 - y0, x1 - x0], the pixels of the mask from y0 to y1 - 1 and so on.

  Returns:
    float32 [S, S]. What is beyond the image is 0.

  Source: summed-area tables; F. Crow, SIGGRAPH 1984.
  """
  with tf.name_scope('cell_means'):
    y0, x0, y1, x1 = tf.unstack(tf.cast(box, tf.float64))
    x0, x1 = [tf.where(is_mirrored, 1. - a, b) for a, b in ((x1, x0), (x0, x1))]
    height, width = tf.unstack(tf.cast(image_size, tf.float64))
    rows = _edges(y0 * height, y1 * height, num_cells, height)
    columns = _edges(x0 * width, x1 * width, num_cells, width)
    (top, bottom), (left, right) = _pixels(rows), _pixels(columns)
    sums = tf.pad(_sums(read(top, left, bottom, right)), [[1, 0], [1, 0]])
    # The sum up to every corner of the grid, between pixels in proportion.
    sums = _interpolate(sums, rows - tf.cast(top, tf.float64))
    sums = tf.transpose(_interpolate(tf.transpose(sums),
                                     columns - tf.cast(left, tf.float64)))
    inside = sums[1:, 1:] - sums[:-1, 1:] - sums[1:, :-1] + sums[:-1, :-1]
    area = (y1 - y0) * height * (x1 - x0) * width / num_cells ** 2
    result = tf.cast(inside / tf.maximum(area, _MIN_AREA), tf.float32)
    order = tf.range(num_cells)
    order = tf.where(is_mirrored, num_cells - 1 - order, order)
    return tf.gather(result, order, axis=1)


def _edges(start, stop, num_cells, length):
  """float64 [S + 1], borders of the cells of one axis, cut to the image."""
  shares = tf.range(num_cells + 1, dtype=tf.float64) / num_cells
  return tf.clip_by_value(start + (stop - start) * shares,
                          tf.zeros([], tf.float64), length)


def _pixels(edges):
  """The first pixel that edges touch, and one past the last."""
  return (tf.cast(tf.floor(edges[0]), tf.int32),
          tf.cast(tf.ceil(edges[-1]), tf.int32))


def _sums(pixels):
  """int32 [h, w] of the pixels above and to the left, their own included."""
  return tf.cumsum(tf.cumsum(pixels, axis=0), axis=1)


def _interpolate(sums, positions):
  """Linear between the rows of sums [h + 1, n] at positions [P]: [P, n]."""
  last = tf.shape(sums)[0] - 1
  before = tf.clip_by_value(tf.cast(tf.floor(positions), tf.int32), 0, last)
  shares = (positions - tf.cast(before, tf.float64))[:, tf.newaxis]
  start = tf.cast(tf.gather(sums, before), tf.float64)
  stop = tf.cast(tf.gather(sums, tf.minimum(before + 1, last)), tf.float64)
  return start + (stop - start) * shares
