"""Every kind of model on data at the limits of what there is.

Images of one channel, of one pixel, far larger than the network; no objects,
crowds only, more objects than there is room for; batches larger than the set.
"""

import json

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import inputs as dataloader_inputs
from tests import model_kinds
from tests import test_main
from tests.dataloader import examples
from utils import modes

_SMALL = ((4, 6), (1, 1), (1, 9))  # height and width, pixels
_LARGE = ((700, 300), (40, 1500))
_USUAL = ((50, 60), (33, 47))


def _records(name, sizes, number=2, is_crowd=0, channels=3, num_classes=4):
  """Serialized records of images of these sizes, PNG and JPEG in turn."""
  return [model_kinds.record(
      '%s_%d' % (name, i), model_kinds.image(*size, channels=channels, seed=i),
      model_kinds.objects(*size, number=number, num_classes=num_classes,
                          is_crowd=is_crowd, seed=i),
      ('PNG', 'JPEG')[i % 2]) for i, size in enumerate(sizes)]


def _odd(num_classes=4):
  """Eleven images of all sorts."""
  kinds = [('small', _SMALL, {}), ('large', _LARGE, {}),
           ('grey', _USUAL, {'channels': 1}), ('empty', _USUAL, {'number': 0}),
           ('crowds', _USUAL, {'is_crowd': 1})]
  return [record for name, sizes, changes in kinds for record in _records(
      name, sizes, num_classes=num_classes, **changes)]


def _batches(kind, mode, folder, records, batch_size):
  """[nest of arrays] of the input function of a job; one pass."""
  path = examples.write(folder / 'records', records)
  config, _ = config_factory.load_config(
      kind, None, model_kinds.content(kind), extra={
          'model_dir': str(folder), 'eval.eval_file_pattern': path,
          'train.train_file_pattern': path})
  reader = dataloader_inputs.build_input_fn(config, mode)
  with tf.Graph().as_default(), tf.Session() as session:
    batch = tf.data.make_one_shot_iterator(
        reader({'batch_size': batch_size})).get_next()
    return [session.run(batch) for _ in range(-(-len(records) // batch_size))]


_ALWAYS = {('classification', modes.TRAIN), ('mask_rcnn', modes.TRAIN),
           ('segmentation', modes.PREDICT_WITH_GT)}


@pytest.mark.parametrize('kind, mode', [
    pytest.param(kind, mode, marks=() if (kind, mode) in _ALWAYS
                 else pytest.mark.slow)
    for kind in model_kinds.KINDS for mode in modes.ALL])
def test_input(kind, mode, tmp_path):
  """Twelve places for eleven images: the last batch is filled up."""
  batches = _batches(kind, mode, tmp_path, _odd(), 4)
  assert len(batches) == 3
  for batch in batches:
    for array in tf.nest.flatten(batch):
      assert len(array) == 4
      if array.dtype.kind == 'f':
        assert np.isfinite(array).all()


class _Job:
  """A folder of records and the jobs on it, which must end well."""

  def __init__(self, folder, kind, sets, **sections):
    """Writes the records of {name: [bytes]} and the configuration."""
    self.folder, self.kind = folder, kind
    for name, records in sets.items():
      examples.write(folder / name, records)
    self._config = model_kinds.write_config(folder / 'config.yaml', kind,
                                            **sections)

  def start(self, mode, *changes):
    """The exit code of main.py."""
    return test_main._run(
        '--mode=' + mode, '--eval_once', '--model_dir=%s' % self.model_dir,
        '--data_dir=%s' % self.folder, '--config_file=%s' % self._config,
        '--params_override=' + ','.join(changes))

  @property
  def model_dir(self):
    return self.folder / 'run'

  def metrics(self, mode='eval', name='val'):
    """{metric: value} of an evaluation of the records of this name."""
    assert self.start(mode, 'eval.suffix=_' + name,
                      'eval.eval_file_pattern=' + name) == 0
    return json.loads((self.model_dir / ('eval_' + name) / 'metrics.json'
                       ).read_text())

  def predicted(self, name='val'):
    """{image id} of the detections of the records of this name."""
    path = self.folder / 'predicted.json'
    assert self.start('predict', 'predict.predict_file_pattern=' + name,
                      'predict.output_file=%s' % path) == 0
    return {r['image_id'] for r in json.loads(path.read_text())}


def _undefined(job):
  """The metrics that are undefined where nothing is to be found."""
  return {'box': ('AP',), 'box_and_mask': ('AP', 'mask_AP'),
          'shapemask_box_and_mask': ('AP', 'mask_AP')}[
              model_kinds.content(job.kind)['eval']['type']]


def _check_jobs(job):
  """Training, evaluations and predictions, batches larger than the sets."""
  metrics = job.metrics('train_and_eval')
  assert metrics['step'] == 2
  assert all(np.isfinite(v) for v in metrics.values())
  expected = {'small', 'large', 'grey', 'empty', 'crowds'}
  assert {name.split('_')[0] for name in job.predicted()} == expected
  if job.kind in model_kinds.DETECTORS:
    for name in ('empty', 'crowds'):
      found = job.metrics(name=name)
      assert all(found[key] == -1 for key in _undefined(job))


_LARGE_BATCHES = {'train': {'train_batch_size': 16},
                  'eval': {'eval_batch_size': 16},
                  'predict': {'predict_batch_size': 16}}


def _odd_job(tmp_path, kind):
  return _Job(tmp_path, kind, {
      'train': _odd(), 'val': _odd(), 'empty': _records('empty', _USUAL, 0),
      'crowds': _records('crowds', _USUAL, is_crowd=1)}, **_LARGE_BATCHES)


@pytest.mark.slow
@pytest.mark.parametrize('kind', model_kinds.KINDS)
def test_jobs(kind, tmp_path):
  _check_jobs(_odd_job(tmp_path, kind))


@pytest.mark.one_runtime('tf2')
def test_a_training_run_and_its_evaluation(tmp_path):
  """The smallest part of `test_jobs`."""
  metrics = _odd_job(tmp_path, 'retinanet').metrics('train_and_eval')
  assert metrics['step'] == 2 and np.isfinite(metrics['AP'])


@pytest.mark.slow
@pytest.mark.parametrize('kind', model_kinds.KINDS)
def test_one_class_and_no_object_at_all(kind, tmp_path):
  """Learns from background alone, and is evaluated on nothing."""
  sections = {'architecture': {'num_classes': 2}}
  if kind == 'segmentation':
    sections['segmentation_loss'] = {'class_weights': [1., 2.]}
  job = _Job(tmp_path, kind, {
      'train': _records('empty', _USUAL, 0), 'val': _records('a', _USUAL, 0),
      'one': _records('one', _USUAL, num_classes=2)}, **sections)
  metrics = job.metrics('train_and_eval')
  assert metrics['step'] == 2
  assert all(np.isfinite(v) for v in metrics.values())
  if kind in model_kinds.DETECTORS:
    assert all(metrics[key] == -1 for key in _undefined(job))
  one = job.metrics(name='one')
  figures = [one[key] for key in ('AP', 'mask_AP', 'miou', 'top_1_accuracy')
             if key in one]
  assert figures and all(0 <= figure <= 1 for figure in figures)


@pytest.mark.parametrize('kind', model_kinds.DETECTORS)
@pytest.mark.parametrize('train, val, words', [
    ('crowds', 'usual', ['all of 2 records', 'crowds']),
    ('usual', 'full', ['max_num_instances to at least 6'])])
def test_refused_before_training(kind, train, val, words, tmp_path, capsys):
  job = _Job(tmp_path, kind, {
      'crowds': _records('crowds', _USUAL, is_crowd=1),
      'usual': _records('usual', _USUAL), 'full': _records('full', _USUAL, 6)})
  assert job.start('train_and_eval', 'train.train_file_pattern=' + train,
                   'eval.eval_file_pattern=' + val) == 2
  message = capsys.readouterr().err
  assert all(word in message for word in words), message
  assert not job.model_dir.exists()


def test_images_that_segmentation_does_not_resize(tmp_path, capsys):
  job = _Job(tmp_path, 'segmentation',
             {'train': _odd(), 'val': _odd()},
             segmentation_parser={'resize_eval': False})
  assert job.start('train_and_eval') == 2
  message = capsys.readouterr().err
  assert 'output_size at least [700, 1500]' in message
  assert not job.model_dir.exists()
