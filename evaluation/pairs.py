"""Which detections overlap which objects, and who belongs to whom.

What explains an evaluation (curves, kinds of errors, confusions) begins with
the same two steps: the pairs of a detection and an object of one image that
overlap at all, and a matching of them, best detection first. Both are columns,
so that hundred thousands of detections take about a second.
"""

from typing import Iterator, NamedTuple, Optional, Tuple

import numpy as np
from pycocotools import mask as coco_mask

from evaluation import annotations as annotations_lib
from evaluation import detections as detections_lib

LEAST_OVERLAP = .1  # TIDE's limit of the background, the lowest that is asked
MAX_DETECTIONS = 100  # of an image and category, as COCO counts

BOX, MASK = 'bbox', 'segm'


class Pairs(NamedTuple):
  """Overlapping detections and objects, of any category.

  Attributes:
    detections: int64 [P], rows of the detections.
    objects: int64 [P], rows of the annotations.
    overlaps: float64 [P], IoU; with crowds the share of the detection that is
      inside of the crowd.
  """
  detections: np.ndarray
  objects: np.ndarray
  overlaps: np.ndarray


class Matches(NamedTuple):
  """A matching of detections with objects.

  Attributes:
    objects: int64 [D], the object of each detection; -1: none.
    overlaps: float64 [D], with that object; 0: none.
    is_counted: bool [D], False beyond the limit of detections of an image.
    is_ignored: bool [D], matched with a crowd, neither right nor wrong.
    detections: int64 [N], the detection that found each object; -1: none.
      Crowds are never found.
  """
  objects: np.ndarray
  overlaps: np.ndarray
  is_counted: np.ndarray
  is_ignored: np.ndarray
  detections: np.ndarray

  @property
  def is_hit(self) -> np.ndarray:
    """bool [D]: found an object."""
    return (self.objects >= 0) & ~self.is_ignored

  @property
  def is_false(self) -> np.ndarray:
    """bool [D]: counted, and found nothing."""
    return self.is_counted & (self.objects < 0)


def scored(annotations: annotations_lib.Annotations,
           iou_type: str = BOX) -> annotations_lib.Annotations:
  """The annotations without objects that nothing can be compared with.

  Args:
    annotations: `annotations.Annotations`, with masks for 'segm'.
    iou_type: 'bbox' or 'segm', for which objects without a mask are left out.
  """
  if iou_type == BOX:
    return annotations
  return annotations.select(np.array(
      [rle is not None for rle in annotations.rles], bool))


def find(annotations: annotations_lib.Annotations,
         detections: detections_lib.Detections, iou_type: str = BOX,
         least: float = LEAST_OVERLAP) -> Pairs:
  """Finds the pairs.

  Args:
    annotations: what `scored` returns.
    detections: `detections.Detections`; `images` and `categories` are rows of
      the annotations' lists.
    iou_type: 'bbox' or 'segm', what overlaps are measured between.
    least: pairs of a smaller overlap are left out.

  Returns:
    `Pairs`, in the order of images, then of detections.
  """
  gt_rows = np.argsort(annotations.images, kind='mergesort')
  dt_rows = np.argsort(detections.images, kind='mergesort')
  parts = [_of_image(annotations, detections, gt_rows[g], dt_rows[d], iou_type,
                     least)
           for g, d in slices_of_images(annotations.images[gt_rows],
                                        detections.images[dt_rows])]
  return Pairs(*[np.concatenate([p[i] for p in parts]) if parts
                 else np.zeros([0], dtype)
                 for i, dtype in enumerate((np.int64, np.int64, np.float64))])


def slices_of_images(gt_images: np.ndarray,
                     dt_images: np.ndarray) -> Iterator[Tuple[slice, slice]]:
  """Yields slices (objects, detections) of every image that has both.

  Args:
    gt_images: int [N], sorted.
    dt_images: int [D], sorted.
  """
  both = np.intersect1d(gt_images, dt_images)
  ends = [np.searchsorted(images, both, side) for images in
          (gt_images, dt_images) for side in ('left', 'right')]
  for g0, g1, d0, d1 in zip(*(e.tolist() for e in ends)):
    yield slice(g0, g1), slice(d0, d1)


def _of_image(annotations, detections, gt, dt, iou_type, least):
  """(detections [P], objects [P], overlaps [P]) of one image."""
  is_crowds = annotations.is_crowds[gt].astype(int).tolist()
  if iou_type == BOX:
    overlaps = coco_mask.iou(detections.boxes[dt], annotations.boxes[gt],
                             is_crowds)
  else:
    overlaps = coco_mask.iou([detections.rles[i] for i in dt],
                             [annotations.rles[i] for i in gt], is_crowds)
  d, g = np.nonzero(overlaps >= least)
  return dt[d], gt[g], overlaps[d, g]


def ranks(detections: detections_lib.Detections,
          by_category: bool = True) -> np.ndarray:
  """Place of each detection among those of its image, the best first.

  Args:
    detections: `detections.Detections`.
    by_category: among those of its image and category.

  Returns:
    int64 [D], from 0; of equal scores the one listed first goes first.
  """
  keys = [-detections.scores, detections.images]
  if by_category:
    keys.insert(1, detections.categories)
  order = np.lexsort(keys)
  is_first = np.ones([len(order)], bool)
  is_first[1:] = np.any([np.diff(key[order]) != 0 for key in keys[1:]], axis=0)
  starts = np.maximum.accumulate(np.where(is_first, np.arange(len(order)), 0))
  result = np.zeros([len(order)], np.int64)
  result[order] = np.arange(len(order)) - starts
  return result


def match(annotations: annotations_lib.Annotations,
          detections: detections_lib.Detections, pairs: Pairs,
          threshold: float = .5, same_category: bool = True,
          is_counted: Optional[np.ndarray] = None,
          last_of_equals: bool = True) -> Matches:
  """Matches by COCO's rule: the best detection chooses first.

  It takes the free object that it overlaps most, and a crowd only where there
  is no other. Crowds stay free.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    pairs: `Pairs` of both.
    threshold: least overlap of a match.
    same_category: False: an object of any category will do.
    is_counted: bool [D], detections that take part; None: COCO's, the best 100
      of an image and category.
    last_of_equals: of objects overlapped alike, takes the last, as COCO does;
      False: the first.

  Returns:
    `Matches`.
  """
  if is_counted is None:
    is_counted = ranks(detections) < MAX_DETECTIONS
  # As in pycocotools, so that a limit of 1 can be reached.
  keep = (pairs.overlaps >= min(threshold, 1 - 1e-10)) & is_counted[
      pairs.detections]
  if same_category:
    keep &= (detections.categories[pairs.detections]
             == annotations.categories[pairs.objects])
  pairs = Pairs(*[column[keep] for column in pairs])
  order = np.argsort(-detections.scores, kind='mergesort')
  place = np.zeros([len(order)], np.int64)
  place[order] = np.arange(len(order))
  pairs = Pairs(*[column[np.lexsort((
      -pairs.objects if last_of_equals else pairs.objects, -pairs.overlaps,
      annotations.is_crowds[pairs.objects], place[pairs.detections]))]
                  for column in pairs])
  return _greedy(annotations, detections, pairs, is_counted)


def _greedy(annotations, detections, pairs, is_counted):
  """`Matches` where every detection takes the first of its pairs that is free.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    pairs: `Pairs` in the order in which they are tried.
    is_counted: bool [D].
  """
  objects = np.full([len(detections.scores)], -1, np.int64)
  overlaps = np.zeros([len(objects)])
  found_by = [-1] * len(annotations.images)
  is_crowd = annotations.is_crowds.tolist()
  done = -1  # pairs of a detection stand together
  for d, g, overlap in zip(*(column.tolist() for column in pairs)):
    if d == done or found_by[g] >= 0:
      continue
    done = d
    objects[d], overlaps[d] = g, overlap
    if not is_crowd[g]:
      found_by[g] = d
  # Without any object there is nothing to index.
  is_ignored = objects >= 0
  is_ignored[is_ignored] = annotations.is_crowds[objects[is_ignored]]
  return Matches(objects, overlaps, is_counted, is_ignored,
                 np.array(found_by, np.int64))
