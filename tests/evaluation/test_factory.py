"""Tests of evaluation/factory.py."""

import types

import pytest

from configs import factory as config_factory
from evaluation import factory
from tests.evaluation import coco_files


def _section(**kwargs):
  section = {'type': 'box', 'per_category_metrics': False,
             'remove_invalid_boxes': True, 'label_map': None,
             'max_detections': None, 'mask_eval_class': [1],
             'extra_metrics': ()}
  section.update(kwargs)
  return types.SimpleNamespace(**section)


@pytest.mark.parametrize('name', sorted(factory.EVALUATORS))
def test_every_evaluator_builds_and_runs(name):
  evaluator = factory.build_evaluator(_section(type=name),
                                      coco_files.lvis_square_set())
  predictions = coco_files.square_predictions()
  predictions['detection_masks'] = predictions['detection_boxes'].reshape(
      [2, 3, 2, 2])
  evaluator.reset()
  evaluator.update(predictions)
  metrics = evaluator.evaluate()
  assert metrics['AP'] == pytest.approx(1)
  assert ('mask_AP' in metrics) == ('mask' in name)
  assert ('novel_mask_AP' in metrics) == (name == 'shapemask_box_and_mask')
  assert 'Recall AR@1 ByCategory/1' not in metrics
  assert len(evaluator.results()) == 2


def test_section_is_obeyed(tmp_path):
  label_map = tmp_path / 'labels.csv'
  label_map.write_text('1:brick\n')
  evaluator = factory.build_evaluator(
      _section(per_category_metrics=True, remove_invalid_boxes=False,
               label_map=str(label_map), max_detections=300),
      coco_files.square_set(), only_predicted_images=True)
  evaluator.update(coco_files.square_predictions())
  metrics = evaluator.evaluate()
  assert 'Recall AR@1 ByCategory/1' in metrics and 'APmax300' in metrics
  assert len(evaluator.results()) == 6
  assert evaluator.category_names[1] == 'brick'


@pytest.mark.parametrize('name', sorted(factory.EXTRA_METRICS))
def test_every_further_metric(name):
  """Its names say which it is; of masks, they say that, too."""
  evaluator = factory.build_evaluator(
      _section(type='box_and_mask', extra_metrics=(name,)),
      coco_files.square_set())
  predictions = coco_files.square_predictions()
  predictions['detection_masks'] = predictions['detection_boxes'].reshape(
      [2, 3, 2, 2])
  plain = factory.build_evaluator(_section(type='box_and_mask'),
                                  coco_files.square_set())
  for one in (evaluator, plain):
    one.update(predictions)
  more = set(evaluator.evaluate()) - set(plain.evaluate())
  prefixes = ('mask_' + name + '_', name + '_')
  assert more and all(m.startswith(prefixes) for m in more)
  assert any(m.startswith('mask_' + name + '_') for m in more)
  assert all(type(evaluator.evaluate()[m]) is float for m in more)
  assert '\n%s\n' % name in evaluator.format_table(evaluator.evaluate())


def test_further_metrics_of_the_images_that_are_scored():
  """Image 7, the one with objects, got no predictions."""
  evaluator = factory.build_evaluator(
      _section(extra_metrics=('voc',)), coco_files.square_set(),
      only_predicted_images=True)
  predictions = coco_files.square_predictions()
  evaluator.update({k: v[1:] for k, v in predictions.items()})
  assert evaluator.evaluate()['voc_AP50'] == -1


@pytest.mark.parametrize('name, message', [
    ('boxes', "eval.type is 'boxes'; it can be box, box_and_mask")])
def test_other_types_are_refused(name, message):
  with pytest.raises(ValueError, match=message):
    factory.build_evaluator(_section(type=name))


@pytest.mark.parametrize('model', sorted(factory.CUSTOMIZED))
def test_customized_evaluators(model, tmp_path):
  (tmp_path / 'names.csv').write_text('1:disc\n')
  config, _ = config_factory.load_config(
      model, extra={'eval.label_map': str(tmp_path / 'names.csv')})
  assert config.eval.type == 'customized'
  evaluator = factory.build_customized_evaluator(config)
  for method in ('reset', 'update', 'evaluate', 'results', 'format_table'):
    assert callable(getattr(evaluator, method))
  assert evaluator.results_name == 'predictions.json'


def test_customized_evaluation_of_a_detector():
  config = config_factory.default_config('retinanet')
  with pytest.raises(ValueError, match="'customized' is 'retinanet'; "
                     'it can be classification, segmentation'):
    factory.build_customized_evaluator(config)
