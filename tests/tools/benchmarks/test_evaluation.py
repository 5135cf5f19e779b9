"""Tests of tools/benchmarks/evaluation.py: that it runs and reports."""

import json

import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from tools.benchmarks import evaluation
from tools.benchmarks import evaluation_sets


def test_made_up_set_has_everything():
  content, results = evaluation_sets.make(60, 12, 30)
  annotations = annotations_lib.load(content)
  detections, messages = coco_results.from_results(results, annotations)
  assert len(detections.scores) == 60 * 30 and not messages
  assert annotations.is_crowds.any() and annotations.num_objects()[1] > 60
  metrics = coco_metrics.evaluate(annotations, detections, 'bbox')
  assert .05 < metrics['AP'] < .9
  for size in 'sml':
    assert metrics['AP' + size] > 0
  assert evaluation_sets.make(60, 12, 30)[1] == results


def test_every_part_is_measured(capsys, tmp_path):
  path = tmp_path / 'figures.json'
  evaluation.main(['--images=6', '--categories=3', '--detections=5',
                   '--json=%s' % path])
  printed = capsys.readouterr().out
  assert '6 images, 3 categories, 30 detections' in printed
  figures = json.loads(path.read_text())
  for name in ('reading', 'COCO boxes', 'LVIS boxes', 'analysis', 'tide',
               'pycocotools'):
    assert figures[name]['cpu'] > 0 and figures[name]['peak_mib'] > 1
    assert name in printed


def test_masks_are_measured(capsys):
  evaluation.main(['--images=3', '--categories=2', '--detections=4', '--masks'])
  printed = capsys.readouterr().out
  assert 'pasting masks' in printed and 'COCO masks' in printed
  assert 'tide' not in printed


def test_other_programs_are_left_out_where_they_take_too_long(capsys):
  evaluation.main(['--images=6', '--categories=3', '--detections=5',
                   '--plain_limit=17'])
  assert 'pycocotools' not in capsys.readouterr().out


def test_a_part_that_fails_is_named(capfd):
  with pytest.raises(RuntimeError, match='The part division failed'):
    evaluation.measure({'division': lambda: 1 // 0})
  assert 'ZeroDivisionError' in capfd.readouterr().err
