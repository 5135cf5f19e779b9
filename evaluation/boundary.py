"""Average precision of masks that looks at their outlines.

The IoU of large masks hardly notices what happens at the border. Here the
overlap of two masks is the smaller one of their IoU and of the IoU of the
bands along their outlines; a band is as wide as 2 % of the image's diagonal.

Source: Boundary IoU: Improving Object-Centric Image Segmentation Evaluation
(arXiv:2103.16562).
"""

import math
from typing import Dict

import cv2
import numpy as np
from pycocotools import mask as coco_mask

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import detections as detections_lib
from utils import masks as mask_utils
from utils import types

WIDTH = .02  # of the band, in diagonals of the image
_KEYS = (('AP', None, 'all'), ('AP50', .5, 'all'), ('AP75', .75, 'all'),
         ('APs', None, 'small'), ('APm', None, 'medium'),
         ('APl', None, 'large'))


class BoundaryCOCOeval(coco_metrics.ColumnCOCOeval):
  """COCOeval with overlaps of masks and of their bands."""

  def _overlaps(self, dt, gt):
    """IoU [D, G], the smaller one of both."""
    overlaps = super()._overlaps(dt, gt)
    # What does not match by its mask need not be looked at.
    near = np.flatnonzero((overlaps >= self.params.iouThrs[0]).any(axis=1))
    if len(near):
      is_crowds = self._annotations.is_crowds[gt].astype(int).tolist()
      of_bands = coco_mask.iou(
          [band(self._detections.rles[i]) for i in dt[near]],
          [band(self._annotations.rles[i]) for i in gt], is_crowds)
      overlaps[near] = np.minimum(overlaps[near], of_bands)
    return overlaps


def evaluate(annotations: annotations_lib.Annotations,
             detections: detections_lib.Detections,
             iou_type: str = 'segm') -> Dict[str, float]:
  """Metrics of an evaluation; see factory.EXTRA_METRICS.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    iou_type: 'segm'; boxes ('bbox') have no outline to speak of.

  Returns:
    {'AP', 'AP50', 'AP75', 'APs', 'APm', 'APl': float}; nothing for boxes.
  """
  if iou_type != 'segm':
    return {}
  engine = BoundaryCOCOeval(annotations, detections, iou_type)
  engine.evaluate()
  engine.accumulate()
  return {name: engine.overall_value(True, threshold, area,
                                     coco_metrics.MAX_DETECTIONS)
          for name, threshold, area in _KEYS}


def band(rle: types.Rle) -> types.Rle:
  """The pixels of a mask that are near its outline, as a run-length code.

  Where the mask ends at the border of the image, that is its outline, too.

  Args:
    rle: run-length code of a mask [height, width].

  Source: arXiv:2103.16562, section 4.
  """
  height, width = rle['size']
  distance = max(1, int(round(WIDTH * math.hypot(height, width))))
  x, y, box_width, box_height = (int(v) for v in mask_utils.bounding_box(rle))
  mask = mask_utils.decode(rle)
  window = (slice(y, y + box_height), slice(x, x + box_width))
  inner = np.pad(mask[window], 1, 'constant')
  inner = cv2.erode(inner, np.ones([2 * distance + 1] * 2, np.uint8))
  mask[window] -= inner[1:-1, 1:-1]
  return mask_utils.encode(mask)
