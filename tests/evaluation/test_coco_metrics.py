"""Tests of evaluation/coco_metrics.py."""

import contextlib
import io

import numpy as np
from pycocotools import coco
from pycocotools import cocoeval
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from tests.evaluation import coco_files

_TYPES = ('bbox', 'segm')


def _evaluate(annotations, results, iou_type, **kwargs):
  include_mask = iou_type == 'segm'
  loaded = annotations_lib.load(annotations, include_mask)
  detections, _ = coco_results.from_results(results, loaded, include_mask)
  return coco_metrics.evaluate(loaded, detections, iou_type, **kwargs)


@pytest.mark.parametrize('iou_type', _TYPES)
def test_known_figures_to_all_digits(iou_type):
  annotations = coco_files.annotations()
  metrics = _evaluate(annotations, coco_files.results(iou_type), iou_type)
  expected = coco_files.expected()[iou_type]
  prefix = coco_metrics.PREFIXES[iou_type]
  assert [metrics[prefix + name] for name in coco_metrics.METRIC_NAMES
         ] == expected['stats']
  for category in annotations['categories']:
    ap = expected['per_category_AP'].get(category['name'])
    key = prefix + 'Precision mAP ByCategory/%s' % category['id']
    assert metrics[key] == (-1 if ap is None else ap)


def _random_set(seed):
  """Crowded images with ties, crowds, odd sizes and more than 100 boxes."""
  random = np.random.RandomState(seed)
  annotations = {'images': [], 'annotations': [],
                 'categories': [{'id': c} for c in (3, 1, 9, 4)]}
  results = []
  for image in (12, 3, 5, 8):
    annotations['images'].append({'id': image, 'height': 300, 'width': 400})
    centers = random.uniform(20, 280, [6, 2])
    for _ in range(random.randint(0, 25)):
      annotations['annotations'].append({
          'id': len(annotations['annotations']) + 1, 'image_id': image,
          'category_id': int(random.choice([1, 3, 9])),
          'iscrowd': int(random.uniform() < .2)})
      _place(annotations['annotations'][-1], centers, random)
    for _ in range(random.randint(0, 400)):
      results.append({'image_id': image,
                      'category_id': int(random.choice([1, 3, 4])),
                      'score': float(np.round(random.uniform(), 1))})
      _place(results[-1], centers, random)
  return annotations, results


def _place(entry, centers, random):
  """Gives an entry a box of a few common sizes and places."""
  y, x = centers[random.randint(len(centers))]
  height, width = random.choice([8., 30., 33., 97., 110.], 2)
  x, y = max(0., x - width / 2 + random.randint(3)), max(0., y - height / 2)
  entry['bbox'] = [x, y, width, height]
  entry['area'] = width * height
  entry['segmentation'] = [coco_files.corners(entry['bbox'])]


def _pycocotools(annotations, results, iou_type):
  """Stock evaluation: the slow second path."""
  with contextlib.redirect_stdout(io.StringIO()):
    gt = coco.COCO()
    gt.dataset = annotations
    gt.createIndex()
    if iou_type == 'segm':  # else sizes would go by the boxes
      results = [{'image_id': r['image_id'], 'score': r['score'],
                  'category_id': r['category_id'],
                  'segmentation': gt.annToRLE(r)} for r in results]
    engine = cocoeval.COCOeval(gt, gt.loadRes(results), iou_type)
    engine.evaluate()
    engine.accumulate()
  return engine.eval


@pytest.mark.parametrize('seed, iou_type', [
    (0, 'bbox'), (1, 'bbox'), (2, 'bbox'), (3, 'bbox'), (4, 'segm'),
    (5, 'segm')])
def test_arrays_equal_those_of_pycocotools(seed, iou_type):
  annotations, results = _random_set(seed)
  include_mask = iou_type == 'segm'
  loaded = annotations_lib.load(annotations, include_mask)
  detections, _ = coco_results.from_results(results, loaded, include_mask)
  engine = coco_metrics.ColumnCOCOeval(loaded, detections, iou_type)
  engine.evaluate()
  engine.accumulate()
  expected = _pycocotools(annotations, results, iou_type)
  for name in ('precision', 'recall', 'scores'):
    np.testing.assert_array_equal(engine.eval[name], expected[name])
  assert engine.eval['precision'].max() > 0


@pytest.mark.parametrize('iou_type', _TYPES)
def test_perfect_detections_score_one(iou_type):
  annotations = coco_files.square_set()
  results = [dict(a, score=.5) for a in annotations['annotations']]
  metrics = _evaluate(annotations, results, iou_type)
  prefix = coco_metrics.PREFIXES[iou_type]
  assert metrics[prefix + 'AP'] == pytest.approx(1)
  assert metrics[prefix + 'ARmax1'] == .5  # two objects, one detection
  assert metrics[prefix + 'APl'] == -1     # there is no large object
  assert metrics[prefix + 'Precision mAP ByCategory/2'] == -1
  assert all(type(v) is float for v in metrics.values())


def test_annotation_id_zero_counts():
  """pycocotools takes a match with annotation 0 for no match."""
  annotations = coco_files.square_set()
  assert annotations['annotations'][0]['id'] == 0
  results = [dict(annotations['annotations'][0], score=.5)]
  assert _evaluate(annotations, results, 'bbox')['ARmax100'] == .5


def test_precision_by_hand():
  """Hit, miss, hit over two objects: precision 1 up to 0.5, then 2/3."""
  annotations = coco_files.square_set()
  results = [dict(annotations['annotations'][0], score=.9),
             {'image_id': 8, 'category_id': 1, 'score': .8,
              'bbox': [0., 0., 20., 20.]},
             dict(annotations['annotations'][1], score=.7)]
  metrics = _evaluate(annotations, results, 'bbox')
  # 51 of the 101 recalls are at most 0.5.
  assert metrics['AP'] == pytest.approx((51 + 50 * 2 / 3.) / 101)


def test_no_detections_score_zero():
  metrics = _evaluate(coco_files.square_set(), [], 'segm')
  assert metrics['mask_AP'] == 0
  assert metrics['mask_ARmax100'] == 0


def test_chosen_images_only():
  """The known figures of 99 images: what skipping the empty one gives."""
  annotations = coco_files.annotations()
  loaded = annotations_lib.load(annotations)
  detections, _ = coco_results.from_results(coco_files.results('bbox'), loaded)
  metrics = coco_metrics.evaluate(loaded, detections, 'bbox',
                                  image_rows=np.unique(detections.images))
  expected = coco_files.expected()['bbox'][
      'stats_if_images_without_predictions_are_skipped']
  assert [metrics[n] for n in coco_metrics.METRIC_NAMES] == expected


def test_category_ap_is_always_there():
  metrics = _evaluate(coco_files.square_set(), [], 'bbox', per_category=False)
  assert set(metrics) == set(coco_metrics.METRIC_NAMES) | {
      'Precision mAP ByCategory/1', 'Precision mAP ByCategory/2'}


def _crowded_set(num_objects):
  """One image with so many squares, and another with none."""
  annotations = coco_files.square_set()
  annotations['annotations'] = []
  for i in range(num_objects):
    box = [5. * (i % 20), 5. * (i // 20), 4., 4.]
    annotations['annotations'].append({
        'id': i + 1, 'image_id': 7, 'category_id': 1, 'bbox': box, 'area': 16.,
        'iscrowd': 0, 'segmentation': [coco_files.corners(box)]})
  return annotations


@pytest.mark.parametrize('iou_type', _TYPES)
def test_more_objects_than_the_metric_counts(iou_type):
  """Perfect detections of 160 objects: 100 count, recall 0.625."""
  annotations = _crowded_set(160)
  results = [dict(a, score=1. - .001 * a['id'])
             for a in annotations['annotations']]
  standard = _evaluate(annotations, results, iou_type)
  prefix = coco_metrics.PREFIXES[iou_type]
  assert standard[prefix + 'ARmax100'] == .625
  # 63 of the 101 recalls are at most 0.625.
  assert standard[prefix + 'AP'] == pytest.approx(63 / 101.)
  metrics = _evaluate(annotations, results, iou_type, max_detections=200)
  assert coco_metrics.limit_names(metrics, prefix) == [
      'APmax200', 'AP50max200', 'AP75max200', 'ARmax200']
  for name in coco_metrics.limit_names(metrics, prefix):
    assert metrics.pop(prefix + name) == pytest.approx(1)
  assert metrics == standard


def test_figures_of_a_limit_are_those_of_pycocotools():
  """Its summary takes AP from the third limit, so that one is replaced."""
  annotations, results = _random_set(7)
  metrics = _evaluate(annotations, results, 'bbox', max_detections=250)
  with contextlib.redirect_stdout(io.StringIO()):
    gt = coco.COCO()
    gt.dataset = annotations
    gt.createIndex()
    engine = cocoeval.COCOeval(gt, gt.loadRes(results), 'bbox')
    engine.params.maxDets = [1, 10, 250]
    engine.evaluate()
    engine.accumulate()
  precision = engine.eval['precision'][..., 0, 2]
  assert metrics['APmax250'] == np.mean(precision[precision > -1])
  at_half = precision[:1]
  assert metrics['AP50max250'] == np.mean(at_half[at_half > -1])
  recall = engine.eval['recall'][..., 0, 2]
  assert metrics['ARmax250'] == np.mean(recall[recall > -1])


def test_limit_is_stated_where_it_matters():
  def messages(num_objects, **kwargs):
    return coco_metrics.limit_messages(
        annotations_lib.load(_crowded_set(num_objects)), **kwargs)
  assert messages(0) == messages(100) == []
  message, = messages(160)
  assert '1 images have more than 100 objects' in message
  assert 'image 7 has 160' in message and 'eval.max_detections=160' in message
  message, = messages(160, max_detections=300)
  assert 'APmax300' in message and 'eval.max_detections' not in message
