"""Whether scores are probabilities: of detections at 0.8, 80 % should be right.

The detection expected calibration error (D-ECE) is the mean difference between
score and precision, over detections in bins of their score.

Source: Multivariate Confidence Calibration for Object Detection
(arXiv:2004.13546), with the score as the only variable, 20 bins, and an overlap
of 0.5.
"""

from typing import Dict, NamedTuple

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import detections as detections_lib
from evaluation import pairs as pairs_lib

UNDEFINED = -1.
NUM_BINS = 20
_LEAST_SCORE = .3  # the paper leaves out what is below


class Reliability(NamedTuple):
  """Scores and precision of detections, by bins of the score.

  Attributes:
    edges: float64 [B + 1].
    counts: int64 [B], detections in each bin.
    scores: float64 [B], their mean score; -1 without any.
    precisions: float64 [B], share of them that is right; -1 without any.
    error: D-ECE; -1 without detections, or where scores are not within 0..1.
  """
  edges: np.ndarray
  counts: np.ndarray
  scores: np.ndarray
  precisions: np.ndarray
  error: float


def evaluate(annotations: annotations_lib.Annotations,
             detections: detections_lib.Detections,
             iou_type: str = 'bbox') -> Dict[str, float]:
  """Metrics of an evaluation; see factory.EXTRA_METRICS.

  Args:
    annotations: `annotations.Annotations`.
    detections: `detections.Detections`.
    iou_type: 'bbox' or 'segm'.

  Returns:
    {'D-ECE': of all detections, 'D-ECE30': of those of a score of at least
    0.3: float}.
  """
  annotations = pairs_lib.scored(annotations, iou_type)
  matches = pairs_lib.match(
      annotations, detections,
      pairs_lib.find(annotations, detections, iou_type, .5))
  return {'D-ECE': reliability(detections, matches).error,
          'D-ECE30': reliability(detections, matches, _LEAST_SCORE).error}


def reliability(detections: detections_lib.Detections,
                matches: pairs_lib.Matches, least_score: float = 0.,
                num_bins: int = NUM_BINS) -> Reliability:
  """Compares scores with precision.

  Args:
    detections: `detections.Detections`.
    matches: `pairs.Matches`; what is ignored or not counted is left out.
    least_score: detections below are left out.
    num_bins: int, of 0..1.

  Returns:
    `Reliability`.
  """
  keep = (matches.is_counted & ~matches.is_ignored
          & (detections.scores >= least_score))
  scores, is_hit = detections.scores[keep], matches.is_hit[keep]
  edges = np.linspace(0., 1., num_bins + 1)
  if len(scores) and not 0 <= scores.min() <= scores.max() <= 1:
    nothing = np.full([num_bins], UNDEFINED)
    return Reliability(edges, np.zeros([num_bins], np.int64), nothing, nothing,
                       UNDEFINED)
  bins = np.minimum((scores * num_bins).astype(np.int64), num_bins - 1)
  counts = np.bincount(bins, minlength=num_bins)
  def mean(values):
    sums = np.bincount(bins, values, minlength=num_bins)
    return np.where(counts > 0, sums / np.maximum(counts, 1), UNDEFINED)
  mean_scores, precisions = mean(scores), mean(is_hit.astype(float))
  error = UNDEFINED
  if len(scores):
    error = float(np.sum(counts * np.abs(mean_scores - precisions))
                  / len(scores))
  return Reliability(edges, counts, mean_scores, precisions, error)
