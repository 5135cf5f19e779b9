"""Tests of evaluation/proposals.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import proposals
from tests.evaluation import coco_files
from tests.evaluation import random_sets
from tests.evaluation import test_against_pycocotools

_LIMITS = list(proposals.LIMITS)


def _evaluate(annotations, results, iou_type='bbox'):
  include_mask = iou_type == 'segm'
  loaded = annotations_lib.load(annotations, include_mask)
  detections, _ = coco_results.from_results(results, loaded, include_mask)
  return proposals.evaluate(loaded, detections, iou_type)


@pytest.mark.parametrize('seed', range(20))
def test_digits_of_pycocotools(seed):
  annotations, results = random_sets.coco_set(seed)
  iou_type = 'segm' if seed % 5 == 4 else 'bbox'
  metrics = _evaluate(annotations, results, iou_type)
  engine = test_against_pycocotools.stock(
      annotations, results, iou_type, max_detections=_LIMITS, use_cats=0)
  recall = engine.eval['recall']  # [T, 1, A, M]
  for m, limit in enumerate(_LIMITS):
    assert metrics['AR@%d' % limit] == np.mean(recall[:, :, 0, m])
  for a, letter in enumerate('sml', 1):
    assert metrics['AR%s@1000' % letter] == np.mean(recall[:, :, a, 3])


def test_class_does_not_matter():
  """The better box is of the wrong class; the best one of an image counts."""
  annotations = coco_files.square_set()
  first, second = annotations['annotations']
  metrics = _evaluate(annotations, [
      dict(first, category_id=2, score=.9), dict(second, score=.8)])
  assert metrics['AR@1'] == .5 and metrics['AR@10'] == 1
  assert metrics['ARs@1000'] == 1 and metrics['ARl@1000'] == -1


def test_a_thousand_boxes():
  annotations = coco_files.square_set()
  nowhere = {'image_id': 7, 'category_id': 1, 'score': .9,
             'bbox': [90., 70., 5., 5.]}
  def last(count):
    return _evaluate(annotations, [nowhere] * count + [
        dict(annotations['annotations'][0], score=.1)])
  assert last(99)['AR@100'] == .5 and last(100)['AR@100'] == 0
  assert last(999)['AR@1000'] == .5 and last(1000)['AR@1000'] == 0
