"""Tests of evaluation/lvis_metrics.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from evaluation import lvis_metrics
from tests import golden
from tests.evaluation import coco_files
from tests.evaluation import random_sets
from tests.evaluation import record_metrics

_RECORDED = golden.load_json(record_metrics.PATH % 'lvis')
_FIRST, _SECOND = [10., 10., 20., 20.], [50., 40., 20., 20.]
_NOWHERE = [90., 70., 20., 20.]


def _evaluate(content, results, iou_type='bbox', **kwargs):
  include_mask = iou_type == 'segm'
  annotations = annotations_lib.load(content, include_mask)
  detections, _ = coco_results.from_results(results, annotations, include_mask)
  return lvis_metrics.evaluate(
      annotations, lvis_metrics.load(content, annotations), detections,
      iou_type, **kwargs)


@pytest.mark.parametrize('part', range(4))
def test_digits_of_the_package(part):
  """100 random sets, whose figures the package lvis was asked for once."""
  found = []
  for seed in range(25 * part, 25 * part + 25):
    iou_type = 'segm' if seed % 4 == 3 else 'bbox'
    metrics = _evaluate(*random_sets.lvis_set(seed), iou_type=iou_type)
    prefix = coco_metrics.PREFIXES[iou_type]
    assert {name: metrics[prefix + name]
            for name in lvis_metrics.METRIC_NAMES} == _RECORDED[seed]
    found.append(metrics[prefix + 'AP'])
  assert np.mean(np.array(found) > 0) > .8


def test_every_recorded_figure_is_compared():
  assert len(_RECORDED) == record_metrics.NUM_SETS
  assert set(_RECORDED[0]) == set(lvis_metrics.METRIC_NAMES)
  for name in lvis_metrics.METRIC_NAMES:
    assert len({figures[name] for figures in _RECORDED}) > 2


def _squares(*results, **image):
  """Two squares in image 7; nothing in image 8, of which `image` tells."""
  content = coco_files.lvis_square_set()
  content['images'][1].update(image)
  return _evaluate(content, [
      {'image_id': 7, 'category_id': 1, 'score': .5, 'bbox': _FIRST},
      {'image_id': 7, 'category_id': 1, 'score': .4, 'bbox': _SECOND}
  ] + [dict({'category_id': 1, 'score': .9, 'bbox': _NOWHERE}, **r)
       for r in results])


def test_image_that_is_not_known_for_the_category():
  assert _squares({'image_id': 8})['AP'] == pytest.approx(1)
  wrong = _squares({'image_id': 8}, neg_category_ids=[1])
  assert wrong['AP'] == pytest.approx(2 / 3.)
  # Image 7 has squares, so it is known for them.
  assert _squares({'image_id': 7})['AP'] == pytest.approx(2 / 3.)


def test_category_that_is_not_exhaustive():
  assert _squares({'image_id': 8}, neg_category_ids=[1],
                  not_exhaustive_category_ids=[1])['AP'] == pytest.approx(1)


def test_frequencies():
  metrics = _squares()
  assert metrics['APr'] == pytest.approx(1)  # the squares are rare
  assert metrics['APc'] == metrics['APf'] == -1


def test_limit_of_detections_of_an_image():
  """300 of another class push the squares out; 299 leave one."""
  def metrics(count):
    content = coco_files.lvis_square_set()
    return _evaluate(content, [
        {'image_id': 7, 'category_id': 2, 'score': .9, 'bbox': _NOWHERE}
    ] * count + [{'image_id': 7, 'category_id': 1, 'score': .5, 'bbox': b}
                 for b in (_FIRST, _SECOND)])
  assert metrics(300)['AR@300'] == 0
  assert metrics(299)['AR@300'] == .5


def test_figures_of_categories():
  metrics = _squares()
  assert metrics['Recall AR@300 ByCategory/1'] == 1
  assert metrics['Precision mAP ByCategory/2'] == -1
  few = _evaluate(coco_files.lvis_square_set(), [], per_category=False)
  assert set(few) == set(lvis_metrics.METRIC_NAMES) | {
      'Precision mAP ByCategory/1', 'Precision mAP ByCategory/2'}


def test_some_images_only():
  content = coco_files.lvis_square_set()
  metrics = _evaluate(content, [], image_rows=np.array([1]))
  assert metrics['AP'] == -1


@pytest.mark.parametrize('change, message', [
    (lambda c: c['images'][0].pop('neg_category_ids'),
     'image 7 has no list neg_category_ids.*types box and box_and_mask'),
    (lambda c: c['images'][1].update(not_exhaustive_category_ids=3),
     'image 8 has no list not_exhaustive_category_ids'),
    (lambda c: c['images'][1].update(neg_category_ids=[None]),
     'image 8: its neg_category_ids'),
    (lambda c: c['categories'][0].update(frequency='often'),
     "frequency of a category is 'often'; it can be r, c, f")])
def test_what_is_wrong_with_annotations(change, message):
  content = coco_files.lvis_square_set()
  change(content)
  with pytest.raises(ValueError, match='(?s)' + message):
    _evaluate(content, [])


def test_frequencies_that_are_missing():
  content = coco_files.lvis_square_set()
  del content['categories'][0]['frequency']
  annotations = annotations_lib.load(content)
  federation = lvis_metrics.load(content, annotations)
  assert federation.frequencies == ['', 'f']
  assert '1 of 2 categories have no frequency' in federation.messages[0]


def test_absent_categories_that_are_not_listed_are_left_out():
  content = coco_files.lvis_square_set()
  content['images'][0]['neg_category_ids'] = [2, 77]
  annotations = annotations_lib.load(content)
  assert lvis_metrics.load(content, annotations).negatives.tolist() == [1, 3]
