"""Tests of evaluation/voc_metrics.py."""

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import voc_metrics
from tests.evaluation import coco_files
from tests.evaluation import random_sets

_FIRST, _SECOND = [10., 10., 20., 20.], [50., 40., 20., 20.]
_NOWHERE = [90., 70., 20., 20.]


def _evaluate(annotations, results, iou_type='bbox'):
  include_mask = iou_type == 'segm'
  loaded = annotations_lib.load(annotations, include_mask)
  detections, _ = coco_results.from_results(results, loaded, include_mask)
  return voc_metrics.evaluate(loaded, detections, iou_type)


def _squares(*results, **marks):
  """Two squares; `marks` are given to the second."""
  annotations = coco_files.square_set()
  annotations['annotations'][1].update(marks)
  return _evaluate(annotations, [
      dict({'image_id': 7, 'category_id': 1}, **r) for r in results])


def test_by_hand():
  """Hit, miss, hit: precision 1 up to a recall of .5, then 2/3."""
  metrics = _squares({'bbox': _FIRST, 'score': .9},
                     {'bbox': _NOWHERE, 'score': .8},
                     {'bbox': _SECOND, 'score': .7})
  assert metrics['AP50'] == pytest.approx(.5 + .5 * 2 / 3)
  assert metrics['AP50_2007'] == pytest.approx((6 + 5 * 2 / 3.) / 11)
  assert metrics['AP50 ByCategory/1'] == metrics['AP50']
  assert metrics['AP50 ByCategory/2'] == -1


def test_second_detection_is_wrong_though_another_object_is_free():
  """COCO would let it take the neighbour that it overlaps less."""
  annotations = coco_files.square_set()
  annotations['annotations'][1]['bbox'] = [10., 14., 20., 20.]
  results = [dict(annotations['annotations'][0], score=.9),
             dict(annotations['annotations'][0], score=.8,
                  bbox=[10., 10.5, 20., 20.])]
  assert _evaluate(annotations, results)['AP50'] == .5


def test_difficult_objects_count_neither_way():
  hit, difficult = ({'bbox': _FIRST, 'score': .5},
                    {'bbox': _SECOND, 'score': .9})
  assert _squares(hit, difficult, difficult=1)['AP50'] == 1
  assert _squares(hit, difficult, iscrowd=1)['AP50'] == 1
  assert _squares(hit, difficult=1)['AP50'] == 1
  assert _squares(hit, difficult=0)['AP50'] == .5
  assert _squares(difficult, difficult=1)['AP50'] == 0


def test_nothing_to_find():
  annotations = coco_files.square_set()
  annotations['annotations'] = []
  metrics = _evaluate(annotations, [
      {'image_id': 7, 'category_id': 1, 'bbox': _FIRST, 'score': .5}])
  assert set(metrics.values()) == {-1.}


def test_no_detections():
  assert _squares()['AP50'] == _squares()['AP50_2007'] == 0


def test_masks():
  annotations = coco_files.square_set()
  results = [dict(a, score=.5, bbox=_NOWHERE)
             for a in annotations['annotations']]
  assert _evaluate(annotations, results, 'segm')['AP50'] == 1
  assert _evaluate(annotations, results)['AP50'] == 0


def _plain(annotations, detections, category):
  """The rules of the challenge, one detection after the other."""
  objects = [g for g in range(len(annotations.images))
             if annotations.categories[g] == category]
  difficult = {g: annotations.is_difficult[g] or annotations.is_crowds[g]
               for g in objects}
  found, marks = set(), []
  rows = np.flatnonzero(detections.categories == category)
  for d in rows[np.argsort(-detections.scores[rows], kind='mergesort')]:
    best, best_overlap = None, .5
    for g in objects:
      if annotations.images[g] == detections.images[d]:
        overlap = _overlap(detections.boxes[d], annotations.boxes[g],
                           annotations.is_crowds[g])
        if overlap >= best_overlap and (best is None or overlap > best_overlap):
          best, best_overlap = g, overlap
    if best is not None and difficult[best]:
      continue
    marks.append(best is not None and best not in found)
    found.add(best)
  count = len(objects) - sum(difficult.values())
  if not count:
    return -1.
  points = [(sum(marks[:i + 1]) / count, sum(marks[:i + 1]) / (i + 1.))
            for i in range(len(marks))]
  area, before = 0., 0.
  for i, (recall, _) in enumerate(points):
    area += (recall - before) * max(p for _, p in points[i:])
    before = recall
  return area


def _overlap(first, second, is_crowd):
  sides = [max(0., min(first[i] + first[i + 2], second[i] + second[i + 2])
               - max(first[i], second[i])) for i in (0, 1)]
  shared = sides[0] * sides[1]
  area = first[2] * first[3]
  return shared / (area if is_crowd else area + second[2] * second[3] - shared)


@pytest.mark.parametrize('seed', range(10))
def test_against_plain_loops(seed):
  annotations, results = random_sets.coco_set(seed)
  for i, entry in enumerate(annotations['annotations']):
    entry['difficult'] = int(i % 4 == 1)
  loaded = annotations_lib.load(annotations)
  detections, _ = coco_results.from_results(results, loaded)
  metrics = voc_metrics.evaluate(loaded, detections)
  found = [metrics['AP50 ByCategory/%s' % i] for i in loaded.category_ids]
  expected = [_plain(loaded, detections, k) for k in range(len(found))]
  np.testing.assert_allclose(found, expected, atol=1e-12)
  defined = [v for v in expected if v >= 0]
  assert metrics['AP50'] == pytest.approx(np.mean(defined))
