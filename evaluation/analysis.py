"""Arrays that explain the figures of an evaluation.

Everything begins with `analyze`, or with `pairs.find` and `pairs.match` and
one of the functions here. Nothing is drawn or written.

Categories are rows of the annotations' list of categories, images rows of
their list of images; -1 means undefined. In shapes D are detections, N objects
of the annotations, C categories and I images.
"""

from typing import Dict, List, NamedTuple, Sequence

import numpy as np
from pycocotools import mask as coco_mask

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import detections as detections_lib
from evaluation import pairs as pairs_lib
from utils import object_sizes

UNDEFINED = coco_metrics.UNDEFINED
RECALLS = np.linspace(.0, 1., 101)  # pycocotools' own, to the last digit
THRESHOLDS = tuple(np.linspace(.5, .95, 10).tolist())

# Limits between the groups of an attribute, and the names of the groups.
_ASPECTS = ((.5, .8, 1.25, 2.), (
    'taller than 2:1', 'tall, to 5:4', 'about square', 'wide, from 5:4',
    'wider than 2:1'))
_CROWDINGS = ((1e-9, .1, .3), (
    'alone', 'overlaps another by less than 0.1', '0.1 to 0.3', '0.3 or more'))
_BORDERS = ((1.,), ('touches the border', 'away from the border'))
_NO_SIZE = 'size of the image not known'


class Curve(NamedTuple):
  """Precision and recall of one category at one overlap.

  Attributes:
    category: row.
    threshold: least overlap of what counts as found.
    num_objects: int, crowds not counted.
    scores: float64 [N], of the counted detections, the best first.
    precisions: float64 [N], of the detections down to this one.
    recalls: float64 [N], likewise.
    interpolated: float64 [101], the best precision at these RECALLS or above.
    ap: mean of `interpolated`, -1 without objects.
  """
  category: int
  threshold: float
  num_objects: int
  scores: np.ndarray
  precisions: np.ndarray
  recalls: np.ndarray
  interpolated: np.ndarray
  ap: float


class Operating(NamedTuple):
  """Where a category has its best F1.

  Attributes:
    score: detections of at least this score are taken.
    f1: harmonic mean of precision and recall; -1 without objects.
    precision: share of the detections that are right.
    recall: share of the objects that are found.
    num_detections: int.
  """
  score: float
  f1: float
  precision: float
  recall: float
  num_detections: int


class Confusion(NamedTuple):
  """Which category is taken for which.

  Attributes:
    counts: int64 [C + 1, C + 1]: row: category of the object, column: of the
      detection. In the last column are objects that no detection belongs to,
      in the last row detections that belong to no object.
    num_ignored: int, detections of crowds, which are not in the matrix.
  """
  counts: np.ndarray
  num_ignored: int


class Group(NamedTuple):
  """How well the objects of one kind are found.

  Attributes:
    attribute: 'size', 'aspect ratio', 'crowding' or 'border'.
    name: what the objects have in common.
    num_objects: int.
    recall: share that is found, whatever the score.
    recall_at_score: share that detections of the chosen score find.
    overlap: mean IoU of the found ones with their detections.
  """
  attribute: str
  name: str
  num_objects: int
  recall: float
  recall_at_score: float
  overlap: float


class Scores(NamedTuple):
  """Histogram of scores.

  Attributes:
    edges: float64 [B + 1].
    hits: int64 [B], detections that found an object.
    false: int64 [B], detections that found none.
  """
  edges: np.ndarray
  hits: np.ndarray
  false: np.ndarray


class ImageCounts(NamedTuple):
  """Found and missed objects of each image, at the chosen scores.

  Attributes:
    hits: int64 [I], objects that are found.
    false: int64 [I], detections that found none.
    missed: int64 [I], objects that are not found.
    f1: float64 [I]; 1 where there is nothing to find and nothing is found.
  """
  hits: np.ndarray
  false: np.ndarray
  missed: np.ndarray
  f1: np.ndarray


class Changes(NamedTuple):
  """Two runs compared, image by image.

  Attributes:
    better: int64 [n], images whose F1 rose, those of the largest rise first.
    worse: int64 [m], images whose F1 fell, those of the largest fall first.
    f1_change: float64 [I].
  """
  better: np.ndarray
  worse: np.ndarray
  f1_change: np.ndarray


class Analysis(NamedTuple):
  """All of it.

  Attributes:
    annotations: those that count: for 'segm' the objects that have a mask.
    pairs: `pairs.Pairs`.
    matches: `pairs.Matches` at an overlap of 0.5.
    curves: {threshold: [`Curve` of each category]}.
    operating: [`Operating` of each category], at 0.5.
    min_scores: float64 [C], the chosen scores: those of the best F1.
    confusion: `Confusion` at these scores.
    groups: [`Group`] at these scores.
    scores: `Scores`.
    images: `ImageCounts` at these scores.
  """
  annotations: annotations_lib.Annotations
  pairs: pairs_lib.Pairs
  matches: pairs_lib.Matches
  curves: Dict[float, List[Curve]]
  operating: List[Operating]
  min_scores: np.ndarray
  confusion: Confusion
  groups: List[Group]
  scores: Scores
  images: ImageCounts


def analyze(annotations: annotations_lib.Annotations,
            detections: detections_lib.Detections, iou_type: str = 'bbox',
            thresholds: Sequence[float] = THRESHOLDS) -> Analysis:
  """Analyses detections.

  Args:
    annotations: `annotations.Annotations`, with masks for 'segm'.
    detections: `detections.Detections`, rows of the annotations' lists as
      `coco_results.from_results` gives them.
    iou_type: 'bbox' or 'segm'.
    thresholds: overlaps of the curves; the first is that of all the rest.

  Returns:
    `Analysis`.
  """
  annotations = pairs_lib.scored(annotations, iou_type)
  pairs = pairs_lib.find(annotations, detections, iou_type)
  all_matches = [pairs_lib.match(annotations, detections, pairs, t)
                 for t in thresholds]
  all_curves = {t: curves(annotations, detections, m, t)
                for t, m in zip(thresholds, all_matches)}
  operating = [best_f1(c) for c in all_curves[thresholds[0]]]
  min_scores = np.array([o.score for o in operating])
  matches = all_matches[0]
  return Analysis(
      annotations, pairs, matches, all_curves, operating, min_scores,
      confusion(annotations, detections, pairs, min_scores, thresholds[0]),
      groups(annotations, detections, matches, min_scores),
      score_histogram(detections, matches),
      image_counts(annotations, detections, matches, min_scores))


def curves(annotations: annotations_lib.Annotations,
           detections: detections_lib.Detections, matches: pairs_lib.Matches,
           threshold: float) -> List[Curve]:
  """Precision and recall of every category.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    matches: `pairs.Matches` at this threshold.
    threshold: what the curves say it is.

  Returns:
    [`Curve` of each category]. Their `ap` is pycocotools' AP at this overlap.
  """
  num_categories = len(annotations.category_ids)
  num_objects = np.bincount(
      annotations.categories[~annotations.is_crowds],
      minlength=num_categories)
  rows = np.flatnonzero(matches.is_counted & ~matches.is_ignored)
  # Of equal scores the first image goes first, as in pycocotools.
  rows = rows[np.lexsort((detections.images[rows], -detections.scores[rows],
                          detections.categories[rows]))]
  ends = np.searchsorted(detections.categories[rows],
                         np.arange(num_categories), side='right')
  return [_curve(k, threshold, int(num_objects[k]), detections.scores[of_class],
                 matches.is_hit[of_class])
          for k, of_class in enumerate(
              np.split(rows, ends)[:num_categories])]


def _curve(category, threshold, num_objects, scores, is_hit):
  """`Curve` of the detections of a category, best first."""
  if not num_objects:
    empty = np.zeros([len(scores)])
    return Curve(category, threshold, 0, scores, empty, empty,
                 np.full([len(RECALLS)], UNDEFINED), UNDEFINED)
  hits = np.cumsum(is_hit)
  interpolated, _, _ = coco_metrics.precision_recall(
      is_hit[np.newaxis], np.zeros([1, len(scores)], bool), scores,
      num_objects, RECALLS)
  return Curve(category, threshold, num_objects, scores,
               hits / np.arange(1., len(scores) + 1), hits / float(num_objects),
               interpolated[0], float(interpolated.mean()))


def best_f1(curve: Curve) -> Operating:
  """Finds the score from which on the detections give the best F1.

  Args:
    curve: `Curve`.

  Returns:
    `Operating`; without anything right its score is above all others.
  """
  if not curve.num_objects:
    return Operating(_above(curve.scores), UNDEFINED, UNDEFINED, UNDEFINED, 0)
  total = curve.precisions + curve.recalls
  f1 = np.where(total > 0, 2 * curve.precisions * curve.recalls
                / np.maximum(total, 1e-12), 0.)
  # A score takes all detections that have it.
  is_last = np.append(np.diff(curve.scores) != 0, True)[:len(f1)]
  f1 = np.where(is_last, f1, -1.)
  if not len(f1) or f1.max() <= 0:
    return Operating(_above(curve.scores), 0., 0., 0., 0)
  best = int(np.argmax(f1))
  return Operating(float(curve.scores[best]), float(f1[best]),
                   float(curve.precisions[best]), float(curve.recalls[best]),
                   best + 1)


def _above(scores):
  """A score that no detection has."""
  return float(np.nextafter(scores[0], np.inf)) if len(scores) else 1.


def is_chosen(detections: detections_lib.Detections,
              min_scores: np.ndarray) -> np.ndarray:
  """bool [D]: detections of at least the score of their category.

  Args:
    detections: `detections.Detections`.
    min_scores: float, or float [C], one for each category.
  """
  min_scores = np.asarray(min_scores, np.float64)
  if min_scores.ndim:
    min_scores = min_scores[detections.categories]
  return detections.scores >= min_scores


def confusion(annotations: annotations_lib.Annotations,
              detections: detections_lib.Detections, pairs: pairs_lib.Pairs,
              min_scores: np.ndarray, threshold: float = .5) -> Confusion:
  """Counts which category is taken for which.

  Detections are matched with objects of their own category first, then what is
  left of both regardless of it, so that no right detection is called wrong.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    pairs: `pairs.Pairs`.
    min_scores: float or [C], detections below are left out.
    threshold: least overlap.

  Returns:
    `Confusion`.
  """
  chosen = is_chosen(detections, min_scores)
  own = pairs_lib.match(annotations, detections, pairs, threshold,
                        is_counted=chosen)
  rest = pairs_lib.Pairs(*[column[own.detections[pairs.objects] < 0]
                           for column in pairs])
  other = pairs_lib.match(annotations, detections, rest, threshold,
                          same_category=False,
                          is_counted=chosen & (own.objects < 0))
  num_categories = len(annotations.category_ids)
  counts = np.zeros([num_categories + 1] * 2, np.int64)
  objects = np.where(own.objects >= 0, own.objects, other.objects)
  is_ignored = own.is_ignored | other.is_ignored
  taken = chosen & (objects >= 0) & ~is_ignored
  np.add.at(counts, (annotations.categories[objects[taken]],
                     detections.categories[taken]), 1)
  free = chosen & (objects < 0)
  np.add.at(counts, (num_categories, detections.categories[free]), 1)
  missed = (own.detections < 0) & (other.detections < 0
                                  ) & ~annotations.is_crowds
  np.add.at(counts, (annotations.categories[missed], num_categories), 1)
  return Confusion(counts, int(np.count_nonzero(chosen & is_ignored)))


def score_histogram(detections: detections_lib.Detections,
                    matches: pairs_lib.Matches, num_bins: int = 20) -> Scores:
  """Scores of right and of wrong detections.

  Args:
    detections: `detections.Detections`.
    matches: `pairs.Matches`.
    num_bins: int; from 0, or the lowest score, to 1, or the highest.

  Returns:
    `Scores`.
  """
  scores = detections.scores
  extent = np.append(scores, [0., 1.])
  edges = np.linspace(extent.min(), extent.max(), num_bins + 1)
  return Scores(edges, np.histogram(scores[matches.is_hit], edges)[0],
                np.histogram(scores[matches.is_false], edges)[0])


def image_counts(annotations: annotations_lib.Annotations,
                 detections: detections_lib.Detections,
                 matches: pairs_lib.Matches,
                 min_scores: np.ndarray) -> ImageCounts:
  """Counts hits and mistakes by image.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    matches: `pairs.Matches`. A better detection never loses its object to a
      worse one, so that of any scores the matching is the same.
    min_scores: float or [C].

  Returns:
    `ImageCounts`.
  """
  chosen = is_chosen(detections, min_scores)
  def count(images):
    return np.bincount(images, minlength=len(annotations.image_ids))
  hits = count(detections.images[chosen & matches.is_hit])
  false = count(detections.images[chosen & matches.is_false])
  missed = count(annotations.images[~annotations.is_crowds]) - hits
  total = 2 * hits + false + missed
  f1 = np.where(total > 0, 2. * hits / np.maximum(total, 1), 1.)
  return ImageCounts(hits, false, missed, f1)


def worst_images(mistakes: np.ndarray, count: int) -> np.ndarray:
  """Images with the most mistakes.

  Args:
    mistakes: [I], numbers or shares, such as `ImageCounts.missed`.
    count: int, how many images at most.

  Returns:
    int64 [n], images with at least one mistake, the worst first.
  """
  order = np.argsort(-np.asarray(mistakes), kind='mergesort')[:count]
  return order[np.asarray(mistakes)[order] > 0]


def compare(before: ImageCounts, after: ImageCounts) -> Changes:
  """Compares two runs on the same images.

  Args:
    before: `ImageCounts`.
    after: `ImageCounts`.

  Returns:
    `Changes`.
  """
  change = after.f1 - before.f1
  return Changes(worst_images(change, len(change)),
                 worst_images(-change, len(change)), change)


def groups(annotations: annotations_lib.Annotations,
           detections: detections_lib.Detections, matches: pairs_lib.Matches,
           min_scores: np.ndarray) -> List[Group]:
  """How well objects are found by size, shape, crowding and place.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    matches: `pairs.Matches`.
    min_scores: float or [C].

  Returns:
    [`Group`] in the order of the attributes; groups without objects too.
  """
  found_by = matches.detections
  is_found = found_by >= 0
  chosen = np.zeros([len(found_by)], bool)
  overlaps = np.zeros([len(found_by)])
  chosen[is_found] = is_chosen(detections, min_scores)[found_by[is_found]]
  overlaps[is_found] = matches.overlaps[found_by[is_found]]
  result = []
  for attribute, place_of, names in _attributes(annotations):
    for place, name in enumerate(names):
      rows = (place_of == place) & ~annotations.is_crowds
      result.append(Group(attribute, name, int(np.count_nonzero(rows)),
                          _mean(is_found[rows]), _mean(chosen[rows]),
                          _mean(overlaps[rows & is_found])))
  return result


def _mean(values):
  return float(np.mean(values)) if len(values) else UNDEFINED


def _attributes(annotations):
  """Yields (attribute, int [N] group of each object, names of the groups)."""
  sizes = object_sizes.SIZES
  yield 'size', np.digitize(
      annotations.areas, [s.high for s in sizes[:-1]], right=True), [
          '%s: %s' % (s.name, s.text) for s in sizes]
  width, height = np.maximum(annotations.boxes[:, 2:], 1e-9).T
  yield 'aspect ratio', np.digitize(width / height, _ASPECTS[0]), _ASPECTS[1]
  yield 'crowding', np.digitize(neighbour_overlaps(annotations),
                                _CROWDINGS[0]), _CROWDINGS[1]
  distances = border_distances(annotations)
  limits, names = _BORDERS
  yield 'border', np.where(np.isnan(distances), len(names), np.digitize(
      np.nan_to_num(distances), limits, right=True)), (
          names + ((_NO_SIZE,) if np.isnan(distances).any() else ()))


def neighbour_overlaps(annotations: annotations_lib.Annotations) -> np.ndarray:
  """Largest IoU of each box with that of another object: float64 [N]."""
  result = np.zeros([len(annotations.images)])
  rows = np.flatnonzero(~annotations.is_crowds)
  rows = rows[np.argsort(annotations.images[rows], kind='mergesort')]
  images = annotations.images[rows]
  for of_image, _ in pairs_lib.slices_of_images(images, images):
    boxes = annotations.boxes[rows[of_image]]
    overlaps = coco_mask.iou(boxes, boxes, [0] * len(boxes))
    np.fill_diagonal(overlaps, 0.)
    result[rows[of_image]] = overlaps.max(axis=1)
  return result


def border_distances(annotations: annotations_lib.Annotations) -> np.ndarray:
  """Pixels from each box to the border of its image: float64 [N].

  Below 0 for a box that reaches beyond it; NaN: not known.
  """
  sizes = np.array([s or (np.nan, np.nan) for s in annotations.image_sizes],
                   np.float64).reshape([-1, 2])[annotations.images]
  x, y, width, height = annotations.boxes.T
  return np.minimum(np.minimum(x, y), np.minimum(
      sizes[:, 1] - x - width, sizes[:, 0] - y - height))
