"""Tests of evaluation/calibration.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import calibration
from evaluation import coco_results
from evaluation import pairs as pairs_lib
from tests.evaluation import coco_files
from tests.evaluation import random_sets

_FIRST, _NOWHERE = [10., 10., 20., 20.], [90., 70., 20., 20.]


def _load(results, annotations=None):
  loaded = annotations_lib.load(annotations or coco_files.square_set())
  detections, _ = coco_results.from_results(
      [dict({'image_id': 7, 'category_id': 1}, **r) for r in results], loaded)
  return loaded, detections


def _reliability(results, annotations=None, **kwargs):
  loaded, detections = _load(results, annotations)
  return calibration.reliability(detections, pairs_lib.match(
      loaded, detections, pairs_lib.find(loaded, detections)), **kwargs)


def test_by_hand():
  """A hit at .9, a miss at .92 in the same bin, a miss at .1."""
  found = _reliability([{'bbox': _FIRST, 'score': .9},
                        {'bbox': _NOWHERE, 'score': .92},
                        {'bbox': _NOWHERE, 'score': .1}])
  assert found.counts[18] == 2 and found.counts[2] == 1
  assert found.counts.sum() == 3
  assert found.scores[18] == pytest.approx(.91) and found.precisions[18] == .5
  assert found.scores[0] == found.precisions[0] == -1
  assert found.error == pytest.approx((2 * .41 + 1 * .1) / 3)


def test_limits_of_the_bins():
  found = _reliability([{'bbox': _NOWHERE, 'score': s}
                        for s in (0., .049, .05, 1.)])
  assert found.counts[[0, 1, 19]].tolist() == [2, 1, 1]


def test_crowds_are_left_out():
  annotations = coco_files.square_set()
  annotations['annotations'][0]['iscrowd'] = 1
  found = _reliability([{'bbox': _FIRST, 'score': .9}], annotations)
  assert found.counts.sum() == 0 and found.error == -1


def test_low_scores_can_be_left_out():
  results = [{'bbox': _FIRST, 'score': .75}, {'bbox': _NOWHERE, 'score': .29}]
  assert _reliability(results, least_score=.3).error == pytest.approx(.25)
  metrics = calibration.evaluate(*_load(results))
  assert metrics == {'D-ECE30': pytest.approx(.25),
                     'D-ECE': pytest.approx((.25 + .29) / 2)}


def test_logits_are_not_probabilities():
  found = _reliability([{'bbox': _FIRST, 'score': 2.5}])
  assert found.error == -1 and not found.counts.any()


def test_scores_that_are_probabilities():
  """Of 20,000 made-up detections, so many are right as their scores say."""
  random = np.random.RandomState(0)
  scores = random.uniform(size=20000)
  is_hit = random.uniform(size=20000) < scores
  matches = pairs_lib.Matches(
      np.where(is_hit, 0, -1), None, np.ones_like(is_hit),
      np.zeros_like(is_hit), None)
  detections = _load([])[1]._replace(scores=scores)
  assert calibration.reliability(detections, matches).error < .02
  worse = detections._replace(scores=scores ** 2)
  assert calibration.reliability(worse, matches).error > .1


def test_masks_are_matched_as_masks():
  annotations, results = random_sets.coco_set(1)
  loaded = annotations_lib.load(annotations, include_mask=True)
  detections, _ = coco_results.from_results(results, loaded, include_mask=True)
  boxes = calibration.evaluate(loaded, detections)
  detections = detections._replace(boxes=detections.boxes + 500.)
  assert calibration.evaluate(loaded, detections, 'segm')['D-ECE'] > -1
  assert calibration.evaluate(loaded, detections)['D-ECE'] != boxes['D-ECE']
