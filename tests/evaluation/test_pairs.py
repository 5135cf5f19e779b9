"""Tests of evaluation/pairs.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import pairs as pairs_lib
from tests.evaluation import coco_files
from tests.evaluation import random_sets


def _load(annotations, results, iou_type='bbox'):
  include_mask = iou_type == 'segm'
  loaded = annotations_lib.load(annotations, include_mask)
  detections, _ = coco_results.from_results(results, loaded, include_mask)
  return pairs_lib.scored(loaded, iou_type), detections


def _squares(*results):
  """Two squares of 20 pixels at (10, 10) and (50, 40), and detections."""
  return _load(coco_files.square_set(), [
      dict(r, image_id=7, category_id=r.get('category_id', 1))
      for r in results])


def test_pairs_by_hand():
  annotations, detections = _squares(
      {'bbox': [50., 40., 20., 10.], 'score': .1},
      {'bbox': [10., 10., 20., 20.], 'score': .2, 'category_id': 2},
      {'bbox': [90., 10., 20., 20.], 'score': .3})
  pairs = pairs_lib.find(annotations, detections)
  assert list(zip(*pairs)) == [(0, 1, .5), (1, 0, 1.)]
  assert not len(pairs_lib.find(annotations, detections, least=1.1).overlaps)


def test_other_images_are_no_pairs():
  annotations = coco_files.square_set()
  loaded, detections = _load(annotations, [
      dict(annotations['annotations'][0], image_id=8, score=1.)])
  assert not len(pairs_lib.find(loaded, detections).overlaps)


def test_the_best_detection_chooses_first():
  """Row 1 has the better score; row 0 is left with nothing, or the rest."""
  annotations, detections = _squares(
      {'bbox': [10., 10., 20., 20.], 'score': .4},
      {'bbox': [10., 11., 20., 20.], 'score': .5},
      {'bbox': [50., 40., 20., 20.], 'score': .3, 'category_id': 2})
  pairs = pairs_lib.find(annotations, detections)
  matches = pairs_lib.match(annotations, detections, pairs)
  assert matches.objects.tolist() == [-1, 0, -1]
  assert matches.detections.tolist() == [1, -1]
  assert matches.is_false.tolist() == [True, False, True]
  matches = pairs_lib.match(annotations, detections, pairs, same_category=False)
  assert matches.objects.tolist() == [-1, 0, 1]
  assert matches.overlaps[2] == 1.
  strict = pairs_lib.match(annotations, detections, pairs, .97)
  assert strict.objects.tolist() == [0, -1, -1]


def test_crowds_come_last_and_stay_free():
  annotations = coco_files.square_set()
  annotations['annotations'][0]['iscrowd'] = 1
  crowd = [10., 10., 20., 20.]
  loaded, detections = _load(annotations, [
      {'image_id': 7, 'category_id': 1, 'bbox': crowd, 'score': .5},
      {'image_id': 7, 'category_id': 1, 'bbox': [12., 12., 9., 9.],
       'score': .6}])
  matches = pairs_lib.match(loaded, detections,
                            pairs_lib.find(loaded, detections))
  assert matches.objects.tolist() == [0, 0]
  assert matches.is_ignored.all() and not matches.is_hit.any()
  assert matches.detections.tolist() == [-1, -1]


def test_equal_overlaps():
  annotations = coco_files.square_set()
  annotations['annotations'][1]['bbox'] = list(
      annotations['annotations'][0]['bbox'])
  loaded, detections = _load(annotations, [
      dict(annotations['annotations'][0], score=1.)])
  pairs = pairs_lib.find(loaded, detections)
  assert pairs_lib.match(loaded, detections, pairs).objects.tolist() == [1]
  assert pairs_lib.match(loaded, detections, pairs,
                         last_of_equals=False).objects.tolist() == [0]


def test_ranks():
  annotations, detections = _squares(
      *[{'bbox': [0., 0., 9., 9.], 'score': s, 'category_id': c}
        for s, c in ((.1, 1), (.9, 2), (.5, 1), (.5, 1))])
  assert pairs_lib.ranks(detections).tolist() == [2, 0, 0, 1]
  assert pairs_lib.ranks(detections, by_category=False).tolist() == [3, 0, 1, 2]


def test_the_limit_of_detections():
  box = [10., 10., 20., 20.]
  annotations, detections = _squares(
      *[{'bbox': [90., 70., 5., 5.], 'score': .9}] * 100
      + [{'bbox': box, 'score': .1}])
  pairs = pairs_lib.find(annotations, detections)
  matches = pairs_lib.match(annotations, detections, pairs)
  assert not matches.is_counted[-1] and matches.is_counted.sum() == 100
  assert (matches.objects < 0).all() and not matches.is_false[-1]
  every = pairs_lib.match(annotations, detections, pairs,
                          is_counted=np.ones([101], bool))
  assert every.objects[-1] == 0


@pytest.mark.parametrize('seed', range(5))
def test_against_a_plain_loop(seed):
  annotations, results = random_sets.coco_set(seed)
  loaded, detections = _load(annotations, results)
  pairs = pairs_lib.find(loaded, detections)
  matches = pairs_lib.match(loaded, detections, pairs)
  overlap = {(d, g): o for d, g, o in zip(*pairs)}
  taken = {}
  for d in np.argsort(-detections.scores, kind='mergesort'):
    candidates = [
        (not loaded.is_crowds[g], overlap[d, g], g)
        for g in range(len(loaded.images)) if overlap.get((d, g), 0) >= .5
        and loaded.categories[g] == detections.categories[d]
        and g not in taken.values()]
    expected = max(candidates)[2] if candidates else -1
    assert matches.objects[d] == expected
    if expected >= 0 and not loaded.is_crowds[expected]:
      taken[d] = expected
  assert taken


def test_nothing_at_all():
  annotations, detections = _squares()
  pairs = pairs_lib.find(annotations, detections)
  matches = pairs_lib.match(annotations, detections, pairs)
  assert not len(pairs.objects) and not len(matches.objects)
  assert matches.detections.tolist() == [-1, -1]


def test_objects_without_a_mask():
  annotations = coco_files.square_set()
  annotations['annotations'][0]['segmentation'] = [[1., 1., 2., 2.]]
  loaded, detections = _load(annotations, [
      dict(annotations['annotations'][1], score=1.)], 'segm')
  assert len(loaded.images) == 1 and len(loaded.rles) == 1
  pairs = pairs_lib.find(loaded, detections, 'segm')
  assert list(zip(*pairs)) == [(0, 0, 1.)]
