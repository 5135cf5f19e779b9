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
from utils import run_lengths
from utils import types
from utils import values

_INSIDE = .5 - 1e-6  # of 1; what was rounded must not fall out
_MOST_PIXELS = 2**31  # of a mask; its runs are counted with 32 bits
_PORTION = 2**20  # values of masks that are pasted together
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
  boxes = np.asarray(boxes_xywh, np.float64).reshape([-1, 4])
  stops = boxes[:, :2] + boxes[:, 2:]
  rows = grid.axes(boxes[:, 1], stops[:, 1], height, masks.shape[1])
  columns = grid.axes(boxes[:, 0], stops[:, 0], width, masks.shape[2])
  for some in _portions(rows.counts * masks.shape[2]):
    yield from _some_crops(masks[some], rows.part(some), columns.part(some))


def _portions(sizes):
  """Slices of so many masks that their sizes stay below a limit together."""
  first = 0
  while first < len(sizes):
    number = max(1, int(np.searchsorted(np.cumsum(sizes[first:]), _PORTION)))
    yield slice(first, first + number)
    first += number


def _some_crops(masks, rows, columns):
  """`_crops` of so few masks that they are pasted together."""
  # First the rows of all small masks at once, then the columns of each: every
  # step copies whole lines.
  number, num_lines, num_columns = masks.shape
  before, after, shares = _neighbours(rows.positions(), num_lines)
  mask = np.repeat(np.arange(number) * num_lines, rows.counts)
  all_lines = masks.reshape([-1, num_columns])
  lines = _between(all_lines, mask + before, mask + after, shares)
  before, after, shares = _neighbours(columns.positions(), num_columns)
  row = column = 0
  for height, width, y0, x0 in zip(
      rows.counts.tolist(), columns.counts.tolist(), rows.firsts.tolist(),
      columns.firsts.tolist()):
    own = slice(column, column + width)
    values = _between(np.ascontiguousarray(lines[row:row + height].T),
                      before[own], after[own], shares[own])
    row, column = row + height, column + width
    yield values >= _INSIDE, y0, x0


def _neighbours(positions, num_lines):
  """The lines before and after positions, and the share of the latter.

  Args:
    positions: float64 [L], in lines; beyond the first and the last line is the
      same as there.
    num_lines: int.

  Returns:
    int [L], int [L], float32 [L, 1].
  """
  last = num_lines - 1
  positions = np.minimum(np.maximum(positions, 0.), last)
  before = positions.astype(np.intp)
  shares = (positions - before).astype(np.float32)[:, np.newaxis]
  return before, np.minimum(before + 1, last), shares


def _between(lines, before, after, shares):
  """Linear between lines [S, n]: float32 [L, n], see `_neighbours`."""
  result = lines.take(after, axis=0)
  start = lines.take(before, axis=0)
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
  rles, some, size = [], [], 0
  for crop in _crops(masks, boxes_xywh, height, width, grid):
    some.append(crop)
    size += crop[0].size
    if size > _PORTION:
      rles += _encode_crops(some, height, width)
      some, size = [], 0
  return rles + _encode_crops(some, height, width)


def _encode_crops(crops, height, width):
  """[RLE] of [(crop bool [w, h], y0, x0)]; images are empty elsewhere."""
  if not crops:
    return []
  shapes = np.array([crop.shape for crop, _, _ in crops])
  # One row of zeros above and below ends every run within its column.
  lengths = shapes[:, 1] + 2
  stops = np.cumsum(shapes[:, 0] * lengths)
  flat = np.zeros(stops[-1], bool)
  for (crop, _, _), length, stop in zip(
      crops, lengths.tolist(), stops.tolist()):
    columns = flat[stop - len(crop) * length:stop].reshape([-1, length])
    columns[:, 1:-1] = crop
  edges = np.flatnonzero(flat[1:] != flat[:-1])  # start, end, start, end, ...
  numbers = np.diff(np.searchsorted(edges, stops), prepend=0)
  # From places in the padded crops to places in the image.
  edges -= np.repeat(stops - shapes[:, 0] * lengths, numbers)
  origins = np.array([x0 * height + y0 for _, y0, x0 in crops], np.int64)
  edges += (edges // np.repeat(lengths, numbers)
            * np.repeat(height - lengths, numbers)
            + np.repeat(origins, numbers))
  runs, numbers = _runs(edges, numbers, height * width)
  return [{'size': [height, width], 'counts': text}
          for text in run_lengths.to_texts(runs, numbers)]


def _runs(edges, numbers, num_pixels):
  """Lengths of runs outside, inside, outside, ... of masks.

  Args:
    edges: int64 [E], places by columns where runs inside start and end, in
      turns, of one mask after the other.
    numbers: int64 [N], how many edges each mask has.
    num_pixels: int, of every mask.

  Returns:
    int64 [R], runs of one mask after the other; int64 [N], how many.
  """
  firsts = np.cumsum(numbers + 2) - numbers - 2
  lasts = firsts + numbers + 1
  places = np.zeros(len(edges) + 2 * len(numbers), np.int64)
  places[lasts] = num_pixels
  is_edge = np.ones(len(places), bool)
  is_edge[firsts] = is_edge[lasts] = False
  places[is_edge] = edges
  # A run that reaches the image's lower end goes on in the next column.
  equal = places[1:] == places[:-1]
  is_end = np.zeros(len(equal), bool)
  is_end[np.flatnonzero(is_edge)[1::2]] = True
  touch = equal & is_end & is_edge[1:]
  kept = np.ones(len(places), bool)
  kept[:-1] &= ~touch
  kept[1:] &= ~touch
  # So does the last one, up to the end of the mask; but one run stays.
  kept[lasts] = (places[lasts - 1] < num_pixels) | (numbers == 0)
  mask = np.repeat(np.arange(len(numbers)), numbers + 2)[kept]
  runs = np.diff(places[kept])[mask[1:] == mask[:-1]]
  return runs, np.bincount(mask, minlength=len(numbers)) - 1


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
    runs = run_lengths.from_text(counts)
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
