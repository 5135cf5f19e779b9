"""Upstream's paste of masks, for figures that equal its own.

It is the inverse of no crop: boxes are cut to whole pixels, and count one more
in both directions.
"""

from typing import Iterator, Tuple

import cv2
import numpy as np


def crops(masks: np.ndarray, boxes_xywh: np.ndarray, height: int,
          width: int) -> Iterator[Tuple[np.ndarray, int, int]]:
  """Yields (crop bool [w, h], y0, x0): the part of each mask in the image.

  Args:
    masks: float32 [N, h, w].
    boxes_xywh: [N, 4], pixels of the image.
    height: the height of the image.
    width: the width of the image.

  Source: Detectron's pasting, which upstream follows (v1 of the golden file
  mask_paste).
  """
  padded = np.zeros([len(masks), masks.shape[1] + 2, masks.shape[2] + 2],
                    np.float32)
  padded[:, 1:-1, 1:-1] = masks
  boxes = _grow_boxes(boxes_xywh, masks.shape[1:]).tolist()
  for mask, (x0, y0, x1, y1) in zip(padded, boxes):
    resized = cv2.resize(mask, (max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)))
    left, top = max(x0, 0), max(y0, 0)
    crop = resized[top - y0:max(height - y0, 0), left - x0:max(width - x0, 0)]
    yield crop.T > .5, top, left


def _grow_boxes(boxes_xywh, mask_size):
  """Boxes of the masks with one more pixel of the mask on every side.

  Resizing a mask whose border is padded with zeros lets the object fade out
  at the border instead of ending on a hard edge.

  Args:
    boxes_xywh: [N, 4], (x, y, width, height).
    mask_size: (height, width) of the masks before padding.

  Returns:
    int32 [N, 4], (x0, y0, x1, y1), all inclusive.
  """
  boxes = np.asarray(boxes_xywh, np.float32).reshape([-1, 4])
  height, width = mask_size
  scale = max((width + 2.) / width, (height + 2.) / height)
  half_size = boxes[:, 2:] * .5
  center = boxes[:, :2] + half_size
  corners = np.concatenate(
      [center - half_size * scale, center + half_size * scale], axis=1)
  return corners.astype(np.int32)
