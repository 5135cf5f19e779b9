"""Tests of tools/evaluate_detections.py."""

import json
import re
import subprocess
import sys

import pytest

from evaluation import coco_metrics
from evaluation import factory
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
      capture_output=True, check=True,
      text=True)
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


def test_rules_of_lvis(capsys, tmp_path):
  annotations = coco_files.lvis_square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  status, out, err = _run(capsys, _arguments(
      tmp_path, annotations, detections, 'lvis_box_and_mask'))
  assert status == 0 and 'AR@300' in err
  metrics = json.loads(out)
  assert metrics['APr'] == metrics['mask_APr'] == pytest.approx(1)
  status, _, err = _run(capsys, _arguments(
      tmp_path, coco_files.square_set(), detections, 'lvis_box'))
  assert status == 1 and 'a.json: image 7 has no list neg_category_ids' in err


def test_further_metrics(capsys, tmp_path):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  arguments = _arguments(tmp_path, annotations, detections, 'box_and_mask')
  status, out, err = _run(capsys, arguments + [
      '--extra_metrics=' + ','.join(sorted(factory.EXTRA_METRICS))])
  metrics = json.loads(out)
  assert status == 0 and metrics['voc_AP50'] == metrics['mask_voc_AP50'] == 1
  assert metrics['mask_boundary_AP'] == pytest.approx(1)
  assert metrics['calibration_D-ECE'] == .5 and 'boundary_AP' not in metrics
  assert metrics['proposals_AR@1'] == .5 and metrics['tide_cost_both'] == 0
  lines = err.splitlines()
  assert lines.index('calibration') < lines.index('tide') < lines.index('voc')
  assert lines[lines.index('voc') + 1].split() == [
      'AP50', '1.0000', 'AP50_2007', '1.0000']
  status, _, err = _run(capsys, arguments + ['--extra_metrics=vok'])
  assert status == 1 and 'boundary, calibration' in err


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


def test_images_without_detections_come_before_any_figure(capsys, tmp_path):
  annotations = coco_files.square_set()
  annotations['images'] += [{'id': i, 'height': 90, 'width': 80}
                            for i in range(20, 30)]
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  _, _, err = _run(capsys, _arguments(tmp_path, annotations, detections, 'box'))
  assert err.startswith('Note: 11 of 12 images of the annotations have no '
                        'detections: 8, 20, 21, 22, 23 and 6 more.')
  assert 'of another data set' in err and err.index('Note') < err.index('Boxes')


def test_part_of_the_images_is_no_doubt(capsys, tmp_path):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  _, _, err = _run(capsys, _arguments(tmp_path, annotations, detections, 'box'))
  assert err.startswith('Note: 1 of 2 images') and 'another data' not in err


def test_boxes_of_other_images(capsys, tmp_path):
  """An image of 100 x 120 pixels; the tenth beyond it may be rounding."""
  detections = [{'image_id': 7, 'category_id': 1, 'score': .5, 'bbox': box}
                for box in ([100, 50, 30, 59], [100, 50, 40, 59],
                            [500, 600, 10, 10], [-20, 0, 10, 10])]
  _, _, err = _run(capsys, _arguments(tmp_path, coco_files.square_set(),
                                      detections, 'box'))
  assert '3 of 4 detections reach far beyond their images' in err
  assert err.index('far beyond') < err.index('Boxes')


@pytest.mark.parametrize('change, message', [
    ({'image_id': 99}, "1 of 2 entries have a image_id .*: 99. The annotations "
     'have 2, such as 7, 8'),
    ({'category_id': 44}, 'have a category_id .*: 44.'),
])
def test_ids_that_do_not_match_are_named_instead_of_figures(
    capsys, tmp_path, change, message):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  detections[0].update(change)
  status, out, err = _run(capsys, _arguments(tmp_path, annotations, detections,
                                             'box'))
  assert status == 1 and not out and re.search(message, err)


def test_text_for_numbers(capsys, tmp_path):
  """A crowd of "0" is none, and every value may be text or a float."""
  annotations = coco_files.square_set()
  detections = [dict(a, score='.5', image_id='7') for a in
                annotations['annotations']]
  for entry in annotations['annotations']:
    entry.update(iscrowd='0', image_id=7., category_id='1', area='400')
  status, out, _ = _run(capsys, _arguments(tmp_path, annotations, detections,
                                           'box_and_mask'))
  metrics = json.loads(out)
  assert status == 0
  assert metrics['AP'] == metrics['mask_AP'] == pytest.approx(1.)


def test_all_are_crowds(capsys, tmp_path):
  annotations = coco_files.square_set()
  for entry in annotations['annotations']:
    entry['iscrowd'] = 1
  _, out, err = _run(capsys, _arguments(tmp_path, annotations, [], 'box'))
  assert json.loads(out)['AP'] == -1
  assert '2 of 2 objects are marked as crowds' in err
  assert 'set iscrowd to 0' in err


def test_masks_of_a_set_without_objects(capsys, tmp_path):
  annotations = coco_files.square_set()
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  annotations['annotations'] = []
  status, out, _ = _run(capsys, _arguments(tmp_path, annotations, detections,
                                           'box_and_mask'))
  assert status == 0 and json.loads(out)['mask_AP'] == -1


@pytest.mark.parametrize('area', [0, -4, 'x', None])
def test_areas_that_are_none_are_computed(capsys, tmp_path, area):
  """400 pixels, small; an area of 0 would be small by chance only."""
  annotations = coco_files.square_set()
  annotations['annotations'][0].update(bbox=[10, 10, 50, 50], area=area)
  detections = [dict(a, score=.5) for a in annotations['annotations']]
  _, out, err = _run(capsys, _arguments(tmp_path, annotations, detections,
                                        'box'))
  metrics = json.loads(out)
  assert metrics['APm'] == metrics['APs'] == pytest.approx(1.)
  assert ('an area that is not a number above 0' in err) == (area is not None)


def test_a_mark_in_front_of_both_files(capsys, tmp_path):
  annotations = coco_files.square_set()
  arguments = _arguments(tmp_path, annotations, [
      dict(a, score=.5) for a in annotations['annotations']], 'box')
  for name in ('a.json', 'd.json'):
    path = tmp_path / name
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
  status, out, _ = _run(capsys, arguments)
  assert status == 0 and json.loads(out)['AP'] == pytest.approx(1.)


def test_urls(tmp_path, capsys):
  _arguments(tmp_path, coco_files.annotations(), coco_files.results('bbox'),
             'box')
  (tmp_path / 'names.txt').write_text('1:first\n')
  url = 'file://%s/' % tmp_path
  assert evaluate_detections.main([
      '--annotations=%sa.json' % url, '--detections=%sd.json' % url,
      '--label_map=%snames.txt' % url]) == 0
  output = capsys.readouterr()
  assert json.loads(output.out)['AP'] == coco_files.expected()['bbox'][
      'stats'][0]
  assert 'first' in output.err
  assert evaluate_detections.main([
      '--annotations=%sb.json' % url, '--detections=%sd.json' % url]) == 1
  assert 'b.json cannot be read' in capsys.readouterr().err
