"""Anchor boxes: the fixed boxes that a dense head refines.

Everything here is NumPy and runs once, when the graph is built: anchors depend
on nothing but the configuration and the static image size.
"""

from typing import Any, Dict, NamedTuple, Sequence, Tuple

import numpy as np

from ops import tensor_types


class AnchorGrid(NamedTuple):
  """The anchors of one image size as a regular grid.

  With it, matching need not touch every anchor. A "type" is one anchor of a
  cell of one level; there are T of them. All but `level_shapes` are NumPy
  arrays.

  Attributes:
    boxes: float32 [N, 4], yxyx, pixels of the network input: all anchors,
      levels ascending.
    level_shapes: {level: (h, w, A)}.
    strides: float32 [T], pixels.
    heights: float32 [T], pixels.
    widths: float32 [T], pixels.
    rows: int32 [T], cells of the level.
    cols: int32 [T], cells of the level.
    starts: int32 [T], flat index of the type's first anchor.
    steps: int32 [T], flat distance from one cell to the next (A).
  """
  boxes: np.ndarray
  level_shapes: Dict[int, Tuple[int, int, int]]
  strides: np.ndarray
  heights: np.ndarray
  widths: np.ndarray
  rows: np.ndarray
  cols: np.ndarray
  starts: np.ndarray
  steps: np.ndarray


def cells(image_size: Tuple[int, int], level: int) -> Tuple[int, int]:
  """Rows and columns of a level: the cells whose centre is in the image.

  For sizes that are multiples of the stride, as padded sizes are, this is
  size / stride. Otherwise a last cell counts when more than half of it is
  covered, so generating, splitting and labelling agree at every size.

  Args:
    image_size: (height, width), ints.
    level: int; the stride is 2**level.

  Returns:
    (rows, cols), ints.
  """
  stride = 2 ** level
  # -(-a // b) is the ceiling of a / b.
  rows, cols = [int(-(-(2 * size - stride) // (2 * stride)))
                for size in image_size]
  return rows, cols


class AnchorGenerator:
  """Anchors of several scales and aspect ratios in every cell of a pyramid.

  Source: RetinaNet (arXiv:1708.02002), section 4; the anchors of a level are
  `anchor_size` strides large.
  """

  @classmethod
  def of_sections(cls, anchor: Any, architecture: Any) -> 'AnchorGenerator':
    """From sections `anchor` and `architecture`, for labels and for models.

    Raises:
      ValueError: see `__init__`.
    """
    return cls(architecture.min_level, architecture.max_level,
               anchor.num_scales, anchor.aspect_ratios, anchor.anchor_size)

  def __init__(self, min_level: int, max_level: int, num_scales: int,
               aspect_ratios: Sequence[float], anchor_size: float) -> None:
    """Checks and keeps the parameters.

    Args:
      min_level: int, the finest level.
      max_level: int, the coarsest level.
      num_scales: int, sizes per octave: 2**(s / num_scales) times the base.
      aspect_ratios: width / height, floats.
      anchor_size: float, base size in units of the stride.

    Raises:
      ValueError: for an empty range of levels, or sizes that are not positive.
    """
    if min_level > max_level:
      raise ValueError('min_level %d is above max_level %d.'
                       % (min_level, max_level))
    if num_scales < 1 or not len(aspect_ratios):
      raise ValueError('anchor.num_scales (%r) and anchor.aspect_ratios (%r) '
                       'must give at least one anchor per cell.'
                       % (num_scales, aspect_ratios))
    if anchor_size <= 0 or min(aspect_ratios) <= 0:
      raise ValueError('anchor.anchor_size (%r) and anchor.aspect_ratios (%r) '
                       'must be positive.' % (anchor_size, aspect_ratios))
    self.min_level = min_level
    self.max_level = max_level
    self.num_scales = num_scales
    self.aspect_ratios = tuple(float(a) for a in aspect_ratios)
    self.anchor_size = anchor_size
    self._boxes = {}  # {image size: {level: boxes}}

  @property
  def anchors_per_location(self) -> int:
    """A, the number of anchors in each cell."""
    return self.num_scales * len(self.aspect_ratios)

  def boxes(self, image_size: Tuple[int, int]) -> tensor_types.LevelArrays:
    """Anchors by level.

    Args:
      image_size: (height, width) in pixels, ints.

    Returns:
      {level: float32 NumPy array [h*w*A, 4]}, yxyx, pixels of the network
      input, not clipped. Cells in row-major order; in a cell, scales in order,
      in a scale aspect ratios in order. The arrays are shared by all callers
      and read-only.
    """
    size = (int(image_size[0]), int(image_size[1]))
    if size not in self._boxes:
      self._boxes[size] = {level: self._level_boxes(size, level) for level
                           in range(self.min_level, self.max_level + 1)}
    return dict(self._boxes[size])

  def flat(self, image_size: Tuple[int, int]) -> np.ndarray:
    """float32 NumPy array [N, 4]: `boxes`, levels ascending, as one array."""
    by_level = self.boxes(image_size)
    return np.concatenate([by_level[level] for level in sorted(by_level)])

  def sizes(self) -> np.ndarray:
    """float64 [L * A, 2]: (height, width), pixels, of the anchors of a cell.

    Of each of the L levels, ascending.
    """
    return np.concatenate([
        2. * self._half_sizes(2 ** level)
        for level in range(self.min_level, self.max_level + 1)])

  def _level_boxes(self, image_size, level):
    stride = 2 ** level
    rows, cols = cells(image_size, level)
    half = self._half_sizes(stride).astype(np.float32)  # [A, 2]
    # Centre and half size are rounded to float32 before they are added, as
    # published labels were made: ties between anchors depend on the last bit.
    y = ((np.arange(rows) + 0.5) * stride).astype(np.float32)[:, None, None]
    x = ((np.arange(cols) + 0.5) * stride).astype(np.float32)[None, :, None]
    boxes = np.empty([rows, cols, len(half), 4], np.float32)
    boxes[..., 0], boxes[..., 2] = y - half[:, 0], y + half[:, 0]
    boxes[..., 1], boxes[..., 3] = x - half[:, 1], x + half[:, 1]
    boxes = boxes.reshape([-1, 4])
    boxes.flags.writeable = False
    return boxes

  def _half_sizes(self, stride):
    """float64 [A, 2]: half height and half width of each anchor of a cell."""
    half = []
    for scale in range(self.num_scales):
      base = self.anchor_size * stride * 2 ** (scale / float(self.num_scales))
      half.extend((base / np.sqrt(a) / 2., base * np.sqrt(a) / 2.)
                  for a in self.aspect_ratios)
    return np.array(half)


def make_grid(anchors: tensor_types.LevelArrays,
              image_size: Tuple[int, int]) -> AnchorGrid:
  """Describes anchors as a regular grid.

  Args:
    anchors: {level: float32 NumPy array [h*w*A, 4]} as AnchorGenerator.boxes
      gives them.
    image_size: (height, width) in pixels, ints, that they were made for.

  Returns:
    AnchorGrid.

  Raises:
    ValueError: if the anchors are not those of a regular grid: the same boxes
      around the centre of every cell.
  """
  columns = {name: [] for name in AnchorGrid._fields[2:]}
  level_shapes = {}
  start = 0
  for level in sorted(anchors):
    boxes = np.asarray(anchors[level])
    rows, cols = cells(image_size, level)
    per_cell = len(boxes) // max(rows * cols, 1)
    _check_regular(boxes, rows, cols, per_cell, level, image_size)
    level_shapes[level] = (rows, cols, per_cell)
    for index in range(per_cell if rows * cols else 0):
      y0, x0, y1, x1 = boxes[index]
      for name, value in zip(AnchorGrid._fields[2:], (
          2. ** level, y1 - y0, x1 - x0, rows, cols, start + index, per_cell)):
        columns[name].append(value)
    start += len(boxes)
  types = {name: np.array(values, np.float32 if name in
                          ('strides', 'heights', 'widths') else np.int32)
           for name, values in columns.items()}
  flat = np.concatenate([anchors[level] for level in sorted(anchors)])
  return AnchorGrid(boxes=flat.astype(np.float32), level_shapes=level_shapes,
                    **types)


def _check_regular(boxes, rows, cols, per_cell, level, image_size):
  """Raises ValueError unless all cells hold the boxes of the first, moved."""
  regular = boxes.shape == (rows * cols * per_cell, 4)
  if regular and len(boxes):
    y, x = np.meshgrid(np.arange(rows), np.arange(cols), indexing='ij')
    corner = np.stack([y, x, y, x], axis=-1).reshape([-1, 1, 4]) * 2 ** level
    moved = boxes[:per_cell] + corner
    centers = (boxes[:per_cell, :2] + boxes[:per_cell, 2:]) / 2.
    regular = (np.allclose(boxes.reshape(moved.shape), moved, atol=1e-2) and
               np.allclose(centers, 2 ** level / 2., atol=1e-2))
  if not regular:
    raise ValueError(
        'The anchors of level %d, shape %s, are not a regular grid for the '
        'image size %s; make them with AnchorGenerator.boxes(image_size).'
        % (level, boxes.shape, tuple(image_size)))
