"""Tests of tools/evaluate_detections.py."""

import json
import subprocess
import sys

import pytest

from evaluation import coco_metrics
from tests import golden
from tests.evaluation import coco_files
from tools import evaluate_detections


def _write(path, content):
  path.write_text(json.dumps(content))
  return str(path)


def _arguments(tmp_path, annotations, detections, kind):
  return ['--annotations=' + _write(tmp_path / 'a.json', annotations),
          '--detections=' + _write(tmp_path / 'd.json', detections),
          '--type=' + kind]


@pytest.mark.parametrize('kind, prefixes', [('box', ['']),
                                            ('mask', ['mask_', ''])])
def test_known_figures_to_all_digits(tmp_path, kind, prefixes):
  """As a person runs it: stdout is JSON and nothing else."""
  iou_type = {'box': 'bbox', 'mask': 'segm'}[kind]
  annotations = coco_files.annotations()
  output = subprocess.run(
      [sys.executable, '-m', 'tools.evaluate_detections']
      + _arguments(tmp_path, annotations, coco_files.results(iou_type), kind),
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
      universal_newlines=True)
  metrics = json.loads(output.stdout)
  expected = coco_files.expected()[iou_type]
  for prefix in prefixes:
    assert [metrics[prefix + name] for name in coco_metrics.METRIC_NAMES
           ] == expected['stats']
  for category in annotations['categories']:
    ap = expected['per_category_AP'].get(category['name'])
    key = prefixes[0] + 'Precision mAP ByCategory/%d' % category['id']
    assert metrics[key] == (-1 if ap is None else ap)
  assert 'traffic light' in output.stderr


def _run(capsys, arguments):
  """Returns (exit status, stdout, stderr)."""
  status = evaluate_detections.main(arguments)
  output = capsys.readouterr()
  return status, output.out, output.err


@pytest.mark.parametrize('path', golden.reference_files(
    'ops/eval_coco_predictions.json'))
@pytest.mark.parametrize('kind, case', [
    ('box', 'box_json_percat'), ('box_and_mask', 'mask_json_percat')])
def test_figures_equal_reference(capsys, path, kind, case):
  status, out, _ = _run(capsys, [
      '--annotations=' + path.replace('coco_predictions', 'groundtruth'),
      '--detections=' + path, '--type=' + kind])
  assert status == 0
  expected = golden.load_json(path.replace('coco_predictions', 'metrics'))
  metrics = json.loads(out)
  for name, value in expected['cases'][case]['metrics'].items():
    assert metrics[name] == pytest.approx(value, abs=1e-5), name


def test_more_detections_than_coco_counts(capsys, tmp_path):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  arguments = _arguments(tmp_path, annotations, detections, 'mask')
  status, out, err = _run(capsys, arguments + ['--max_detections=400'])
  assert status == 0 and 'ARmax400' in err
  metrics = json.loads(out)
  assert metrics['mask_APmax400'] == metrics['APmax400'] == pytest.approx(1)
  with pytest.raises(SystemExit):
    _run(capsys, arguments + ['--max_detections=100'])
  assert 'above 100' in capsys.readouterr().err


def test_no_detections(capsys, tmp_path):
  status, out, _ = _run(capsys, _arguments(
      tmp_path, coco_files.square_set(), [], 'mask'))
  assert status == 0
  metrics = json.loads(out)
  assert metrics['AP'] == metrics['mask_AP'] == 0
  assert metrics['mask_APl'] == -1


def test_two_point_polygons_are_named(capsys, tmp_path):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  annotations['annotations'].append(dict(
      annotations['annotations'][0], id=69, area=0,
      segmentation=[[1., 2., 3., 4.]]))
  status, out, err = _run(capsys, _arguments(tmp_path, annotations, detections,
                                             'mask'))
  assert status == 0
  assert json.loads(out)['mask_AP'] == pytest.approx(1)
  assert 'id 69' in err


def test_text_ids_and_label_map(capsys, tmp_path):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5, image_id='b') for a in
                annotations['annotations']]
  annotations['images'][0]['id'] = 'b'
  annotations['images'][1]['id'] = 'a'
  for entry in annotations['annotations']:
    entry['image_id'] = 'b'
  labels = tmp_path / 'labels.csv'
  labels.write_text('1:brick\n')
  status, out, err = _run(capsys, _arguments(
      tmp_path, annotations, detections, 'box') + ['--label_map=%s' % labels])
  assert status == 0
  assert json.loads(out)['AP'] == pytest.approx(1)
  assert 'brick' in err


@pytest.mark.parametrize('change, message', [
    ({'image_id': 55}, '55'), ({'category_id': 77}, '77'),
    ({'score': None}, 'no score'), ({'bbox': None}, 'no bbox')])
def test_errors_go_to_stderr(capsys, tmp_path, change, message):
  detections = [{'image_id': 7, 'category_id': 1, 'score': .5,
                 'bbox': [1., 2., 3., 4.]}]
  detections[0].update(change)
  status, out, err = _run(capsys, _arguments(
      tmp_path, coco_files.square_set(), detections, 'box'))
  assert (status, out) == (1, '')
  assert err.startswith('error: ') and 'd.json' in err and message in err


def test_unknown_categories_on_request(capsys, tmp_path):
  detections = [{'image_id': 7, 'category_id': 77, 'score': .5,
                 'bbox': [1., 2., 3., 4.]}]
  status, _, err = _run(
      capsys, _arguments(tmp_path, coco_files.square_set(), detections, 'box')
      + ['--ignore_unknown_categories'])
  assert status == 0
  assert '1 of 1 detections' in err and '77' in err


def test_missing_file(capsys, tmp_path):
  status, out, err = _run(capsys, ['--annotations=%s/none.json' % tmp_path,
                                   '--detections=x.json'])
  assert (status, out) == (1, '')
  assert 'none.json' in err
