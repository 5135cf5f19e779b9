"""Tests of evaluation/tide.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import pairs as pairs_lib
from evaluation import tide
from tests import golden
from tests.evaluation import coco_files
from tests.evaluation import random_sets
from tests.evaluation import record_metrics

_RECORDED = golden.load_json(record_metrics.PATH % 'tide')
_FIRST, _SECOND = [10., 10., 20., 20.], [50., 40., 20., 20.]
_NOWHERE = [90., 70., 20., 20.]


def _load(content, results, iou_type='bbox'):
  include_mask = iou_type == 'segm'
  annotations = annotations_lib.load(content, include_mask)
  detections, _ = coco_results.from_results(results, annotations, include_mask)
  annotations = pairs_lib.scored(annotations, iou_type)
  errors = tide.classify(annotations, detections,
                         pairs_lib.find(annotations, detections, iou_type))
  return annotations, detections, errors


@pytest.mark.parametrize('part', range(4))
def test_digits_of_the_package(part):
  """100 random sets, whose figures the package tidecv was asked for once."""
  for seed in range(25 * part, 25 * part + 25):
    content, results = random_sets.coco_set(seed, num_images=6)
    figures = tide.costs(*_load(content, results,
                                'segm' if seed % 4 == 3 else 'bbox'))
    expected = _RECORDED[seed]
    assert figures.counts == expected['counts'], seed
    for found, recorded in (
        (figures.ap, expected['ap']),
        (figures.false_positives, expected['special']['FalsePos']),
        (figures.false_negatives, expected['special']['FalseNeg'])):
      assert 100 * found == pytest.approx(recorded, abs=1e-9), seed
    for kind in tide.KINDS:
      assert 100 * figures.costs[kind] == pytest.approx(
          expected['costs'][kind], abs=1e-9), (seed, kind)


def test_every_kind_is_among_the_recorded():
  assert len(_RECORDED) == record_metrics.NUM_SETS
  for kind in tide.KINDS:
    assert np.mean([r['counts'][kind] > 0 for r in _RECORDED]) > .25
    assert np.mean([r['costs'][kind] > 0 for r in _RECORDED]) > .1


def _kinds(*results, content=None):
  """Kinds of the errors of detections in image 7, '' where there is none."""
  _, _, errors = _load(content or coco_files.square_set(), [
      dict({'image_id': 7, 'category_id': 1, 'score': .9}, **r)
      for r in results])
  return [tide.KINDS[k] if k >= 0 else '' for k in errors.kinds], errors


def test_kinds_by_hand():
  kinds, errors = _kinds(
      {'bbox': _FIRST},                                      # right
      {'bbox': _FIRST, 'score': .5},                         # found already
      {'bbox': [50., 40., 20., 8.]},                         # IoU .4
      {'bbox': _SECOND, 'category_id': 2},                   # of class 1
      {'bbox': [50., 40., 20., 8.], 'category_id': 2},       # both
      {'bbox': _NOWHERE})
  assert kinds == ['', 'duplicate', 'localisation', 'class', 'both',
                   'background']
  assert errors.objects.tolist() == [-1, -1, 1, 1, -1, -1]
  # One of the two errors about the second square is mended: the first.
  assert errors.is_mended.tolist() == [False, False, True, False, False, False]
  assert not errors.missed.any()


def test_missed_objects():
  _, errors = _kinds({'bbox': _FIRST})
  assert errors.missed.tolist() == [False, True]
  content = coco_files.square_set()
  content['annotations'][1]['iscrowd'] = 1
  _, errors = _kinds({'bbox': _FIRST}, content=content)
  assert not errors.missed.any()


def test_inside_of_a_crowd():
  content = coco_files.square_set()
  content['annotations'][1]['iscrowd'] = 1
  kinds, errors = _kinds({'bbox': [52., 42., 9., 9.]}, content=content)
  assert errors.matches.is_ignored.tolist() == [True]
  assert kinds == ['background']
  kinds, errors = _kinds({'bbox': [52., 42., 9., 9.], 'category_id': 2},
                         content=content)
  assert errors.matches.is_ignored.tolist() == [False]


def test_costs_by_hand():
  """A hit, a miss for the class: mended, both squares are found."""
  content = coco_files.square_set()
  annotations, detections, errors = _load(content, [
      {'image_id': 7, 'category_id': 1, 'score': .9, 'bbox': _FIRST},
      {'image_id': 7, 'category_id': 2, 'score': .8, 'bbox': _SECOND}])
  figures = tide.costs(annotations, detections, errors)
  # Of class 1: 51 of 101 recalls; class 2 has a detection, but no object.
  assert figures.ap == pytest.approx(51 / 101. / 2)
  assert figures.costs['class'] == pytest.approx(1 - figures.ap)
  assert figures.costs['missed'] == figures.costs['background'] == 0
  assert figures.false_negatives == pytest.approx(.5 - figures.ap)


def test_nothing_at_all():
  figures = tide.costs(*_load(
      {'images': [], 'annotations': [], 'categories': []}, []))
  assert figures.ap == 0 and set(figures.counts.values()) == {0}


def test_as_metrics():
  annotations, detections, _ = _load(*random_sets.coco_set(3))
  metrics = tide.evaluate(annotations, detections)
  assert set(metrics) == {'AP50', 'cost_false_positives',
                          'cost_false_negatives'} | {
                              'cost_' + kind for kind in tide.KINDS}
