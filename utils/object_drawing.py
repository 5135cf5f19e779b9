"""Draws annotations and detections as COCO has them."""

from typing import Any, Optional, Sequence

import numpy as np

from utils import drawing
from utils import masks as mask_utils
from utils import types


def draw(image: np.ndarray, boxes: types.ArrayLike, categories: types.ArrayLike,
         scores: Optional[types.ArrayLike], names: types.LabelMap,
         rles: Optional[Sequence[Any]] = None, **options: Any) -> np.ndarray:
  """Draws objects into an image.

  Args:
    image: uint8 [height, width, 3], RGB.
    boxes: [N, 4], x, y, width, height in pixels of `image`.
    categories: int [N], keys of `names`.
    scores: [N]; None: objects that are known.
    names: {category: name}.
    rles: [N], run-length codes, of any size; None in it: an object without a
      mask, of which only the box is drawn. None: no masks.
    **options: of drawing.draw_detections.

  Returns:
    uint8 [h, w, 3]; see drawing.draw_detections.
  """
  x, y, width, height = np.asarray(boxes).reshape([-1, 4]).T
  masks = None
  if rles is not None:
    masks = [np.zeros(image.shape[:2], np.uint8) if rle is None
             else mask_utils.decode(rle) for rle in rles]
  return drawing.draw_detections(
      image, np.stack([y, x, y + height, x + width], axis=-1), categories,
      scores, names, masks, **options)
