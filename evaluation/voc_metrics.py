"""Average precision by the rules of the Pascal VOC challenge.

They differ from COCO's: one overlap, 0.5; a detection is compared with the one
object that it overlaps most, and is wrong when a better detection has found
that object already; detections are not limited in number; objects marked as
difficult count neither as found nor as missed.

Source: The PASCAL Visual Object Classes Challenge (Everingham et al., IJCV
2010), section 4.2. Its program counts a pixel more on each side of a box; here
overlaps are those of the boxes as they are, so figures differ a little where
objects are small.
"""

from typing import Dict

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import detections as detections_lib
from evaluation import pairs as pairs_lib

UNDEFINED = -1.
OVERLAP = .5
_RECALLS_2007 = np.linspace(0., 1., 11)


def evaluate(annotations: annotations_lib.Annotations,
             detections: detections_lib.Detections,
             iou_type: str = 'bbox') -> Dict[str, float]:
  """Computes the metrics.

  Args:
    annotations: `annotations.Annotations`; crowds count as difficult.
    detections: `detections.Detections`.
    iou_type: 'bbox' or 'segm'.

  Returns:
    {'AP50': mean over the classes of the area below the curve of precision, as
    in the challenges from 2010 on; 'AP50_2007': of 11 precisions, as before;
    'AP50 ByCategory/<id>': the former of each class}; -1 where there is
    nothing to find.
  """
  annotations = pairs_lib.scored(annotations, iou_type)
  is_hit, is_ignored = _judge(annotations, detections, iou_type)
  is_difficult = _is_difficult(annotations)
  num_categories = len(annotations.category_ids)
  num_objects = np.bincount(annotations.categories[~is_difficult],
                            minlength=num_categories)
  areas, elevens = [], []
  for category in range(num_categories):
    rows = np.flatnonzero((detections.categories == category) & ~is_ignored)
    rows = rows[np.argsort(-detections.scores[rows], kind='mergesort')]
    curve = _curve(is_hit[rows], num_objects[category])
    areas.append(area_below(*curve) if num_objects[category] else UNDEFINED)
    elevens.append(mean_of_eleven(*curve) if num_objects[category]
                   else UNDEFINED)
  metrics = {'AP50': _mean_defined(areas), 'AP50_2007': _mean_defined(elevens)}
  metrics.update({'AP50 ByCategory/%s' % i: area
                  for i, area in zip(annotations.category_ids, areas)})
  return metrics


def _is_difficult(annotations):
  return annotations.is_crowds | annotations.is_difficult


def _judge(annotations, detections, iou_type):
  """(is_hit, is_ignored), bool [D] each.

  A detection is one of the object that it overlaps most, of those overlapped
  alike the first.
  """
  pairs = pairs_lib.find(annotations, detections, iou_type, OVERLAP)
  same = (detections.categories[pairs.detections]
          == annotations.categories[pairs.objects])
  pairs = pairs_lib.Pairs(*[column[same] for column in pairs])
  order = np.lexsort((pairs.objects, -pairs.overlaps, pairs.detections))
  owners, first = np.unique(pairs.detections[order], return_index=True)
  objects = pairs.objects[order[first]]
  is_hit = np.zeros([len(detections.scores)], bool)
  is_ignored = is_hit.copy()
  is_difficult = _is_difficult(annotations)[objects]
  is_ignored[owners[is_difficult]] = True
  owners, objects = owners[~is_difficult], objects[~is_difficult]
  best = np.argsort(-detections.scores[owners], kind='mergesort')
  _, first = np.unique(objects[best], return_index=True)
  is_hit[owners[best[first]]] = True
  return is_hit, is_ignored


def _curve(is_hit, num_objects):
  """(recalls [D], precisions [D]) down to each detection, best first."""
  hits = np.cumsum(is_hit)
  return (hits / float(max(num_objects, 1)),
          hits / np.arange(1., len(is_hit) + 1))


def area_below(recalls: np.ndarray, precisions: np.ndarray) -> float:
  """Area below the curve, made to fall.

  Args:
    recalls: float [D], rising.
    precisions: float [D].
  """
  falling = np.maximum.accumulate(precisions[::-1])[::-1]
  return float(np.sum(np.diff(np.append(0., recalls)) * falling))


def mean_of_eleven(recalls: np.ndarray, precisions: np.ndarray) -> float:
  """Mean of the best precisions at recalls of 0, 0.1, ... 1 or more.

  Args:
    recalls: float [D], rising.
    precisions: float [D].
  """
  return float(np.mean([np.max(precisions[recalls >= r], initial=0.)
                        for r in _RECALLS_2007]))


def _mean_defined(values):
  values = np.array([v for v in values if v > UNDEFINED])
  return float(values.mean()) if len(values) else UNDEFINED
