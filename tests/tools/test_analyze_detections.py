"""Tests of tools/analyze_detections.py and what it calls in tools/report."""

import json
import re
import shutil

import numpy as np
from PIL import Image
import pytest

from configs import factory
from evaluation import tide
from executor import model_dir as model_dir_lib
from tests import browser
from tests.evaluation import coco_files
from tests.evaluation import random_sets
from tools import analyze_detections
from tools import make_demo_data
from tools import make_report

_EVIL = '<img src=x onerror=alert(1)>"\'&'


def _write(path, content):
  path.write_text(json.dumps(content))
  return str(path)


def _run(tmp_path, annotations, results, *more):
  """The page of annotations and results."""
  output = tmp_path / 'page.html'
  assert analyze_detections.main([
      '--annotations=' + _write(tmp_path / 'a.json', annotations),
      '--detections=' + _write(tmp_path / 'd.json', results),
      '--output=%s' % output] + list(more)) == 0
  return output.read_text()


def _squares(*results):
  return [dict({'image_id': 7, 'category_id': 1, 'score': .9}, **r)
          for r in results]


@pytest.mark.one_runtime('tf1')
def test_known_figures_and_every_kind_of_error(tmp_path):
  page = _run(tmp_path, coco_files.annotations(), coco_files.results('bbox'))
  stats = coco_files.expected()['bbox']['stats']
  for value in stats[:3]:
    assert '<td class="n">%.3f</td>' % value in page
  for kind in tide.KINDS:
    assert '<h3>%s:' % kind.capitalize() in page
  assert page.count('data:image/jpeg;base64,') > 10
  assert 'traffic light: AP50' in page and len(page) < 20e6


@pytest.mark.one_runtime('tf2')
def test_masks(tmp_path):
  page = _run(tmp_path, coco_files.annotations(), coco_files.results('segm'),
              '--type=mask', '--num_images=1')
  stats = coco_files.expected()['segm']['stats']
  assert '<td class="n">%.3f</td>' % stats[0] in page


def test_page_needs_nothing_else_and_runs_nothing(tmp_path):
  """Names of classes and files come from anywhere."""
  annotations = coco_files.square_set()
  for entry in annotations['categories'] + annotations['images']:
    entry['name'] = entry['file_name'] = _EVIL
  annotations['categories'][1]['name'] += '2'
  page = _run(tmp_path, annotations, _squares(
      {'bbox': [10., 10., 20., 20.]},
      {'bbox': [50., 40., 20., 20.], 'category_id': 2}))
  assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
  assert '<img src=x' not in page and '&lt;img src=x' in page
  assert '<script' not in page and 'default-src &#39;none' in page


def test_images_are_drawn_upon(tmp_path):
  annotations = coco_files.square_set()
  for image in annotations['images']:
    image['file_name'] = '%d.png' % image['id']
  results = _squares({'bbox': [90., 70., 20., 20.]})
  grey = _run(tmp_path, annotations, results)
  folder = tmp_path / 'images'
  folder.mkdir()
  Image.fromarray(np.full([100, 120, 3], (0, 90, 200), np.uint8)).save(
      str(folder / '7.png'))
  blue = _run(tmp_path, annotations, results, '--images=%s' % folder)
  drawn = [re.findall(r'base64,([^"]+)', page) for page in (grey, blue)]
  assert len(drawn[0]) == len(drawn[1]) > 0
  assert not set(drawn[0]) & set(drawn[1])


def test_two_runs(tmp_path):
  """One square is found now that was not, in the image with squares."""
  before = _write(tmp_path / 'before.json', _squares(
      {'bbox': [10., 10., 20., 20.]},
      {'image_id': 8, 'bbox': [10., 10., 20., 20.]}))
  page = _run(tmp_path, coco_files.square_set(), _squares(
      {'bbox': [10., 10., 20., 20.]}, {'bbox': [50., 40., 20., 20.]}),
              '--compare=' + before)
  assert '2 images got better' in page and '0 images got worse' in page
  assert 'image 8: F1 +1.00' in page and 'image 7: F1 +0.33' in page
  assert 'before: 1 detections' in page and 'after: 2 detections' in page


def test_undefined_is_no_number(tmp_path):
  page = _run(tmp_path, coco_files.square_set(), [])
  assert '>-1' not in page and page.count('>–<') > 5
  assert 'There are no detections with scores' in page


def test_nothing_to_find(tmp_path):
  annotations = coco_files.square_set()
  annotations['annotations'] = []
  page = _run(tmp_path, annotations, _squares({'bbox': [1., 1., 9., 9.]}))
  assert 'There is no object to find.' in page


@pytest.mark.parametrize('num_classes', [25, 30])
def test_many_classes(tmp_path, num_classes):
  """A matrix where it fits the page, else the most frequent confusions."""
  annotations = coco_files.square_set()
  annotations['categories'] = [{'id': i, 'name': 'c%d' % i}
                               for i in range(1, num_classes + 1)]
  first = annotations['annotations'][0]
  annotations['annotations'] = [
      dict(first, id=i, category_id=i) for i in range(1, num_classes + 1)]
  page = _run(tmp_path, annotations, _squares(
      {'bbox': first['bbox'], 'category_id': 3}))
  assert ('class="matrix"' in page) == (num_classes == 25)


@pytest.fixture(name='model_dir', scope='module')
def _model_dir(tmp_path_factory):
  """Folder as a training run and an evaluation leave it."""
  folder = tmp_path_factory.mktemp('run')
  make_demo_data.make_split(str(folder), 'val', 4, 128, seed=2, num_shards=1,
                            num_processes=1)
  config, _ = factory.load_config('retinanet', extra={
      'eval.eval_file_pattern': str(folder / 'val-*.tfrecord')})
  model_dir_lib.save_params(config, str(folder / 'params.yaml'))
  (folder / 'eval').mkdir()
  (folder / 'eval' / 'detections.json').write_text(json.dumps([
      {'image_id': 10001, 'category_id': 1, 'bbox': [5, 5, 40, 30],
       'score': .9}]))
  return folder


def test_a_model_dir(model_dir):
  assert analyze_detections.main(['--model_dir=%s' % model_dir]) == 0
  page = (model_dir / 'analysis.html').read_text()
  assert 'disc' in page and page.count('base64,') >= 2


def test_records_that_were_moved(model_dir, tmp_path, capsys):
  """Of a training run that was copied from another machine, for instance."""
  config, _ = factory.load_config('retinanet', extra={
      'eval.eval_file_pattern': '/gone/val-*'})
  model_dir_lib.save_params(config, str(tmp_path / 'params.yaml'))
  shutil.copytree(str(model_dir / 'eval'), str(tmp_path / 'eval'))
  arguments = ['--model_dir=%s' % tmp_path]
  assert analyze_detections.main(arguments) == 1
  error = capsys.readouterr().err
  assert "no file matches '/gone/val-*'. It is that of %s" % (
      tmp_path / 'params.yaml') in error
  assert '--params_override=eval.eval_file_pattern=...' in error
  there = 'eval.eval_file_pattern=%s' % (model_dir / 'val-*.tfrecord')
  assert analyze_detections.main(
      arguments + ['--params_override=' + there]) == 0
  assert 'disc' in (tmp_path / 'analysis.html').read_text()
  (tmp_path / 'eval' / 'metrics.json').write_text('{"step": 20, "AP": 0.625}')
  with pytest.raises(ValueError, match='--params_override='):
    make_report.build_page(str(tmp_path))
  page = make_report.build_page(str(tmp_path), params_override=there)
  assert 'Box AP 0.625 on 4 images' in page and '>trained on<' not in page


@pytest.mark.parametrize('arguments, message', [
    (['--model_dir=nowhere'], 'no nowhere/params.yaml'),
    (['--annotations=nowhere.json', '--detections=d.json'], 'nowhere.json')])
def test_missing_files_are_one_message(capsys, arguments, message):
  assert analyze_detections.main(arguments) == 1
  assert message in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [
    [], ['--annotations=a'], ['--annotations=a', '--detections=d',
                              '--model_dir=m']])
def test_one_source(capsys, arguments):
  with pytest.raises(SystemExit):
    analyze_detections.parse_arguments(arguments)
  assert 'or --model_dir' in capsys.readouterr().err


def test_an_override_is_of_a_model_dir(capsys):
  with pytest.raises(SystemExit):
    analyze_detections.parse_arguments(
        ['--annotations=a', '--detections=d', '--params_override=a=b'])
  assert '--model_dir says' in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not browser.PROGRAM, reason=browser.MISSING)
@pytest.mark.parametrize('width', [500, 1000, 1400])
def test_nothing_is_cut_in_a_browser(tmp_path, width):
  """Wide tables scroll by themselves; the page does not."""
  annotations, results = random_sets.coco_set(3, num_images=8)
  for category in annotations['categories']:
    category['name'] += '-of-a-very-long-name-without-any-blank' * 3
  before = _write(tmp_path / 'before.json', results[::2])
  _run(tmp_path, annotations, results, '--compare=' + before)
  with browser.open_page('file://%s' % (tmp_path / 'page.html'),
                         size=(width, 900)) as page:
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert not page.messages
    assert not [url for url in page.requests
                if not url.startswith(('data:', 'file:///'))]
