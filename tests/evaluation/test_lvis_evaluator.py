"""Tests of evaluation/lvis_evaluator.py."""

import json

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_results
from evaluation import lvis_evaluator
from evaluation import lvis_metrics
from tests.evaluation import coco_files
from tests.evaluation import random_sets


def _evaluate(annotations, predictions, **kwargs):
  evaluator = lvis_evaluator.LVISEvaluator(annotations, **kwargs)
  evaluator.update(predictions)
  return evaluator, evaluator.evaluate()


def test_squares_are_found(tmp_path):
  path = tmp_path / 'lvis.json'
  path.write_text(json.dumps(coco_files.lvis_square_set()))
  evaluator, metrics = _evaluate(str(path), coco_files.square_predictions())
  assert metrics['AP'] == metrics['APr'] == pytest.approx(1)
  assert metrics['APf'] == -1
  table = evaluator.format_table(metrics)
  for name in lvis_metrics.METRIC_NAMES:
    assert '%-8s' % name in table
  assert 'ARmax100' not in table
  message, = evaluator.messages
  assert 'count 300 detections' in message and 'at most 3' in message


def _predictions(annotations, results):
  """The results as a batch of the model, boxes in pixels of the image."""
  num = max(1, max(sum(r['image_id'] == i['id'] for r in results)
                   for i in annotations['images']))
  count = len(annotations['images'])
  batch = {'source_id': np.array([i['id'] for i in annotations['images']]),
           'num_detections': np.zeros([count], int),
           'detection_boxes': np.zeros([count, num, 4]),
           'detection_classes': np.zeros([count, num], int),
           'detection_scores': np.zeros([count, num]),
           'image_info': np.ones([count, 4, 2])}
  for row, image in enumerate(annotations['images']):
    for r in results:
      if r['image_id'] == image['id']:
        slot = batch['num_detections'][row]
        x, y, w, h = r['bbox']
        batch['detection_boxes'][row, slot] = [y, x, y + h, x + w]
        batch['detection_classes'][row, slot] = r['category_id']
        batch['detection_scores'][row, slot] = r['score']
        batch['num_detections'][row] += 1
  return batch


@pytest.mark.parametrize('seed', [0, 1, 2])
def test_same_figures_as_the_metrics_of_a_file(seed):
  content, results = random_sets.lvis_set(seed)
  evaluator, metrics = _evaluate(content, _predictions(content, results))
  loaded = annotations_lib.load(content)
  detections, _ = coco_results.from_results(results, loaded)
  expected = lvis_metrics.evaluate(
      loaded, lvis_metrics.load(content, loaded), detections, 'bbox')
  for name, value in expected.items():
    assert metrics[name] == pytest.approx(value, abs=1e-9), name
  assert len(evaluator.results()) == len(results)


def test_next_evaluation_begins_with_nothing():
  evaluator, first = _evaluate(coco_files.lvis_square_set(),
                               coco_files.square_predictions())
  evaluator.reset()
  evaluator.update(coco_files.square_predictions())
  assert evaluator.evaluate() == first


def test_annotations_of_coco_are_refused():
  with pytest.raises(ValueError, match='need annotations of LVIS'):
    lvis_evaluator.LVISEvaluator(coco_files.square_set())


def test_ground_truth_with_the_batches_is_refused():
  evaluator = lvis_evaluator.LVISEvaluator()
  with pytest.raises(ValueError, match='does not say which categories'):
    evaluator.update(coco_files.square_predictions())
