"""Tests of evaluation/report.py."""

import json

import pytest

from evaluation import coco_evaluator
from evaluation import report
from tests.evaluation import coco_files


def _evaluator(**kwargs):
  evaluator = coco_evaluator.COCOEvaluator(coco_files.square_set(), **kwargs)
  predictions = coco_files.square_predictions()
  predictions['detection_masks'] = predictions['detection_boxes'].reshape(
      [2, 3, 2, 2])
  evaluator.update(predictions)
  return evaluator


def test_table():
  evaluator = _evaluator(include_mask=True)
  text = report.format_table(evaluator.evaluate(), evaluator.category_names,
                             evaluator.num_objects, ['look here'])
  lines = text.splitlines()
  assert lines[0] == 'Boxes'
  assert lines[1].startswith('AP       1.0000  AP50     1.0000')
  assert lines[2].startswith('ARmax1   0.5000')
  assert lines[4].split() == ['id', 'class', 'objects', 'AP', 'AP50', 'AP75',
                              'APs', 'APm', 'APl', 'AR']
  assert lines[5].split()[:5] == ['1', 'square', '2', '1.0000', '1.0000']
  assert lines[6].split() == ['2', 'round', '0'] + ['-'] * 7
  assert 'Masks' in lines
  assert lines[-1] == 'Note: look here'
  assert max(map(len, lines)) <= 110


def test_table_of_category_ap_only():
  evaluator = _evaluator(per_category=False)
  text = report.format_table(evaluator.evaluate(), evaluator.category_names)
  assert text.splitlines()[4].split() == ['id', 'class', 'AP']
  assert 'Masks' not in text


def test_masks_of_novel_classes_come_last():
  evaluator = _evaluator(include_mask=True, novel_categories=[1])
  lines = report.format_table(evaluator.evaluate(),
                              evaluator.category_names).splitlines()
  row = lines.index('Masks of novel classes')
  assert lines[row + 1].startswith('AP ') and lines[row + 3] == ''
  assert lines[row + 4] == 'Masks of the other classes'
  assert lines[row + 5].split()[:2] == ['AP', '-']


def test_figures_of_another_limit_are_a_row_of_their_own():
  evaluator = _evaluator(include_mask=True, max_detections=300)
  lines = report.format_table(evaluator.evaluate(),
                              evaluator.category_names).splitlines()
  for row in (3, lines.index('Masks') + 3):
    assert lines[row].split()[::2] == ['APmax300', 'AP50max300', 'AP75max300',
                                       'ARmax300']


def test_files(tmp_path):
  evaluator = _evaluator(include_mask=True)
  evaluator.evaluate()
  report.write_results(str(tmp_path / 'r.json'), evaluator.results())
  report.write_results(str(tmp_path / 'none.json'), [])
  assert json.loads((tmp_path / 'r.json').read_text()) == evaluator.results()
  assert json.loads((tmp_path / 'none.json').read_text()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
  path = tmp_path / 'r.json'
  report.write_results(str(path), [{'score': .5}])
  with pytest.raises(ValueError):
    report.write_results(str(path), [{'score': float('nan')}])
  assert json.loads(path.read_text()) == [{'score': .5}]
  assert len(list(tmp_path.iterdir())) == 1
