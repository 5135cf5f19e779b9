"""Kinds of errors, and the average precision that each of them costs.

A detection that found nothing is one of: right but for its class; right but
badly placed; both; a duplicate of a better one; background. An object that
nothing came near is missed. What a kind costs is how much AP50 would rise if
its errors were mended: a wrong class or place becomes right, where that finds
an object that is still free; a duplicate or a detection of background
disappears; a missed object no longer counts.

Source: TIDE: A General Toolbox for Identifying Object Detection Errors
(arXiv:2008.08115). The digits are those of the package `tidecv` 1.0.1, whose
AP is a mean over the categories that have objects or detections, and counts
the 100 best detections of an image.
"""

from typing import Dict, NamedTuple

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import detections as detections_lib
from evaluation import pairs as pairs_lib

CLASS, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, MISSED = KINDS = (
    'class', 'localisation', 'both', 'duplicate', 'background', 'missed')
POSITIVE = .5  # least overlap of a match
NEGATIVE = pairs_lib.LEAST_OVERLAP  # up to here it is background
MAX_DETECTIONS = 100  # of an image

_RECALLS = np.arange(101) / 100.  # as in tidecv: some are an ulp from COCO's
_NONE = -1  # of the places in KINDS: no error


class Errors(NamedTuple):
  """The kind of error of each detection, and the objects that were missed.

  Attributes:
    kinds: int64 [D], place in KINDS; -1: right, or not counted.
    objects: int64 [D], the object that a detection of the wrong class or place
      is about; -1 for the other kinds.
    is_mended: bool [D], whether mending it finds that object: of several
      detections about one object, the best.
    missed: bool [N], objects that no detection is about.
    matches: `pairs.Matches` of the detections with objects.
  """
  kinds: np.ndarray
  objects: np.ndarray
  is_mended: np.ndarray
  missed: np.ndarray
  matches: pairs_lib.Matches


class Costs(NamedTuple):
  """The AP that errors cost, all in 0..1.

  Attributes:
    ap: AP50 of tidecv.
    costs: {kind: rise of AP50 if its errors were mended}.
    counts: {kind: number of errors}.
    false_positives: rise if no detection without an object were counted.
    false_negatives: rise if only the objects counted that are found.
  """
  ap: float
  costs: Dict[str, float]
  counts: Dict[str, int]
  false_positives: float
  false_negatives: float


def evaluate(annotations: annotations_lib.Annotations,
             detections: detections_lib.Detections,
             iou_type: str = 'bbox') -> Dict[str, float]:
  """Metrics of an evaluation; see factory.EXTRA_METRICS.

  Args:
    annotations: `annotations.Annotations`, with masks for 'segm'.
    detections: `detections.Detections`.
    iou_type: 'bbox' or 'segm'.

  Returns:
    {'AP50', 'cost_<kind>' of each of KINDS, 'cost_false_positives',
    'cost_false_negatives': float}.
  """
  annotations = pairs_lib.scored(annotations, iou_type)
  found = costs(annotations, detections, classify(
      annotations, detections,
      pairs_lib.find(annotations, detections, iou_type, NEGATIVE)))
  metrics = {'AP50': found.ap}
  metrics.update({'cost_' + kind: found.costs[kind] for kind in KINDS})
  return dict(metrics, cost_false_positives=found.false_positives,
              cost_false_negatives=found.false_negatives)


def classify(annotations: annotations_lib.Annotations,
             detections: detections_lib.Detections,
             pairs: pairs_lib.Pairs) -> Errors:
  """Finds the kind of every error.

  Args:
    annotations: what `pairs.scored` returns.
    detections: `detections.Detections`.
    pairs: `pairs.Pairs` of overlaps from NEGATIVE on.

  Returns:
    `Errors`.
  """
  is_counted = pairs_lib.ranks(detections, by_category=False) < MAX_DETECTIONS
  pairs = pairs_lib.Pairs(*[c[is_counted[pairs.detections]] for c in pairs])
  of_crowd = annotations.is_crowds[pairs.objects]
  crowd_pairs = pairs_lib.Pairs(*[c[of_crowd] for c in pairs])
  pairs = pairs_lib.Pairs(*[c[~of_crowd] for c in pairs])
  matches = pairs_lib.match(annotations, detections, pairs, POSITIVE,
                            is_counted=is_counted, last_of_equals=False)
  matches = _with_crowds(annotations, detections, crowd_pairs, matches)
  kinds, objects = _kinds(annotations, detections, pairs, matches)
  is_mended, is_usable = _mended(detections, objects, matches)
  missed = ((matches.detections < 0) & ~is_usable & ~annotations.is_crowds)
  return Errors(kinds, objects, is_mended, missed, matches)


def _with_crowds(annotations, detections, crowd_pairs, matches):
  """`Matches` in which detections inside of a crowd are ignored."""
  inside = (crowd_pairs.overlaps > POSITIVE) & (
      annotations.categories[crowd_pairs.objects]
      == detections.categories[crowd_pairs.detections])
  is_ignored = np.zeros([len(matches.objects)], bool)
  is_ignored[crowd_pairs.detections[inside]] = True
  return matches._replace(is_ignored=is_ignored & (matches.objects < 0))


def _kinds(annotations, detections, pairs, matches):
  """(kind [D], object of a wrong class or place [D]) of detections.

  An ignored detection has a kind too: if its class or place were right, it
  would find an object.
  """
  num_detections = len(detections.scores)
  is_own = (annotations.categories[pairs.objects]
            == detections.categories[pairs.detections])
  own, own_overlap = _best(pairs, is_own, num_detections)
  other, other_overlap = _best(pairs, ~is_own, num_detections)
  _, used_overlap = _best(
      pairs, is_own & (matches.detections[pairs.objects] >= 0), num_detections)
  any_overlap = np.maximum(own_overlap, other_overlap)
  is_error = matches.is_counted & (matches.objects < 0)
  tests = (
      (LOCALISATION, (own_overlap >= NEGATIVE) & (own_overlap <= POSITIVE)),
      (CLASS, other_overlap >= POSITIVE),
      (DUPLICATE, used_overlap >= POSITIVE),
      (BACKGROUND, any_overlap <= NEGATIVE),
      (BOTH, np.ones([num_detections], bool)))
  kinds = np.select([is_error & test for _, test in tests],
                    [KINDS.index(kind) for kind, _ in tests], _NONE)
  objects = np.full([num_detections], -1, np.int64)
  for kind, of_kind in ((LOCALISATION, own), (CLASS, other)):
    rows = kinds == KINDS.index(kind)
    objects[rows] = of_kind[rows]
  return kinds, objects


def _best(pairs, keep, num_detections):
  """(object [D], overlap [D]) that each detection overlaps most; -1, 0: none.

  Of objects overlapped alike it is the first.
  """
  rows = np.flatnonzero(keep)
  rows = rows[np.lexsort((pairs.objects[rows], -pairs.overlaps[rows],
                          pairs.detections[rows]))]
  owners, first = np.unique(pairs.detections[rows], return_index=True)
  objects = np.full([num_detections], -1, np.int64)
  overlaps = np.zeros([num_detections])
  objects[owners] = pairs.objects[rows[first]]
  overlaps[owners] = pairs.overlaps[rows[first]]
  return objects, overlaps


def _mended(detections, objects, matches):
  """(is_mended [D], is_usable [N]): errors that find a free object if mended.

  Args:
    detections: `detections.Detections`.
    objects: int64 [D], what the errors are about.
    matches: `pairs.Matches`.
  """
  rows = np.flatnonzero(objects >= 0)
  rows = rows[matches.detections[objects[rows]] < 0]
  rows = rows[np.lexsort((rows, -detections.scores[rows], objects[rows]))]
  usable, first = np.unique(objects[rows], return_index=True)
  is_mended = np.zeros([len(objects)], bool)
  is_mended[rows[first]] = True
  is_usable = np.zeros([len(matches.detections)], bool)
  is_usable[usable] = True
  return is_mended, is_usable


def costs(annotations: annotations_lib.Annotations,
          detections: detections_lib.Detections, errors: Errors) -> Costs:
  """Measures what each kind of error costs.

  Args:
    annotations: `annotations.Annotations`, those of `classify`.
    detections: `detections.Detections`.
    errors: `Errors`.

  Returns:
    `Costs`.
  """
  num_categories = len(annotations.category_ids)
  def count(objects):
    return np.bincount(annotations.categories[objects],
                       minlength=num_categories)
  num_objects = count(~annotations.is_crowds)
  # Within an image the best go first; of equal scores, the errors.
  order = np.lexsort((-detections.scores, detections.images))
  points = _Points(detections.categories[order], detections.scores[order],
                   errors.matches.objects[order] >= 0,
                   errors.matches.is_counted[order]
                   & ~errors.matches.is_ignored[order])
  ap = average_precision(points, num_objects)
  errors_first = np.argsort(points.is_hit, kind='mergesort')
  points = _Points(*[column[errors_first] for column in points])
  order = order[errors_first]
  result = {}
  for number, kind in enumerate(KINDS):
    if kind == MISSED:
      mended = average_precision(points, num_objects - count(errors.missed))
    else:
      mended = average_precision(
          _mend(points, annotations, order, errors, number), num_objects)
    # It can fall a little, by the steps of the recall.
    result[kind] = max(mended - ap, 0.)
  counts = {kind: int(np.count_nonzero(errors.kinds == i))
            for i, kind in enumerate(KINDS)}
  counts[MISSED] = int(np.count_nonzero(errors.missed))
  found = errors.matches.detections >= 0
  return Costs(
      ap, result, counts,
      average_precision(points._replace(
          scores=points.is_hit.astype(float)), num_objects) - ap,
      average_precision(points, count(found)) - ap)


class _Points(NamedTuple):
  """The detections that AP is computed from.

  Attributes:
    categories: int [D].
    scores: float [D].
    is_hit: bool [D].
    is_there: bool [D]; what is not there does not count.
  """
  categories: np.ndarray
  scores: np.ndarray
  is_hit: np.ndarray
  is_there: np.ndarray


def _mend(points, annotations, order, errors, number):
  """`_Points` after the errors of one kind are mended."""
  of_kind = errors.kinds[order] == number
  is_mended = of_kind & errors.is_mended[order]
  categories = points.categories.copy()
  categories[is_mended] = annotations.categories[
      errors.objects[order[is_mended]]]
  return _Points(categories, points.scores, points.is_hit | is_mended,
                 points.is_there & ~of_kind | is_mended)


def average_precision(points: _Points, num_objects: np.ndarray) -> float:
  """Mean AP of the categories that have objects or detections; 0 without any.

  Args:
    points: `_Points`; of equal scores the first goes first.
    num_objects: int [C].
  """
  rows = np.flatnonzero(points.is_there)
  rows = rows[np.lexsort((-points.scores[rows], points.categories[rows]))]
  categories, is_hit = points.categories[rows], points.is_hit[rows]
  ends = np.searchsorted(categories, np.arange(len(num_objects) + 1))
  aps = []
  for category, count in enumerate(num_objects):
    of_class = is_hit[ends[category]:ends[category + 1]]
    if count > 0:
      aps.append(_class_ap(of_class, count))
    elif len(of_class):
      aps.append(0.)
  return float(np.mean(aps)) if aps else 0.


def _class_ap(is_hit, num_objects):
  """AP of one category; `is_hit` is bool [D], best first."""
  if not is_hit.any():
    return 0.
  hits = np.cumsum(is_hit)
  precisions = hits / np.arange(1., len(is_hit) + 1)
  precisions = np.maximum.accumulate(precisions[::-1])[::-1]
  at = np.searchsorted(hits / float(num_objects), _RECALLS, side='left')
  return precisions[at[at < len(is_hit)]].sum() / len(_RECALLS)
