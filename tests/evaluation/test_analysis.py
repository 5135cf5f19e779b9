"""Tests of evaluation/analysis.py."""

import numpy as np
import pytest

from evaluation import analysis
from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from tests.evaluation import coco_files
from tests.evaluation import random_sets


def _load(annotations, results, include_mask=False):
  loaded = annotations_lib.load(annotations, include_mask)
  return loaded, coco_results.from_results(results, loaded, include_mask)[0]


def _analyze(annotations, results, iou_type='bbox'):
  return analysis.analyze(*_load(annotations, results, iou_type == 'segm'),
                          iou_type=iou_type)


def _squares(*results):
  """The set of two squares of class 1, with these detections."""
  return _analyze(coco_files.square_set(), [
      dict({'image_id': 7, 'category_id': 1}, **r) for r in results])


_FIRST, _SECOND = [10., 10., 20., 20.], [50., 40., 20., 20.]
_NOWHERE = [90., 70., 20., 20.]


@pytest.mark.parametrize('seed, iou_type', [
    (0, 'bbox'), (1, 'bbox'), (2, 'bbox'), (3, 'segm')])
def test_average_precision_is_that_of_coco(seed, iou_type):
  annotations, results = random_sets.coco_set(seed)
  metrics = coco_metrics.evaluate(
      *_load(annotations, results, iou_type == 'segm'), iou_type=iou_type)
  found = _analyze(annotations, results, iou_type)
  key = coco_metrics.PREFIXES[iou_type] + 'Precision mAP ByCategory%s/%s'
  for threshold, text in ((.5, '@50IoU'), (analysis.THRESHOLDS[5], '@75IoU')):
    assert [c.ap for c in found.curves[threshold]] == [
        metrics[key % (text, i)] for i in sorted(random_sets.CATEGORIES)]
  means = [np.mean([of_one[k].ap for of_one in found.curves.values()])
           for k in range(4)]
  np.testing.assert_allclose(means, [
      metrics[key % ('', i)] for i in sorted(random_sets.CATEGORIES)])


def test_curve_by_hand():
  """Hit, miss, hit over two objects."""
  found = _squares({'bbox': _FIRST, 'score': .9},
                   {'bbox': _NOWHERE, 'score': .8},
                   {'bbox': _SECOND, 'score': .7})
  square, round_ = found.curves[.5]
  assert square.num_objects == 2 and round_.num_objects == 0
  assert square.scores.tolist() == [.9, .8, .7]
  np.testing.assert_allclose(square.precisions, [1, .5, 2 / 3.])
  np.testing.assert_allclose(square.recalls, [.5, .5, 1])
  assert square.interpolated[50] == pytest.approx(1)
  assert square.interpolated[51] == pytest.approx(2 / 3.)
  assert round_.ap == -1 and round_.interpolated[0] == -1


def test_best_f1_by_hand():
  """.9 alone: P 1, R .5, F1 2/3. All three: P 2/3, R 1, F1 .8."""
  found = _squares({'bbox': _FIRST, 'score': .9},
                   {'bbox': _NOWHERE, 'score': .8},
                   {'bbox': _SECOND, 'score': .7},
                   {'bbox': _NOWHERE, 'score': .6})
  square, round_ = found.operating
  assert square.score == .7 and square.num_detections == 3
  assert square.f1 == pytest.approx(.8)
  assert (square.precision, square.recall) == (pytest.approx(2 / 3.), 1.)
  assert round_.f1 == -1
  assert found.min_scores[0] == .7


def test_equal_scores_are_taken_together():
  """The hit at .9 cannot be taken without the two false ones there."""
  square, _ = _squares({'bbox': _FIRST, 'score': .9},
                       {'bbox': _NOWHERE, 'score': .9},
                       {'bbox': _NOWHERE, 'score': .9}).operating
  assert square.num_detections == 3
  assert square.f1 == pytest.approx(2 * (1 / 3. * .5) / (1 / 3. + .5))


@pytest.mark.parametrize('results', [
    [], [{'bbox': _NOWHERE, 'score': .8}]])
def test_nothing_right(results):
  found = _squares(*results)
  operating = found.operating[0]
  assert operating.f1 == 0 and operating.num_detections == 0
  assert found.images.false.sum() == 0  # the score is above all others
  assert found.images.missed.tolist() == [2, 0]


def test_confusion_by_hand():
  """A square called round, a round thing found, a false square, a miss."""
  annotations = coco_files.square_set()
  annotations['annotations'].append(
      dict(annotations['annotations'][0], id=9, category_id=2,
           bbox=_NOWHERE))
  loaded, detections = _load(annotations, [
      {'image_id': 7, 'category_id': 2, 'bbox': _FIRST, 'score': .9},
      {'image_id': 7, 'category_id': 2, 'bbox': _NOWHERE, 'score': .8},
      {'image_id': 8, 'category_id': 1, 'bbox': _FIRST, 'score': .7},
      {'image_id': 7, 'category_id': 1, 'bbox': _SECOND, 'score': .1}])
  pairs = analysis.pairs_lib.find(loaded, detections)
  counts = analysis.confusion(loaded, detections, pairs, .5).counts
  assert counts.tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]
  counts = analysis.confusion(loaded, detections, pairs, [0., 1.]).counts
  assert counts.tolist() == [[1, 0, 1], [0, 0, 1], [1, 0, 0]]


def test_own_category_goes_first():
  """A better score of another class does not take the object away."""
  found = analysis.confusion(*_with_pairs(
      {'category_id': 2, 'bbox': _FIRST, 'score': .9},
      {'category_id': 1, 'bbox': _FIRST, 'score': .5}), min_scores=.1)
  assert found.counts.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_crowds_are_not_confused():
  annotations = coco_files.square_set()
  annotations['annotations'][0]['iscrowd'] = 1
  found = analysis.confusion(*_with_pairs(
      {'category_id': 2, 'bbox': _FIRST, 'score': .9},
      annotations=annotations), min_scores=.1)
  assert found.counts.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
  assert found.num_ignored == 1


def _with_pairs(*results, annotations=None):
  loaded, detections = _load(annotations or coco_files.square_set(), [
      dict({'image_id': 7}, **r) for r in results])
  return loaded, detections, analysis.pairs_lib.find(loaded, detections)


@pytest.mark.parametrize('seed', range(3))
def test_confusion_counts_everything_once(seed):
  annotations, results = random_sets.coco_set(seed)
  loaded, detections = _load(annotations, results)
  pairs = analysis.pairs_lib.find(loaded, detections)
  found = analysis.confusion(loaded, detections, pairs, .3)
  objects = np.bincount(loaded.categories[~loaded.is_crowds], minlength=4)
  assert found.counts[:4].sum(axis=1).tolist() == objects.tolist()
  chosen = np.count_nonzero(detections.scores >= .3)
  assert found.counts[:, :4].sum() + found.num_ignored == chosen


def test_groups():
  annotations = coco_files.square_set()
  annotations['annotations'][1].update(bbox=[0., 40., 100., 10.], area=1000.)
  annotations['annotations'].append(dict(
      annotations['annotations'][0], id=5, bbox=[10., 14., 20., 20.]))
  found = _analyze(annotations, [
      dict(annotations['annotations'][0], score=.9),
      dict(annotations['annotations'][1], score=.1)])
  groups = {(g.attribute, g.name.split(':')[0]): g for g in found.groups}
  assert groups['size', 'small'].num_objects == 3
  assert groups['size', 'small'].recall == pytest.approx(2 / 3.)
  assert groups['size', 'large'].recall == -1
  assert groups['aspect ratio', 'about square'].recall == .5
  assert groups['aspect ratio', 'wider than 2'].recall == 1
  assert groups['border', 'touches the border'].num_objects == 1
  assert groups['border', 'away from the border'].num_objects == 2
  # 20 x 16 of 20 x 24 pixels are shared.
  assert groups['crowding', '0.3 or more'].num_objects == 2
  assert groups['crowding', 'alone'].num_objects == 1
  assert groups['crowding', 'alone'].overlap == 1


def test_groups_at_the_score():
  loaded, detections = _load(coco_files.square_set(), [
      {'image_id': 7, 'category_id': 1, 'bbox': _FIRST, 'score': .9},
      {'image_id': 7, 'category_id': 1, 'bbox': _SECOND, 'score': .1}])
  matches = analysis.pairs_lib.match(
      loaded, detections, analysis.pairs_lib.find(loaded, detections))
  group = analysis.groups(loaded, detections, matches, .5)[0]
  assert (group.recall, group.recall_at_score) == (1., .5)


def test_size_of_the_image_is_not_known():
  annotations = coco_files.square_set()
  for image in annotations['images']:
    del image['height'], image['width']
  groups = {g.name: g.num_objects for g in _analyze(annotations, []).groups}
  assert groups['size of the image not known'] == 2


def test_histogram():
  scores = _squares({'bbox': _FIRST, 'score': .99},
                    {'bbox': _NOWHERE, 'score': .02},
                    {'bbox': _NOWHERE, 'score': 1.}).scores
  assert scores.hits.tolist() == [0] * 19 + [1]
  assert scores.false.tolist() == [1] + [0] * 18 + [1]
  assert scores.edges[[0, -1]].tolist() == [0, 1]


def test_images_and_two_runs():
  before = _squares({'bbox': _FIRST, 'score': .9},
                    {'bbox': _SECOND, 'score': .8},
                    {'bbox': _FIRST, 'score': .9, 'image_id': 8}).images
  assert before.hits.tolist() == [2, 0] and before.false.tolist() == [0, 1]
  assert before.f1.tolist() == [1, 0]
  after = _squares({'bbox': _FIRST, 'score': .9}).images
  assert after.missed.tolist() == [1, 0]
  assert after.f1.tolist() == [pytest.approx(2 / 3.), 1]
  changes = analysis.compare(before, after)
  assert changes.better.tolist() == [1] and changes.worse.tolist() == [0]
  assert analysis.worst_images(after.missed, 5).tolist() == [0]
  assert analysis.worst_images([1, 3, 0, 3], 2).tolist() == [1, 3]


def test_no_images():
  found = _analyze({'images': [], 'annotations': [], 'categories': []}, [])
  assert found.curves[.5] == [] and found.confusion.counts.tolist() == [[0]]
