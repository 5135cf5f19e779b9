"""Detections on their way to the metrics, as columns.

A detection costs a few dozen bytes here and a kilobyte as a COCO dict, and
columns are sorted and cut without loops. Dicts are made for the results file
only.
"""

from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from utils import mask_grids
from utils import masks as mask_utils
from utils import types


class Detections(NamedTuple):
  """Columns of equal length.

  Attributes:
    images: int64 [N], row of the image ids.
    categories: int64 [N], row of the category ids.
    boxes: float64 [N, 4], (x, y, width, height), original pixels.
    scores: float64 [N].
    rles: [N] RLE or None without masks.
  """
  images: np.ndarray
  categories: np.ndarray
  boxes: np.ndarray
  scores: np.ndarray
  rles: Optional[List[types.Rle]]


def concatenate(parts: Sequence[Detections],
                include_mask: bool = False) -> Detections:
  """Joins lists of columns.

  Args:
    parts: [`Detections`], may be empty.
    include_mask: whether they have masks.

  Returns:
    `Detections`.
  """
  empty = Detections(np.zeros([0], np.int64), np.zeros([0], np.int64),
                     np.zeros([0, 4]), np.zeros([0]), [])
  rles = None
  if include_mask:
    rles = [rle for p in parts for rle in p.rles]
  return Detections(*[np.concatenate([p[i] for p in [empty] + parts])
                      for i in range(4)], rles=rles)


def select(detections: Detections, keep: np.ndarray) -> Detections:
  """Some of the rows of `detections`; `keep` is bool [N], or rows."""
  rles = detections.rles
  if rles is not None:
    rles = [rles[i] for i in np.arange(len(rles))[keep]]
  return Detections(*[column[keep] for column in detections[:4]], rles=rles)


def finite(detections: Detections) -> np.ndarray:
  """bool [N]: rows whose box and score are numbers.

  A box of NaN would count as found: no comparison with its overlap is false.
  """
  return (np.isfinite(detections.scores)
          & np.isfinite(detections.boxes).all(axis=1))


def num_repeated(*columns: np.ndarray) -> int:
  """Number of rows that are equal to one before.

  Args:
    *columns: [N] or [N, M] each, which make up the rows.
  """
  rows = np.column_stack(columns)
  # NumPy 1.16 does not know rows of nothing.
  return len(rows) - len(np.unique(rows, axis=0)) if len(rows) else 0


def areas(detections: Detections) -> np.ndarray:
  """Areas float64 [N], pixels: of the masks if any, else of the boxes."""
  if detections.rles is not None:
    return np.array([mask_utils.area(rle) for rle in detections.rles],
                    np.float64)
  return np.prod(detections.boxes[:, 2:], axis=1)


def from_predictions(
    predictions: Mapping[str, np.ndarray], include_mask: bool = False,
    rescale_boxes: bool = True, remove_invalid_boxes: bool = True,
    mask_grid: mask_grids.MaskGrid = mask_grids.CELLS
) -> Tuple[Detections, int]:
  """Columns of a batch of predictions.

  Args:
    predictions: see `COCOEvaluator.update`; boxes [B, M, 4], yxyx.
    include_mask: pastes and encodes the masks.
    rescale_boxes: divides boxes by the scale in `image_info`.
    remove_invalid_boxes: takes the first `num_detections` rows only.
    mask_grid: mask_grids.MaskGrid, how the model's masks are sampled.

  Returns:
    (`Detections`: `images` are rows of the batch, `categories` are ids, boxes
    as there [x, y, width, height]; number of detections left out because they
    are not finite).
  """
  boxes = _image_boxes(predictions, 'detection_boxes', rescale_boxes)
  num_images, num_slots = boxes.shape[:2]
  is_detection = np.ones([num_images, num_slots], bool)
  if remove_invalid_boxes:
    counts = np.reshape(predictions['num_detections'], [-1, 1])
    is_detection = np.arange(num_slots) < counts
  images, slots = np.nonzero(is_detection)
  columns = Detections(
      images, predictions['detection_classes'][images, slots].astype(np.int64),
      boxes[images, slots].astype(np.float64),
      predictions['detection_scores'][images, slots].astype(np.float64), None)
  keep = finite(columns)
  columns = select(columns, keep)
  if include_mask:
    if 'detection_outer_boxes' in predictions:
      boxes = _image_boxes(predictions, 'detection_outer_boxes', rescale_boxes)
    columns = columns._replace(rles=_encode_masks(
        predictions, boxes, images[keep], slots[keep], mask_grid))
  return columns, np.count_nonzero(~keep)


def _image_boxes(predictions, key, rescale):
  """Boxes as (x, y, width, height), original pixels."""
  boxes = predictions[key]
  if rescale:
    scale = predictions['image_info'][:, 2]  # (y, x)
    boxes = boxes / np.tile(scale, [1, 2])[:, np.newaxis]
  y0, x0, y1, x1 = np.moveaxis(boxes, -1, 0)
  with np.errstate(invalid='ignore'):  # What is not finite is counted later.
    return np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1)


def _encode_masks(predictions, boxes, images, slots, mask_grid):
  """RLE of the masks in these slots, pasted into their images."""
  sizes = np.round(predictions['image_info'][:, 0]).astype(int).tolist()
  rles = []
  for image, (height, width) in enumerate(sizes):
    of_image = slots[images == image]
    rles.extend(mask_utils.paste_and_encode(
        predictions['detection_masks'][image, of_image],
        boxes[image, of_image], height, width, mask_grid))
  return rles
