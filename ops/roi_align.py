"""ROI align: fixed-size crops out of feature maps, exact to the reference.

One bilinear sample per bin, at the bin's center. Two things differ from other
ROI aligns, and published weights depend on them: integer coordinates are the
centers of cells, without an offset of half a cell, and a sample left of or
above the map continues the line through the first two cells.
"""

from typing import Optional

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat
from ops import portability
from ops import tensor_types

# A box of 224 x 224 pixels, a whole ImageNet image, reads level 4; FPN, arXiv
# 1612.03144, equation 1.
CANONICAL_SIZE = 224.
CANONICAL_LEVEL = 4


def multilevel_roi_align(features: tensor_types.Levels, rois: tf.Tensor,
                         output_size: int, border: str = 'clamp',
                         method: Optional[str] = None) -> tf.Tensor:
  """Crops every ROI out of the pyramid level that suits its size.

  Args:
    features: {level: float32 or bfloat16 [B, h, w, C]}, consecutive levels,
      heights and widths static.
    rois: float32 [B, R, 4], yxyx, pixels of the network input. No gradient
      flows back to them.
    output_size: int, S.
    border: values below and to the right of a map: 'clamp' repeats the last
      row and column, 'fade' gives zero (the reference's einsum form).
    method: None, or one of METHODS.

  Returns:
    [B, R, S, S, C], the type of the features.

  Raises:
    ValueError: if levels are missing, or heights and widths not static, or for
      an unknown border or method.

  Source: Mask R-CNN, arXiv:1703.06870; upstream's
    `multilevel_crop_and_resize`.
  """
  with tf.name_scope('multilevel_roi_align'):
    levels = sorted(features)
    if levels != list(range(levels[0], levels[-1] + 1)):
      raise ValueError('ROI align needs consecutive levels, got %s.' % levels)
    rois = tf.stop_gradient(tf.cast(rois, tf.float32))
    index = roi_levels(rois, levels[0], levels[-1]) - levels[0]

    def of_level(values):
      return tf.gather(tf.constant(values), index)  # [B, R]

    sizes = [_static_size(features[level]) for level in levels]
    strides = of_level([2. ** level for level in levels])
    y0, x0, y1, x1 = tf.unstack(rois / tf.expand_dims(strides, 2), axis=2)
    samples = []
    for start, stop, sides in zip((y0, x0), (y1, x1), zip(*sizes)):
      samples.append(_axis_samples(
          start, stop - start, of_level(_last_cells(sides, border)),
          of_level(sides), output_size, .5))
    # All levels in one table of cells, level by level so that the slices of its
    # gradient are no copies: each ROI reads its own level only.
    tables = [_rows(features[level]) for level in levels]
    areas = [height * width for height, width in sizes]
    images = tf.expand_dims(tf.range(tf.shape(rois)[0]), 1)
    start = (tf.shape(rois)[0] * of_level(np.cumsum([0] + areas[:-1]).tolist())
             + images * of_level(areas))
    cells, weights = _corners(
        samples[0], samples[1], start, of_level([size[1] for size in sizes]))
    return _interpolate(tables, cells, weights, method)


def roi_levels(rois: tf.Tensor, min_level: int, max_level: int) -> tf.Tensor:
  """The pyramid level whose cells suit the size of each ROI.

  Args:
    rois: float32 [..., 4], yxyx, pixels of the network input.
    min_level: int.
    max_level: int.

  Returns:
    int32 [...]: floor(4 + log2(sqrt(area) / 224)) within the bounds; the lowest
    for a ROI without area.
  """
  with tf.name_scope('roi_levels'):
    y0, x0, y1, x1 = tf.unstack(rois, axis=-1)
    areas = (y1 - y0) * (x1 - x0)
    # Comparing areas is exact, where roots and logarithms of some device are
    # not, and right for areas that are not positive.
    limits = [(CANONICAL_SIZE * 2. ** (level - CANONICAL_LEVEL)) ** 2
              for level in range(min_level + 1, max_level + 1)]
    above = tf.expand_dims(areas, -1) >= tf.constant(
        limits, tf.float32, [len(limits)])
    return min_level + tf.reduce_sum(tf.cast(above, tf.int32), axis=-1)


def _static_size(feature):
  height, width = feature.shape.as_list()[1:3]
  if height is None or width is None:
    raise ValueError('ROI align needs static heights and widths, got a feature '
                     'of shape %s.' % feature.shape)
  return height, width


def _last_cells(sizes, border):
  """float32 numbers: the last row (or column) of each level that is read.

  Args:
    sizes: heights (or widths) of the levels, finest first.
    border: see `multilevel_roi_align`.
  """
  if border == 'fade':
    return [float(size) for size in sizes]
  if border != 'clamp':
    raise ValueError("border=%r: must be 'clamp' or 'fade'." % border)
  # A coarse map can be larger than its share of the finest, when sizes were
  # rounded up; the reference does not read what was added.
  return [float(max(min(sizes[0] // 2 ** i, size) - 1, 0))
          for i, size in enumerate(sizes)]


def _axis_samples(start, size, bound, limit, count, offset):
  """Where the bins of every box sample one axis of the map.

  Args:
    start: float32 [B, N], edge of the box, cells.
    size: float32 [B, N], height or width of the box, cells.
    bound: float32 [B, N], the last cell that is read.
    limit: int32 [B, N], the number of cells of the map.
    count: int, S, bins.
    offset: float, where in a bin its sample lies.

  Returns:
    int32 [B, N, S, 2] cells and float32 [B, N, S, 2] their weights.
  """
  places = (tf.range(count, dtype=tf.float32) + offset) / count
  points = tf.expand_dims(start, 2) + tf.expand_dims(size, 2) * places
  # Left of the map this stays at cell 0 and the weights extrapolate.
  low = tf.maximum(tf.floor(points), 0.)
  weights = tf.stack([1. - (points - low), points - low], axis=3)
  cells = tf.stack([low, low + 1.], axis=3)
  cells = tf.minimum(cells, _per_box(bound))
  limit = tf.cast(_per_box(limit), tf.float32)
  weights *= tf.cast(cells < limit, tf.float32)
  # A NaN of a diverging training run must not become an index that fails; it
  # stays in the weights.
  cells = tf.maximum(tf.cast(tf.minimum(cells, limit - 1.), tf.int32), 0)
  return cells, weights


def _per_box(x):
  """[B, N] as [B, N, 1, 1]."""
  return tf.expand_dims(tf.expand_dims(x, 2), 3)


def _corners(y_samples, x_samples, start, width):
  """The four cells around every sample point, and their bilinear weights.

  Args:
    y_samples: result of `_axis_samples`.
    x_samples: the same.
    start: int32 [B, N], first cell of the box's map in the table.
    width: int32 [B, N], row length of the box's map.

  Returns:
    int32 and float32 [B, N, S, S, 4].
  """
  rows, row_weights = y_samples
  columns, column_weights = x_samples
  rows = _per_box(start) + rows * _per_box(width)
  cells, weights = [], []
  for i in range(2):
    for j in range(2):
      cells.append(tf.expand_dims(rows[..., i], 3) +
                   tf.expand_dims(columns[..., j], 2))
      weights.append(tf.expand_dims(row_weights[..., i], 3) *
                     tf.expand_dims(column_weights[..., j], 2))
  return tf.stack(cells, axis=4), tf.stack(weights, axis=4)


def _rows(features):
  """The cells of feature maps [..., C] as [number of cells, C]."""
  return tf.reshape(features, [-1, features.shape[-1].value])


def _interpolate(tables, cells, weights, method):
  """Weighted sums of four rows of a table each.

  Sums are float32, those of the gradients above all: sums of many bfloat16
  numbers would lose most of them.

  Args:
    tables: list of float32 or bfloat16 [P_i, C], which make up the table.
    cells: int32 [B, N, S, S, 4], rows of the table.
    weights: float32 [B, N, S, S, 4].
    method: None, or one of METHODS.

  Returns:
    [B, N, S, S, C], the type of the table.
  """
  if method is None:
    use_gather = (compat.in_xla_context() or compat.has_gpu()
                  or portability.is_required())
    method = 'gather' if use_gather else 'sparse'
  if method not in METHODS:
    raise ValueError('method=%r: must be one of %s.' % (
        method, ', '.join(sorted(METHODS))))
  static, dynamic = cells.shape.as_list()[:4], tf.shape(cells)
  shape = [dynamic[i] if size is None else size
           for i, size in enumerate(static)]
  samples = METHODS[method](
      tables, tf.reshape(cells, [-1, 4]), tf.reshape(weights, [-1, 4]))
  return tf.reshape(samples, shape + [tables[0].shape[1].value])


def _interpolate_by_gather(tables, cells, weights):
  """For XLA and thus TPUs, for GPUs, and for exports to other formats.

  Corners come first, as a TPU would pad an axis of four next to the channels.
  The gradient is written out: gathered values keep the type of the table, and
  the gradient of each part is cut out before it goes to memory in that type.
  """
  dtype = tables[0].dtype

  # Constants are arguments as well: what the function closes over must not
  # depend on variables.
  @tf.custom_gradient
  def interpolate(corners, weights, *tables):
    table = tf.concat(tables, axis=0)
    samples = tf.add_n([
        tf.cast(tf.gather(table, corners[i]), tf.float32) * weights[i]
        for i in range(4)])

    def grad(d_samples):
      sizes = [t.shape[0].value or tf.shape(t)[0] for t in tables]
      d_corners = tf.cast(d_samples, tf.float32) * weights
      d_table = tf.math.unsorted_segment_sum(d_corners, corners, sum(sizes))
      parts = tf.split(d_table, sizes, axis=0)
      return [None, None] + [tf.cast(part, dtype) for part in parts]
    return compat.barrier(tf.cast(samples, dtype)), grad
  return interpolate(tf.transpose(cells),
                     tf.expand_dims(tf.transpose(weights), 2), *tables)


def _interpolate_by_sparse_matmul(tables, cells, weights):
  """For CPUs: reads four rows and adds them up in the cache.

  Gathering writes four times the crops to memory, and its gradient as much
  again, which takes three times as long, above all under TF 1.15, which asks
  the system for fresh pages each time. The gradient is the product with the
  transposed matrix, which is as quick. XLA knows no sparse product.
  """
  table = tf.concat(tables, axis=0)
  num_samples, num_cells = [
      tf.cast(tf.shape(x)[0], tf.int64) for x in (cells, table)]
  samples = tf.expand_dims(tf.range(num_samples), 1)
  places = tf.stack([samples + tf.zeros([1, 4], tf.int64),
                     tf.cast(cells, tf.int64)], axis=2)
  matrix = tf.SparseTensor(
      tf.reshape(places, [-1, 2]), tf.reshape(weights, [-1]),
      tf.stack([num_samples, num_cells]))
  samples = tf.sparse.sparse_dense_matmul(matrix, tf.cast(table, tf.float32))
  return tf.cast(samples, table.dtype)


# How samples are summed up; the results are the same. The default is the
# quickest for the device of the graph. 'gather' can be exported everywhere.
METHODS = {
    'gather': _interpolate_by_gather,
    'sparse': _interpolate_by_sparse_matmul,
}
