"""The COCO metrics: average precision and recall, overall and per category.

The rules, thresholds and sums are those of pycocotools' COCOeval, and so are
the results, to the last digit (a test compares all arrays). What differs is
the work: columns instead of dicts, and matching only where a detection
overlaps an object enough to be matched at all.
"""

import contextlib
import io
import re
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
from pycocotools import cocoeval
from pycocotools import mask as coco_mask

from evaluation import annotations as annotations_lib
from evaluation import detections as detections_lib
from evaluation import ids
from evaluation import pairs as pairs_lib
from utils import types

METRIC_NAMES = ('AP', 'AP50', 'AP75', 'APs', 'APm', 'APl', 'ARmax1', 'ARmax10',
                'ARmax100', 'ARs', 'ARm', 'ARl')

# Before the metrics of masks: of some classes, and of all the others.
NOVEL, SEEN = 'novel_', 'seen_'

UNDEFINED = -1.  # of a metric without any object to find

_BOX, _MASK = 'bbox', 'segm'
PREFIXES = {_BOX: '', _MASK: 'mask_'}

# Key of a category's value -> (is precision, IoU threshold, area, most
# detections), as arguments of COCOeval's summary. In the order of METRIC_NAMES.
_CATEGORY_KEYS = (
    ('Precision mAP ByCategory/%s', True, None, 'all', 100),
    ('Precision mAP ByCategory@50IoU/%s', True, .5, 'all', 100),
    ('Precision mAP ByCategory@75IoU/%s', True, .75, 'all', 100),
    ('Precision mAP ByCategory (small)/%s', True, None, 'small', 100),
    ('Precision mAP ByCategory (medium)/%s', True, None, 'medium', 100),
    ('Precision mAP ByCategory (large)/%s', True, None, 'large', 100),
    ('Recall AR@1 ByCategory/%s', False, None, 'all', 1),
    ('Recall AR@10 ByCategory/%s', False, None, 'all', 10),
    ('Recall AR@100 ByCategory/%s', False, None, 'all', 100),
    ('Recall AR (small) ByCategory/%s', False, None, 'small', 100),
    ('Recall AR (medium) ByCategory/%s', False, None, 'medium', 100),
    ('Recall AR (large) ByCategory/%s', False, None, 'large', 100),
)
BY_CATEGORY = ' ByCategory'  # in the names of figures of one category
CATEGORY_AP = _CATEGORY_KEYS[0][0]  # reported always

# COCO counts so many detections of an image and category, the best ones.
MAX_DETECTIONS = 100
# Names of the figures with a limit of one's own, as in ARmax100, and the
# arguments of COCOeval's summary: (is precision, IoU threshold).
_LIMIT_KEYS = (('APmax%d', True, None), ('AP50max%d', True, .5),
               ('AP75max%d', True, .75), ('ARmax%d', False, None))
_LIMIT_NAME = re.compile(r'(AP|AP50|AP75|AR)max[0-9]+$')

# {name: (annotations, detections, iou_type) -> {metric: figure}}.
Functions = Mapping[str, Callable[..., Dict[str, float]]]


class ColumnCOCOeval(cocoeval.COCOeval):
  """COCOeval over columns; parameters and summary are pycocotools' own."""

  def __init__(self, annotations: annotations_lib.Annotations,
               detections: detections_lib.Detections, iou_type: str,
               image_rows: Optional[np.ndarray] = None,
               max_detections: Optional[int] = None) -> None:
    """Prepares an evaluation.

    Args:
      annotations: `annotations.Annotations`, with masks for 'segm'.
      detections: `detections.Detections`.
      iou_type: 'bbox' or 'segm': overlaps of boxes or of masks.
      image_rows: int [I], images to score; all if None.
      max_detections: int, a further limit of detections, above 100.
    """
    super().__init__(iouType=iou_type)
    if max_detections:
      self.params.maxDets = self.params.maxDets + [max_detections]
    self._annotations = annotations
    self._detections = detections
    if image_rows is None:
      image_rows = np.arange(len(annotations.image_ids))
    self.params.imgIds = list(image_rows)
    self.params.catIds = list(range(len(annotations.category_ids)))
    is_scored = np.zeros([len(annotations.image_ids)], bool)
    is_scored[image_rows] = True
    self._gt_is_scored = is_scored[annotations.images]
    self._dt_is_scored = is_scored[detections.images]
    if iou_type == _MASK:
      # Of no object at all, NumPy would make floats.
      self._gt_is_scored &= np.array(
          [rle is not None for rle in annotations.rles], bool)
    self._matches = []

  def evaluate(self) -> None:
    """Matches detections with objects, category by category."""
    areas = detections_lib.areas(self._detections)
    num_categories = len(self.params.catIds)
    dt_rows = _rows_by_category(self._detections.categories,
                                self._dt_is_scored, num_categories)
    gt_rows = _rows_by_category(self._annotations.categories,
                                self._gt_is_scored, num_categories)
    self._matches = [self._match_category(gt, dt, areas)
                     for gt, dt in zip(gt_rows, dt_rows)]

  def _match_category(self, gt, dt, dt_areas):
    """Matches the objects and detections of one category, image by image.

    Args:
      gt: rows of the annotations.
      dt: rows of the detections.
      dt_areas: [N] of all detections.

    Returns:
      (rank [D] in the image, scores [D], is_matched [A, T, D],
      is_ignored [A, T, D], number of objects that count [A]); detections in
      the order of their images, best first.
    """
    p = self.params
    dt, rank = _best_of_image(self._detections, dt, p.maxDets[-1])
    gt = gt[np.argsort(self._annotations.images[gt], kind='mergesort')]
    ignore_gt = (_outside(self._annotations.areas[gt], p.areaRng)
                 | self._annotations.is_crowds[gt])
    is_matched = np.zeros([len(p.areaRng), len(p.iouThrs), len(dt)], bool)
    matches_ignored = is_matched.copy()
    for g, d in pairs_lib.slices_of_images(self._annotations.images[gt],
                                           self._detections.images[dt]):
      is_matched[:, :, d], matches_ignored[:, :, d] = _match_image(
          self._overlaps(dt[d], gt[g]), ignore_gt[:, g],
          self._annotations.is_crowds[gt[g]], p.iouThrs)
    outside = self.ignored_if_unmatched(dt, dt_areas)[:, np.newaxis]
    is_ignored = np.where(is_matched, matches_ignored, outside)
    return (rank, self._detections.scores[dt], is_matched, is_ignored,
            np.count_nonzero(~ignore_gt, axis=1))

  def ignored_if_unmatched(self, dt: np.ndarray,
                           dt_areas: np.ndarray) -> np.ndarray:
    """Which detections are neither right nor wrong without an object.

    Args:
      dt: int [D], rows of the detections.
      dt_areas: float [N], pixels, of all detections.

    Returns:
      bool [A, D], for each of the A ranges of areas.
    """
    return _outside(dt_areas[dt], self.params.areaRng)

  def _overlaps(self, dt, gt):
    """IoU [D, G]; with crowds: intersection over the detection's area."""
    is_crowds = self._annotations.is_crowds[gt].astype(int).tolist()
    if self.params.iouType == _BOX:
      return coco_mask.iou(self._detections.boxes[dt],
                           self._annotations.boxes[gt], is_crowds)
    return coco_mask.iou([self._detections.rles[i] for i in dt],
                         [self._annotations.rles[i] for i in gt], is_crowds)

  def accumulate(self, p: Any = None) -> None:
    """Fills `self.eval` with precision, recall and scores as COCOeval does."""
    p = p or self.params
    counts = [len(v) for v in (p.iouThrs, p.recThrs, p.catIds, p.areaRng,
                               p.maxDets)]
    num_thresholds, _, num_categories, num_areas, num_limits = counts
    precision = np.full(counts, UNDEFINED)
    scores = np.full(counts, UNDEFINED)
    recall = np.full([num_thresholds, num_categories, num_areas, num_limits],
                     UNDEFINED)
    for k, (rank, score, matched, ignored, num_gt) in enumerate(self._matches):
      order = np.argsort(-score, kind='mergesort')
      for m, limit in enumerate(p.maxDets):
        kept = order[rank[order] < limit]
        for a in np.flatnonzero(num_gt):
          precision[:, :, k, a, m], recall[:, k, a, m], scores[
              :, :, k, a, m] = precision_recall(
                  matched[a][:, kept], ignored[a][:, kept], score[kept],
                  num_gt[a], p.recThrs)
    self.eval = {'params': p, 'counts': counts, 'precision': precision,
                 'recall': recall, 'scores': scores}

  def category_values(self, is_precision: bool, iou_threshold: Optional[float],
                      area: str, max_detections: int) -> List[float]:
    """One figure of COCOeval's summary for every category: [C] floats.

    Args:
      is_precision: whether average precision, otherwise average recall.
      iou_threshold: one of the thresholds; None: the mean over all.
      area: label of a range of areas, 'all', 'small', 'medium' or 'large'.
      max_detections: one of the limits.
    """
    return [_mean_defined(v) for v in self._values(
        is_precision, iou_threshold, area, max_detections).T]

  def overall_value(self, is_precision: bool, iou_threshold: Optional[float],
                    area: str, max_detections: int,
                    category_rows: Optional[Sequence[int]] = None) -> float:
    """One figure of COCOeval's summary, over all or some categories.

    Args: as of `category_values`, and `category_rows`, rows of the categories;
      None: all.
    """
    values = self._values(is_precision, iou_threshold, area, max_detections)
    if category_rows is not None:
      values = values[:, category_rows]
    return _mean_defined(values)

  def _values(self, is_precision, iou_threshold, area, max_detections):
    """The values that a figure is the mean of: [..., C]."""
    p = self.params
    a, m = p.areaRngLbl.index(area), p.maxDets.index(max_detections)
    values = self.eval['precision' if is_precision else 'recall'][..., a, m]
    if iou_threshold is not None:
      values = values[p.iouThrs == iou_threshold]
    # Without categories NumPy could not infer the size for a -1.
    return values.reshape([int(np.prod(values.shape[:-1])), len(p.catIds)])


def _mean_defined(values):
  is_defined = values > UNDEFINED
  return float(np.mean(values[is_defined])) if is_defined.any() else UNDEFINED


def evaluate(
    annotations: annotations_lib.Annotations,
    detections: detections_lib.Detections, iou_type: str,
    per_category: bool = True, image_rows: Optional[np.ndarray] = None,
    max_detections: Optional[int] = None,
    novel_categories: Optional[Sequence[types.Id]] = None) -> Dict[str, float]:
  """Computes the metrics.

  Args:
    annotations: `annotations.Annotations`, with masks for 'segm'.
    detections: `detections.Detections`; their size classes go by the masks if
      they have any, else by the boxes.
    iou_type: 'bbox' or 'segm'.
    per_category: all figures of every category, or its AP only.
    image_rows: int [I], images to score; all if None.
    max_detections: int N above 100; adds APmaxN, AP50maxN, AP75maxN, ARmaxN,
      for which the best N detections of an image and category count. The
      others stay as they are.
    novel_categories: ids; adds the twelve metrics of these categories with the
      prefix `novel_` and those of the others with `seen_`. None adds none.

  Returns:
    {metric: float}; -1 is undefined: there was nothing to find.
  """
  engine = ColumnCOCOeval(annotations, detections, iou_type, image_rows,
                          max_detections)
  engine.evaluate()
  engine.accumulate()
  with contextlib.redirect_stdout(io.StringIO()):
    engine.summarize()
  prefix = PREFIXES[iou_type]
  metrics = {prefix + name: float(value)
             for name, value in zip(METRIC_NAMES, engine.stats)}
  if max_detections:
    metrics.update({
        prefix + name % max_detections: engine.overall_value(
            is_precision, threshold, 'all', max_detections)
        for name, is_precision, threshold in _LIMIT_KEYS})
  if novel_categories is not None:
    metrics.update(_split_metrics(engine, annotations, novel_categories,
                                  prefix))
  for key, *what in _CATEGORY_KEYS if per_category else _CATEGORY_KEYS[:1]:
    for category, value in zip(annotations.category_ids,
                               engine.category_values(*what)):
      metrics[prefix + key % category] = value
  return metrics


def evaluate_extra(functions: Functions,
                   annotations: annotations_lib.Annotations,
                   detections: detections_lib.Detections,
                   iou_type: str) -> Dict[str, float]:
  """Computes further metrics.

  Args:
    functions: {name: function}, see factory.EXTRA_METRICS.
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    iou_type: 'bbox' or 'segm'.

  Returns:
    {metric: float}, names as in voc_AP50 and mask_voc_AP50.
  """
  return {'%s%s_%s' % (PREFIXES[iou_type], name, key): float(value)
          for name, function in functions.items()
          for key, value in function(annotations, detections,
                                     iou_type).items()}


def _split_metrics(engine, annotations, novel_categories, prefix):
  """{metric: float} of the novel categories and of the others."""
  novel = {ids.canonical_id(i) for i in novel_categories}
  is_novel = np.array([ids.canonical_id(i) in novel
                       for i in annotations.category_ids], bool)
  metrics = {}
  for group, is_in_group in ((NOVEL, is_novel), (SEEN, ~is_novel)):
    for name, (_, *what) in zip(METRIC_NAMES, _CATEGORY_KEYS):
      metrics[group + prefix + name] = engine.overall_value(
          *what, category_rows=is_in_group)
  return metrics


def limit_names(metrics: Mapping[str, float], prefix: str = '') -> List[str]:
  """Names, without the prefix, of metrics with a limit of one's own.

  Args:
    metrics: {metric: float} of `evaluate`.
    prefix: one of PREFIXES.
  """
  names = [name[len(prefix):] for name in metrics if name.startswith(prefix)]
  return [name for name in names
          if _LIMIT_NAME.match(name) and name not in METRIC_NAMES]


def limit_messages(annotations: annotations_lib.Annotations,
                   max_detections: Optional[int] = None) -> List[str]:
  """Says when an image has more objects than COCO's metrics count.

  Args:
    annotations: `annotations.Annotations`.
    max_detections: as in `evaluate`.

  Returns:
    [message], empty or one.
  """
  of_image = (annotations.images[~annotations.is_crowds]
              * len(annotations.category_ids)
              + annotations.categories[~annotations.is_crowds])
  groups, counts = np.unique(of_image, return_counts=True)
  if not len(counts) or counts.max() <= MAX_DETECTIONS:
    return []
  image = groups[counts.argmax()] // len(annotations.category_ids)
  return [
      '%d images have more than %d objects of one class, image %r has %d. The '
      'COCO metrics count the %d best detections of an image and class: even '
      'perfect ones score below 1. %s' % (
          np.count_nonzero(counts > MAX_DETECTIONS), MAX_DETECTIONS,
          annotations.image_ids[image], counts.max(), MAX_DETECTIONS,
          'APmax%d and the like count %d.' % ((max_detections,) * 2)
          if max_detections else
          'eval.max_detections=%d (--max_detections of evaluate_detections) '
          'adds figures that count all.' % counts.max())]


def _rows_by_category(categories, is_scored, num_categories):
  """[scored rows of the category, in their order], for every category."""
  rows = np.flatnonzero(is_scored)
  rows = rows[np.argsort(categories[rows], kind='mergesort')]
  ends = np.searchsorted(categories[rows], np.arange(num_categories),
                         side='right')
  return np.split(rows, ends)[:num_categories]


def _best_of_image(detections, rows, limit):
  """Sorts by image and score and keeps the best `limit` of every image.

  Returns:
    (rows, their rank within the image, from 0).
  """
  rows = rows[np.lexsort((-detections.scores[rows], detections.images[rows]))]
  images = detections.images[rows]
  rank = np.arange(len(rows)) - np.searchsorted(images, images, side='left')
  return rows[rank < limit], rank[rank < limit]


def _outside(areas, ranges):
  """Whether areas [N] are outside of each (least, most): bool [A, N]."""
  ranges = np.array(ranges)[:, :, np.newaxis]
  return (areas < ranges[:, 0]) | (areas > ranges[:, 1])


def _match_image(overlaps, ignore_gt, is_crowds, thresholds):
  """Matches the detections of one image, best first, with its objects.

  A detection takes the free object that it overlaps most, among equals the
  last; an ignored one only when there is no other. Crowds stay free.

  Args:
    overlaps: [D, G].
    ignore_gt: bool [A, G], in each area range.
    is_crowds: bool [G].
    thresholds: [T], least overlaps.

  Returns:
    is_matched, matches_ignored: bool [A, T, D].
  """
  shape = [len(ignore_gt), len(thresholds), len(overlaps)]
  is_matched, matches_ignored = np.zeros(shape, bool), np.zeros(shape, bool)
  thresholds = np.minimum(thresholds, 1 - 1e-10)
  is_free = np.ones(shape[:2] + [len(is_crowds)], bool)
  for d in np.flatnonzero((overlaps >= thresholds[0]).any(axis=1)):
    near = np.flatnonzero(overlaps[d] >= thresholds[0])
    near = near[np.argsort(overlaps[d, near], kind='mergesort')]
    can_match = is_free[:, :, near] & (
        overlaps[d, near] >= thresholds[:, np.newaxis])
    # The preference of each candidate, from 1; 0 where it is out of question.
    preference = np.arange(1, len(near) + 1) + len(near) * ~ignore_gt[
        :, np.newaxis, near]
    preference = (can_match * preference).max(axis=2)
    is_matched[:, :, d] = preference > 0
    matches_ignored[:, :, d] = (preference > 0) & (preference <= len(near))
    taken = near[(preference - 1) % len(near)]
    a, t = np.nonzero((preference > 0) & ~is_crowds[taken])
    is_free[a, t, taken[a, t]] = False
  return is_matched, matches_ignored


def precision_recall(
    is_matched: np.ndarray, is_ignored: np.ndarray, scores: np.ndarray,
    num_gt: int,
    recalls: np.ndarray) -> Tuple[np.ndarray, np.ndarray, np.ndarray]:
  """Precision at given recalls, the final recall, and the scores there.

  Args:
    is_matched: bool [T, D] for T overlaps, best detection first.
    is_ignored: bool [T, D].
    scores: float [D].
    num_gt: number of objects to find.
    recalls: float [R], rising.

  Returns:
    precision [T, R], recall [T], scores [T, R], float64.

  Source: `COCOeval.accumulate` of pycocotools.
  """
  shape = [len(is_matched), len(recalls)]
  precision, score_at = np.zeros(shape), np.zeros(shape)
  if not len(scores):
    return precision, np.zeros(shape[:1]), score_at
  hits = np.cumsum(is_matched & ~is_ignored, axis=1).astype(float)
  misses = np.cumsum(~is_matched & ~is_ignored, axis=1).astype(float)
  recall = hits / num_gt
  curve = hits / (misses + hits + np.spacing(1))
  # Precision is what some threshold of at least this recall reaches.
  curve = np.maximum.accumulate(curve[:, ::-1], axis=1)[:, ::-1]
  for t in range(shape[0]):
    at = np.searchsorted(recall[t], recalls, side='left')
    reached = at[at < len(scores)]
    precision[t, :len(reached)] = curve[t, reached]
    score_at[t, :len(reached)] = scores[reached]
  return precision, recall[:, -1], score_at
