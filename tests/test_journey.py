"""Whole jobs: under a relative model_dir, under a URL, of ids with gaps.

file:// takes the way that buckets take: plain Python opens none of the files.
"""

import json
import os

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from tests import test_main
from tests.tools import coco_sets
from tools import create_coco_tfrecord
from tools import make_report
from tools.datasets import coco_record_writer

_data = test_main._data  # the fixture `data`


def _run(mode, model_dir, data, *flags, **changes):
  """Runs main.py, which must end well."""
  overrides = ','.join('%s=%s' % (key.replace('__', '.'), value)
                       for key, value in changes.items())
  arguments = ['--mode=%s' % mode, '--model_dir=%s' % model_dir,
               '--data_dir=%s' % data] + list(flags)
  if overrides:
    arguments.append('--params_override=' + overrides)
  assert test_main._run(*arguments) == 0


def _named(folder):
  """The name of the checkpoint that TensorFlow finds in a folder."""
  path = tf.train.latest_checkpoint(folder)
  assert path and os.path.dirname(path) == folder
  tf.train.load_checkpoint(path).get_variable_to_shape_map()
  return os.path.basename(path)


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['relative', 'url'])
def test_the_whole_job(kind, data, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  base = 'runs' if kind == 'relative' else 'file://%s/runs' % tmp_path
  (tmp_path / 'runs').mkdir()
  (tmp_path / 'runs' / 'names.txt').write_text('1:red\n2:blue\n')
  run, config = base + '/a', '--config_file=%s' % (data / 'config.yaml')
  names = base + '/names.txt'
  if kind == 'relative':  # A relative one would be sought in --data_dir.
    names = str(tmp_path / 'runs' / 'names.txt')

  _run('train_and_eval', run, data, config, train__total_steps=2,
       eval__num_steps_per_eval=1, eval__best_metric='AP',
       eval__label_map=names)
  best = _named(run + '/best')
  with open('runs/a/best/best.json') as f:
    assert json.load(f)['best'][0]['checkpoint'] == best
  assert _named(run) == 'model.ckpt-2'

  _run('train_and_eval', run, data, config, train__total_steps=3,
       eval__num_steps_per_eval=1, eval__best_metric='AP',
       eval__label_map=names)
  assert test_main._metric_steps(tmp_path / 'runs' / 'a') == [1, 2, 3]

  _run('eval', run, data, '--eval_once', eval__suffix='_again')
  assert 'blue' in capsys.readouterr().out
  output = base + '/new/deep/out.json'
  _run('predict', run, data, predict__output_file=output,
       predict__predict_file_pattern='val-*')
  with open('runs/new/deep/out.json') as f:
    assert json.load(f)

  # From the best one, as it is named and as a model_dir.
  _run('train', base + '/b', data, config, train__total_steps=1,
       train__checkpoint__path=run + '/best')
  _run('eval', run + '/best', data, config, '--eval_once')
  assert test_main._metric_steps(tmp_path / 'runs' / 'a' / 'best') == [
      int(best.split('-')[1])]

  os.remove('runs/a/checkpoint')
  _run('train', run, data, config, train__total_steps=4,
       eval__label_map=names)
  assert _named(run) == 'model.ckpt-4'

  monkeypatch.setattr('sys.argv', ['make_report', '--model_dir', run])
  make_report.main()
  assert 'blue' in (tmp_path / 'runs' / 'a' / 'report.html').read_text()


@pytest.mark.one_runtime('tf2')
def test_one_step_under_a_url(data, tmp_path):
  """The smallest part of the whole job."""
  run = 'file://%s/runs/a' % tmp_path
  _run('train_and_eval', run, data,
       '--config_file=file://%s' % (data / 'config.yaml'),
       train__total_steps=1, eval__num_steps_per_eval=1, eval__best_metric='AP')
  assert _named(run) == _named(run + '/best') == 'model.ckpt-1'
  assert test_main._metric_steps(tmp_path / 'runs' / 'a') == [1]


_IDS = {3: (200, 30, 30), 7: (30, 190, 40), 90: (20, 40, 220)}  # RGB


def _write_coco(folder):
  """Annotations of scenes with a square of every category in _IDS."""
  content = {'images': [], 'annotations': [], 'categories': [
      {'id': i, 'name': 'colour %d' % i} for i in _IDS]}
  images = folder / 'images'
  images.mkdir()
  for number in range(6):
    pixels = np.full([64, 64, 3], 120, np.uint8)
    name = '%d.png' % number
    content['images'].append({'id': 'scan/%d' % number, 'file_name': name,
                              'height': 64, 'width': 64})
    for place, (class_id, colour) in enumerate(sorted(_IDS.items())):
      y, x = 21 * ((place + number) % 3), 7 * (number % 6)
      pixels[y:y + 20, x:x + 20] = colour
      content['annotations'].append(coco_sets.rectangle(
          len(content['annotations']) + 1, 'scan/%d' % number, class_id,
          (y, x, y + 20, x + 20)))
    Image.fromarray(pixels).save(str(images / name))
  path = folder / 'own.json'
  path.write_text(json.dumps(content))
  return str(path), str(images)


@pytest.mark.slow
def test_ids_with_gaps(data, tmp_path):
  """From annotations through records and a training run, and back to them."""
  own, images = _write_coco(tmp_path)
  create_coco_tfrecord.convert(
      own, images, str(tmp_path / 'set'),
      coco_record_writer.Options(num_shards=1, num_processes=1))
  pattern, run = str(tmp_path / 'set-*.tfrecord'), str(tmp_path / 'run')
  learning = {'train__total_steps': 120, 'train__optimizer__type': 'adam',
              'train__learning_rate__init_learning_rate': .003,
              'train__save_checkpoints_steps': 1000,
              'train__train_batch_size': 6, 'architecture__num_classes': 91}
  _run('train_and_eval', run, data, '--config_file=%s' % (data / 'config.yaml'),
       train__train_file_pattern=pattern, eval__eval_file_pattern=pattern,
       eval__val_json_file=own, eval__num_steps_per_eval=1000, **learning)
  output = str(tmp_path / 'predicted.json')
  _run('predict', run, data, predict__output_file=output)
  with open(os.path.join(run, 'eval', 'metrics.json')) as f:
    metrics = json.load(f)
  assert all('Precision mAP ByCategory/%d' % i in metrics for i in _IDS)
  for path in (output, os.path.join(run, 'eval', 'detections.json')):
    with open(path) as f:
      results = json.load(f)
    assert {r['image_id'] for r in results} == {
        'scan/%d' % number for number in range(6)}
    # 90 classes could be named; the surest are of the three that there are.
    best = sorted(results, key=lambda r: -r['score'])[:18]
    assert {r['category_id'] for r in best} <= set(_IDS)
