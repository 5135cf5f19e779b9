"""The names that the configuration knows are those of the evaluators."""

import numpy as np
import pytest

from configs import factory as config_factory
from configs import metric_names
from evaluation import factory
from tests.evaluation import coco_files

_INFO = np.array([[2, 2], [2, 2], [1, 1], [0, 0]], np.float32)


def _config(model, **changes):
  return config_factory.load_config(model, extra={
      key.replace('__', '.'): value for key, value in changes.items()})[0]


def _check(config, metrics):
  of_classes = {name for name in metrics
                if metric_names.is_of_one_class(config, name)}
  names = metric_names.of_experiment(config)
  assert of_classes and not of_classes & set(names)
  assert set(names) == set(metrics) - of_classes


@pytest.mark.parametrize('model, changes', [
    ('retinanet', {}), ('mask_rcnn', {}), ('mask_rcnn', {'eval__type': 'box'}),
    ('mask_rcnn', {'eval__max_detections': 200,
                   'postprocess__max_total_size': 200,
                   'eval__per_category_metrics': True}),
    ('mask_rcnn', {'eval__type': 'lvis_box_and_mask'}),
    ('retinanet', {'eval__type': 'lvis_box', 'eval__max_detections': 200,
                   'postprocess__max_total_size': 200}),
    ('shapemask', {}), ('shapemask', {'eval__mask_eval_class': [1]})])
def test_detection(model, changes):
  config = _config(model, **changes)
  evaluator = factory.build_evaluator(config.eval, coco_files.lvis_square_set())
  predictions = coco_files.square_predictions()
  predictions['detection_masks'] = predictions['detection_boxes'].reshape(
      [2, 3, 2, 2])
  evaluator.update(predictions)
  _check(config, evaluator.evaluate())


def test_classification():
  config = _config('classification')
  evaluator = factory.build_customized_evaluator(config)
  evaluator.update({'source_id': np.array([1]), 'classes': np.array([[1, 2]]),
                    'scores': np.array([[.9, .1]])}, {'label': np.array([2])})
  _check(config, evaluator.evaluate())


def test_segmentation():
  config = _config('segmentation')
  evaluator = factory.build_customized_evaluator(config)
  masks = np.ones([1, 2, 2, 1], np.float32)
  evaluator.update(
      {'source_id': np.array([1]), 'masks': masks.astype(np.int32),
       'image_info': _INFO[np.newaxis]},
      {'masks': masks, 'valid_masks': masks > 0})
  _check(config, evaluator.evaluate())
