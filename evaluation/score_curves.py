"""Precision and recall by score, in the numbers that TensorBoard draws."""

from typing import List, Sequence

import numpy as np

from evaluation import analysis

NUM_THRESHOLDS = 101
_ROWS = 6


def by_score(curve: analysis.Curve,
             num_thresholds: int = NUM_THRESHOLDS) -> np.ndarray:
  """Counts detections of a category from each score on.

  Args:
    curve: `analysis.Curve`.
    num_thresholds: how many scores, at equal distances from 0 to 1.

  Returns:
    float32 [6, num_thresholds]: right detections, wrong ones, zeros (nothing is
    a true negative), objects that are not found, precision and recall, of the
    detections of at least the score. Without any, precision is 1.
  """
  rows = np.zeros([_ROWS, num_thresholds], np.float32)
  thresholds = np.linspace(0., 1., num_thresholds)
  counts = np.searchsorted(-curve.scores, -thresholds, side='right')
  recalls = np.append(0., curve.recalls)[counts]
  hits = np.round(recalls * curve.num_objects)
  rows[0], rows[1] = hits, counts - hits
  rows[3] = curve.num_objects - hits
  rows[4] = np.append(1., curve.precisions)[counts]
  rows[5] = recalls
  return rows


def most_objects(curves: Sequence[analysis.Curve],
                 count: int) -> List[analysis.Curve]:
  """The curves of the categories with the most objects, in their order.

  Args:
    curves: [`analysis.Curve`].
    count: at most so many; categories without objects are left out.
  """
  ranked = sorted((c for c in curves if c.num_objects),
                  key=lambda c: (-c.num_objects, c.category))
  return sorted(ranked[:count], key=lambda c: c.category)
