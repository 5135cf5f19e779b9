"""Precision and recall by score, counted by hand."""

import numpy as np

from evaluation import analysis
from evaluation import score_curves


def _curve(category, num_objects, scores, hits):
  hits = np.cumsum(hits)
  return analysis.Curve(
      category, .5, num_objects, np.array(scores),
      hits / np.arange(1., len(scores) + 1), hits / float(max(1, num_objects)),
      np.zeros([101]), .5)


def test_counts_from_each_score_on():
  curve = _curve(0, 4, [.9, .5, .5, .25], [1, 0, 1, 0])
  got = score_curves.by_score(curve, 5)  # 0, .25, .5, .75, 1
  np.testing.assert_allclose(got, [
      [2, 2, 2, 1, 0], [2, 2, 1, 0, 0], [0] * 5, [2, 2, 2, 3, 4],
      [.5, .5, 2. / 3, 1, 1], [.5, .5, .5, .25, 0]])


def test_without_detections():
  got = score_curves.by_score(_curve(0, 2, [], []), 3)
  np.testing.assert_allclose(got[[0, 1, 3, 4, 5]], np.float32(
      [[0] * 3, [0] * 3, [2] * 3, [1] * 3, [0] * 3]))


def test_categories_with_the_most_objects():
  curves = [_curve(i, n, [], []) for i, n in enumerate((3, 0, 9, 3))]
  assert [c.category for c in score_curves.most_objects(curves, 2)] == [0, 2]
  assert [c.category for c in score_curves.most_objects(curves, 9)] == [0, 2, 3]
