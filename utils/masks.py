"""Instance masks: pasting into the image, run-length coding, polygons.

A run-length code (RLE) is COCO's: {'size': [height, width], 'counts': text}
over the columns of the mask, compressed. It goes into JSON unchanged, and
pycocotools reads it.
"""

from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from utils import legacy_paste
from utils import mask_grids
from utils import types
from utils import values

_INSIDE = .5 - 1e-6  # of 1; what was rounded must not fall out
_MOST_PIXELS = 2**31  # of a mask; its runs are counted with 32 bits
_FAR = 10  # image sizes; no annotator means points beyond


class Crop(NamedTuple):
  """A mask of an image that is empty outside of a window.

  Attributes:
    y: first row of the window.
    x: first column.
    mask: bool [h, w].
    size: (height, width) of the image.
  """
  y: int
  x: int
  mask: np.ndarray
  size: Tuple[int, int]


class Crops(Sequence[Crop]):
  """Masks of an image, each pasted when it is asked for.

  A hundred masks of a photograph of 50 million pixels, all at once, would take
  5 GB. Each is a Crop.
  """

  def __init__(self, masks: types.ArrayLike, boxes_xywh: types.ArrayLike,
               height: int, width: int,
               grid: mask_grids.MaskGrid = mask_grids.CELLS) -> None:
    """See `paste_masks`."""
    self._masks = np.asarray(masks, np.float32)
    self._boxes = np.asarray(boxes_xywh, np.float64).reshape([-1, 4])
    self._size, self._grid = (height, width), grid

  def __len__(self) -> int:
    return len(self._masks)

  def __getitem__(self, index: int) -> Crop:  # type: ignore[override]
    crop, y, x = next(_crops(
        self._masks[index][np.newaxis], self._boxes[index][np.newaxis],
        self._size[0], self._size[1], self._grid))
    return Crop(int(y), int(x), crop.T, self._size)


def _crops(masks, boxes_xywh, height, width, grid):
  """Yields (crop bool [w, h], y0, x0): the part of each mask in the image.

  By columns, as a run-length code reads it. Args: see `paste_masks`.
  """
  masks = np.asarray(masks, np.float32)
  if grid == mask_grids.LEGACY:
    yield from legacy_paste.crops(masks, boxes_xywh, height, width)
    return
  num_rows, num_columns = masks.shape[1:]
  boxes = np.asarray(boxes_xywh, np.float64).reshape([-1, 4]).tolist()
  for mask, (x, y, box_width, box_height) in zip(masks, boxes):
    rows = grid.axis(y, y + box_height, height, num_rows)
    columns = grid.axis(x, x + box_width, width, num_columns)
    # First the rows of the small mask, then its columns: every step copies
    # whole lines.
    lines = np.ascontiguousarray(_interpolate(mask, rows.positions).T)
    crop = _interpolate(lines, columns.positions) >= _INSIDE
    yield crop, rows.first, columns.first


def _interpolate(lines, positions):
  """Linear between the lines, which go on alike beyond the first and the last.

  Args:
    lines: float32 [S, n].
    positions: float64 [L], in lines.

  Returns:
    float32 [L, n].
  """
  last = len(lines) - 1
  positions = np.minimum(np.maximum(positions, 0.), last)
  before = positions.astype(np.intp)
  shares = (positions - before).astype(np.float32)[:, np.newaxis]
  result = lines[np.minimum(before + 1, last)]
  start = lines[before]
  result -= start
  result *= shares
  result += start
  return result


def paste_masks(masks: types.ArrayLike, boxes_xywh: types.ArrayLike,
                height: int, width: int,
                grid: mask_grids.MaskGrid = mask_grids.CELLS) -> np.ndarray:
  """Pastes box-sized masks into images: the inverse of cropping them.

  Args:
    masks: float [N, h, w], values 0..1; inside from 0.5 on.
    boxes_xywh: [N, 4], where each mask belongs, (x, y, width, height), pixels
      of the image. May reach beyond it. Finite.
    height: the height of the image.
    width: the width of the image.
    grid: mask_grids.MaskGrid, how the masks were sampled within their boxes.

  Returns:
    uint8 [N, height, width], 0 or 1. A pixel is inside if its place lies in
    the box and the mask, interpolated there, is; a box that lies between the
    places of two pixels has the pixel of its middle.
  """
  pasted = np.zeros([len(masks), height, width], np.uint8)
  if not len(masks):
    return pasted
  for canvas, (crop, y0, x0) in zip(
      pasted, _crops(masks, boxes_xywh, height, width, grid)):
    canvas[y0:y0 + crop.shape[1], x0:x0 + crop.shape[0]] = crop.T
  return pasted


def paste_crops(
    masks: types.ArrayLike, boxes_xywh: types.ArrayLike, height: int,
    width: int,
    grid: mask_grids.MaskGrid = mask_grids.CELLS
) -> List[Tuple[np.ndarray, int, int]]:
  """`paste_masks` without what lies outside of the boxes.

  Returns:
    [(bool [h, w], y0, x0)], the part of each mask in the image, and where its
    first row and column are.
  """
  if not len(masks):
    return []
  return [(crop.T, y0, x0) for crop, y0, x0
          in _crops(masks, boxes_xywh, height, width, grid)]


def paste_and_encode(
    masks: types.ArrayLike, boxes_xywh: types.ArrayLike, height: int,
    width: int,
    grid: mask_grids.MaskGrid = mask_grids.CELLS) -> List[types.Rle]:
  """`paste_masks` straight to RLE, without a canvas for every mask.

  Returns:
    [RLE], one for each mask.
  """
  if not len(masks):
    return []
  return [_encode_crop(crop, y0, x0, height, width) for crop, y0, x0
          in _crops(masks, boxes_xywh, height, width, grid)]


def _encode_crop(crop, y0, x0, height, width):
  """RLE of an image that is empty outside of `crop`, which is bool [w, h]."""
  # One row of zeros above and below ends every run within its column.
  columns = np.zeros([crop.shape[0], crop.shape[1] + 2], bool)
  columns[:, 1:-1] = crop
  flat = columns.ravel()
  edges = np.flatnonzero(flat[1:] != flat[:-1])  # start, end, start, end, ...
  column, row = np.divmod(edges, crop.shape[1] + 2)
  edges = (x0 + column) * height + y0 + row
  # A run that reaches the image's lower end goes on in the next column.
  ends = np.ones(len(edges), bool)
  ends[1:-1:2] = ends[2::2] = edges[1:-1:2] != edges[2::2]
  edges = np.concatenate([[0], edges[ends], [height * width]])
  counts = edges[1:] - edges[:-1]
  if len(counts) > 1 and not counts[-1]:
    counts = counts[:-1]
  return _as_text(coco_mask.frPyObjects(
      {'size': [height, width], 'counts': counts.tolist()}, height, width))


def encode(mask: types.ArrayLike) -> types.Rle:
  """RLE of a mask [height, width]; whatever is above zero is inside."""
  return _as_text(coco_mask.encode(
      np.asfortranarray(np.asarray(mask) > 0, np.uint8)))


def decode(rle: types.Rle) -> np.ndarray:
  """Mask uint8 [height, width], 0 or 1, of an RLE."""
  return coco_mask.decode(rle)


def area(rle: types.Rle) -> float:
  """Number of pixels inside."""
  return float(coco_mask.area(rle))


def bounding_box(rle: types.Rle) -> List[float]:
  """Box (x, y, width, height) around the pixels inside, four floats."""
  return [float(v) for v in coco_mask.toBbox(rle)]


def _as_text(rle):
  counts = rle['counts']
  if isinstance(counts, bytes):
    counts = counts.decode('ascii')
  return {'size': [int(v) for v in rle['size']], 'counts': counts}


def as_polygons(segmentation: Any) -> Any:
  """Puts the list around a polygon that stands without it."""
  if isinstance(segmentation, (list, tuple)) and segmentation and not any(
      isinstance(part, (list, tuple, dict)) for part in segmentation):
    return [segmentation]
  return segmentation


def valid_polygons(
    polygons: Sequence[Sequence[float]]) -> List[Sequence[float]]:
  """The polygons that enclose something: those of at least three points."""
  return [p for p in polygons if len(p) >= 6 and len(p) % 2 == 0]


def segmentation_to_rle(segmentation: Any, height: int,
                        width: int) -> Optional[types.Rle]:
  """RLE of any form that the field `segmentation` of a COCO file takes.

  Args:
    segmentation: list of polygons [x, y, x, y, ...] (of fewer than three
      points: left out), or one polygon; or RLE, compressed or with a list of
      counts.
    height: the height of the image; only used for polygons.
    width: the width of the image; only used for polygons.

  Returns:
    RLE, or None when no polygon is left.

  Raises:
    ValueError: if `segmentation` is neither, or damaged.
  """
  if isinstance(segmentation, dict):
    return _checked_rle(segmentation)
  segmentation = as_polygons(segmentation)
  if not isinstance(segmentation, (list, tuple)):
    raise ValueError('A segmentation is a list of polygons or a run-length '
                     'code, not %r.' % (segmentation,))
  if not all(isinstance(p, (list, tuple)) for p in segmentation):
    raise ValueError('A segmentation is a list of polygons, each a list '
                     '[x, y, x, y, ...].')
  polygons = valid_polygons(segmentation)
  if not polygons:
    return None
  polygons = [_points(polygon, height, width) for polygon in polygons]
  return _as_text(coco_mask.merge(
      coco_mask.frPyObjects(polygons, height, width)))


def _points(polygon, height, width):
  """[x, y, x, y, ...] as floats; points may be text of numbers.

  Refuses points for which pycocotools would take all memory there is.
  """
  try:
    points = np.array(polygon, np.float64)
    furthest = np.abs(points).max() if points.ndim == 1 else np.nan
  except (TypeError, ValueError, OverflowError):
    furthest = np.nan
  # Written so that NaN is refused too.
  if not furthest <= _FAR * max(height, width, 1):
    raise ValueError('A polygon has points that are not numbers, or are far '
                     'away from its image.')
  return points.tolist()


def _checked_rle(rle):
  """The RLE, compressed; its runs must fill the image."""
  if not {'size', 'counts'} <= set(rle):
    raise ValueError('A run-length code needs the keys size and counts, '
                     'this one has %s.' % sorted(rle))
  size, counts = _whole_numbers(rle['size']), rle['counts']
  if size is None or len(size) != 2:
    raise ValueError('The size of a run-length code is [height, width], not '
                     '%s.' % values.shown(rle['size']))
  if isinstance(counts, (str, bytes)):
    runs = _run_lengths(counts)
  else:
    counts = _whole_numbers(counts)
    if counts is None:
      raise ValueError('The counts of a run-length code are integers or text, '
                       'not %s.' % values.shown(rle['counts']))
    # Larger ones would not fit into the array.
    runs = np.array([min(max(c, -1), _MOST_PIXELS) for c in counts], np.int64)
  # pycocotools fills what is missing with whatever the memory holds.
  if np.any(runs < 0) or runs.sum() != size[0] * size[1] or (
      not 0 <= min(size) <= max(size) < _MOST_PIXELS):
    raise ValueError('The runs of a run-length code do not add up to its '
                     'image of %d x %d pixels.' % tuple(size))
  rle = {'size': size, 'counts': counts}
  if not isinstance(counts, (str, bytes)):
    rle = coco_mask.frPyObjects(rle, *size)
  return _as_text(rle)


def _whole_numbers(given):
  """[int], also of floats and text; None where they are none."""
  if not isinstance(given, (list, tuple)):
    return None
  try:
    return [values.whole_number(v) for v in given]
  except ValueError:
    return None


def _run_lengths(counts):
  """int64 runs of compressed counts, str or bytes.

  Each number is written in groups of 5 bits, the lowest first, 48 added; bit 5
  says that another group follows, bit 4 of the last group is the sign. From
  the fourth on it is the difference to the number two before.
  """
  if isinstance(counts, str):
    counts = counts.encode('utf-8')
  groups = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
  last = np.flatnonzero(groups & 0x20 == 0)
  first = np.concatenate([[0], last + 1])[:-1]
  if not len(last) or last[-1] != len(groups) - 1 or (
      groups.min() < 0 or groups.max() > 63 or (last - first).max() > 10):
    raise ValueError('The counts of a run-length code are damaged.')
  place = np.arange(len(groups)) - np.repeat(first, last - first + 1)
  differences = np.add.reduceat((groups & 0x1f) << 5 * place, first)
  differences -= np.where(groups[last] & 0x10, 1 << 5 * (place[last] + 1), 0)
  runs = differences.copy()
  runs[1::2] = np.cumsum(differences[1::2])
  runs[2::2] = np.cumsum(differences[2::2])
  return runs
