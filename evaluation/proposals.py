"""How many of the objects are among the boxes at all, whatever their class.

The average recall of proposals: detections of all classes are taken together,
and the best 1, 10, 100 and 1,000 of an image are compared with its objects. It
tells a detector that does not see things from one that cannot name them.

Source: COCOeval of pycocotools with `useCats = 0`, whose digits these are;
What makes for effective detection proposals? (arXiv:1502.05082).
"""

from typing import Dict, Tuple

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import detections as detections_lib

LIMITS = (1, 10, 100, 1000)
_AREAS = (('s', 'small'), ('m', 'medium'), ('l', 'large'))


def evaluate(annotations: annotations_lib.Annotations,
             detections: detections_lib.Detections,
             iou_type: str = 'bbox') -> Dict[str, float]:
  """Metrics of an evaluation; see factory.EXTRA_METRICS.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    iou_type: 'bbox' or 'segm'.

  Returns:
    {'AR@1', 'AR@10', 'AR@100', 'AR@1000', and of the last 'ARs@1000' and so on
    by size: float}; -1 is undefined.
  """
  engine = coco_metrics.ColumnCOCOeval(
      *without_categories(annotations, detections), iou_type=iou_type)
  engine.params.maxDets = list(LIMITS)
  engine.evaluate()
  engine.accumulate()
  metrics = {'AR@%d' % n: engine.overall_value(False, None, 'all', n)
             for n in LIMITS}
  metrics.update({
      'AR%s@%d' % (letter, LIMITS[-1]): engine.overall_value(
          False, None, area, LIMITS[-1]) for letter, area in _AREAS})
  return metrics


def without_categories(
    annotations: annotations_lib.Annotations,
    detections: detections_lib.Detections
) -> Tuple[annotations_lib.Annotations, detections_lib.Detections]:
  """Both as if there were one category.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.

  Returns:
    (`Annotations`, `Detections`), in the order of their categories, in which
    pycocotools goes through them: it decides between equal scores.
  """
  order = np.argsort(annotations.categories, kind='mergesort')
  annotations = annotations.select(order)
  annotations = annotations._replace(
      categories=np.zeros_like(annotations.categories),
      category_ids=['any'], category_index={'any': 0}, category_names=['any'])
  detections = detections_lib.select(
      detections, np.argsort(detections.categories, kind='mergesort'))
  return annotations, detections._replace(
      categories=np.zeros_like(detections.categories))
