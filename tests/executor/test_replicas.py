"""Replicas train as one device does: GPUs of a host, and hosts.

Virtual devices of the CPU stand for GPUs, processes on this machine for hosts.
"""

import os
import re
import signal
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import errors
from executor import model_dir as model_dir_lib
from modeling import factory
from tests import runtimes
from tests.executor import replicas
from utils import modes

_SYNC = {'batch_norm_activation__use_sync_bn': True}
_FROZEN = {'batch_norm_activation__batch_norm_trainable': False}


def _cpus(number):
  return ['/cpu:%d' % i for i in range(number)]


class _AverageOfParts:
  """A model whose losses are the averages of those of parts of the batch."""

  def __init__(self, model, number):
    self._model, self._number = model, number

  def _split(self, nest, i):
    return tf.nest.map_structure(
        lambda t: tf.split(t, self._number, axis=0)[i], nest)

  def outputs(self, images, labels, mode):
    assert mode == modes.TRAIN
    outputs = []
    for i in range(self._number):
      with tf.variable_scope(tf.get_variable_scope(), reuse=i > 0):
        outputs.append(self._model.outputs(
            self._split(images, i), self._split(labels, i), mode))
    return outputs

  def losses(self, outputs, labels, is_training):
    parts = [self._model.losses(part, self._split(labels, i), is_training)
             for i, part in enumerate(outputs)]
    return {name: tf.add_n([part[name] for part in parts]) / self._number
            for name in parts[0]}


def _one_device(model, folder, parts=1, **changes):
  """Trains; returns its folder. Next to it is `start`, where others start."""
  one = folder / 'one'
  config = replicas.config_of(model, one, **changes)
  whole = factory.build_model(config)
  replicas.train(config, model=_AverageOfParts(whole, parts)
                 if parts > 1 else whole)
  replicas.start_from(folder / 'start', one)
  return one


def _assert_same_training(actual, expected):
  """Same losses at all steps, same weights, momenta and statistics."""
  assert len(replicas.losses(expected)) == replicas.STEPS
  np.testing.assert_allclose(replicas.losses(actual),
                             replicas.losses(expected), rtol=1e-4)
  ours, theirs = replicas.weights(actual), replicas.weights(expected)
  assert set(ours) == set(theirs)
  for name, value in theirs.items():
    np.testing.assert_allclose(
        ours[name], value, rtol=0, atol=1e-4 * np.abs(value).max(),
        err_msg=name)


@pytest.fixture(name='synchronized', scope='module')
def _synchronized(tmp_path_factory):
  folder = tmp_path_factory.mktemp('synchronized')
  return folder, _one_device('classification', folder, **_SYNC)


def _train_on(folder, name, devices, model='classification', **changes):
  path = replicas.start_from(folder / name, folder / 'start')
  replicas.train(replicas.config_of(model, path, **changes), devices)
  return path


@pytest.mark.one_runtime('tf2')
def test_two_devices_with_synchronized_batch_norm(synchronized):
  folder, one = synchronized
  two = _train_on(folder, 'two', _cpus(2), **_SYNC)
  _assert_same_training(two, one)
  # And these steps do change something.
  start = tf.train.load_checkpoint(str(folder / 'start' / 'model.ckpt-0'))
  kernel = 'classification_head/dense/kernel'
  before, after = start.get_tensor(kernel), replicas.weights(one)[kernel]
  assert np.abs(after - before).max() > 1e-2 * np.abs(after).max()


@pytest.mark.slow
def test_four_devices_with_synchronized_batch_norm(synchronized):
  folder, one = synchronized
  _assert_same_training(_train_on(folder, 'four', _cpus(4), **_SYNC), one)


def _train_workers(folder, name, **changes):
  path = replicas.start_from(folder / name, folder / 'start')
  results = replicas.run_workers(folder, 2, dict(
      changes, model='classification', model_dir=str(path)))
  for code, output in results:
    assert code == 0, output[-3000:]
  return path


def _losses_of_tensorboard(path):
  """The loss of each step, as the graph summarizes it."""
  losses = [value.simple_value
            for event in tf.train.summary_iterator(str(path))
            for value in event.summary.value if value.tag == 'loss']
  assert len(losses) == replicas.STEPS
  return losses


@pytest.mark.one_runtime('tf1')
def test_two_workers_with_synchronized_batch_norm(synchronized):
  folder, one = synchronized
  two = _train_workers(folder, 'workers', **_SYNC)
  _assert_same_training(two, one)
  # One of them wrote, once.
  names = os.listdir(str(two))
  events, = [n for n in names if n.startswith('events')]
  assert not [n for n in names if n.startswith('tmp')]
  # What the graph summarizes is there too: the mean of the workers' losses.
  np.testing.assert_allclose(_losses_of_tensorboard(two / events),
                             _losses_of_tensorboard(*one.glob('events*')),
                             rtol=1e-4)


@pytest.mark.slow
def test_batch_norm_without_synchronization_differs(synchronized):
  """The tests above could not fail otherwise."""
  folder, one = synchronized
  two = _train_on(folder, 'apart', _cpus(2))
  with pytest.raises(AssertionError):
    _assert_same_training(two, one)


@pytest.mark.slow
@pytest.mark.parametrize('clip_norm', [0., .05])
def test_frozen_batch_norm(tmp_path, clip_norm):
  """The clipped norm, too, is that of the whole batch."""
  changes = dict(_FROZEN, train__gradient_clip_norm=clip_norm)
  one = _one_device('classification', tmp_path, **changes)
  for number in (2, 4):
    _assert_same_training(
        _train_on(tmp_path, str(number), _cpus(number), **changes), one)
  _assert_same_training(_train_workers(tmp_path, 'workers', **changes), one)


@pytest.mark.parametrize('model, number', [
    runtimes.only('tf2', 'retinanet', 2),
    pytest.param('retinanet', 4, marks=pytest.mark.slow),
    pytest.param('mask_rcnn', 2, marks=pytest.mark.slow)])
def test_detectors_average_over_parts_of_the_batch(tmp_path, model, number):
  """Their losses are divided by counts of the replica's own images."""
  one = _one_device(model, tmp_path, parts=number)
  several = _train_on(tmp_path, 'several', _cpus(number), model)
  _assert_same_training(several, one)


@pytest.mark.slow
def test_signal_to_one_worker_stops_all(tmp_path):
  """At the same step, with one checkpoint; then they go on."""
  arguments = dict(_FROZEN, model='classification', model_dir=str(tmp_path),
                   train__total_steps=100000)
  workers = replicas.start_workers(tmp_path, 2, arguments)
  log = model_dir_lib.train_log_path(str(tmp_path))
  while not os.path.exists(log):
    assert workers[0].poll() is None, replicas.output(tmp_path, 0)[-3000:]
    time.sleep(.5)
  workers[1].send_signal(signal.SIGTERM)
  assert [p.wait() for p in workers] == [7, 7]
  for i in range(2):
    assert 'Training was asked to stop' in replicas.output(tmp_path, i)
  step = checkpoints.latest_step(str(tmp_path))
  assert step > 0
  arguments['train__total_steps'] = step + 2
  results = replicas.run_workers(tmp_path, 2, arguments)
  assert [code for code, _ in results] == [0, 0], results[0][1][-3000:]
  assert checkpoints.latest_step(str(tmp_path)) == step + 2


@pytest.mark.slow
@pytest.mark.parametrize('number, killed', [(2, 1), (3, 2), (3, 0)])
def test_a_worker_that_is_killed_ends_all(tmp_path, number, killed):
  """The others name it, and do not wait forever; the first one, too."""
  arguments = dict(_FROZEN, model='classification', model_dir=str(tmp_path),
                   train__train_batch_size=3 * number,
                   train__total_steps=100000)
  workers = replicas.start_workers(tmp_path, number, arguments)
  log = model_dir_lib.train_log_path(str(tmp_path))
  while not os.path.exists(log):
    assert workers[0].poll() is None, replicas.output(tmp_path, 0)[-3000:]
    time.sleep(.5)
  workers[killed].kill()
  assert workers[killed].wait() == -signal.SIGKILL
  for i in set(range(number)) - {killed}:
    code, output = workers[i].wait(timeout=300), replicas.output(tmp_path, i)
    assert code == errors.Stalled.exit_code, output[-5000:]
    [line] = [line for line in output.split('\n')
              if line.startswith('Error: ')]
    assert re.match(r'Error: Lost: worker %d \(127\.0\.0\.1:\d+\)' % killed,
                    line), line
    assert 'The last lines of that worker say why' in line


@pytest.mark.slow
def test_workers_that_start_from_different_steps(tmp_path):
  """All say so instead of averaging the gradients of other models."""
  start, other = tmp_path / 'start', tmp_path / 'other'
  replicas.train(replicas.config_of('classification', start, **_FROZEN),
                 max_steps=1)
  replicas.start_from(other, start)
  results = replicas.run_workers(
      tmp_path, 2, dict(_FROZEN, model='classification', model_dir=''),
      environments=[{'REPLICAS_MODEL_DIR': str(start)},
                    {'REPLICAS_MODEL_DIR': str(other)}])
  for code, output in results:
    assert code == 2 and 'one folder that all workers share' in output


@pytest.mark.slow
def test_nan_of_one_worker_stops_all(tmp_path):
  results = replicas.run_workers(
      tmp_path, 2, dict(_FROZEN, model='classification',
                        model_dir=str(tmp_path / 'run')),
      environments=[{}, {'REPLICAS_NAN_STEP': '2'}])
  for code, output in results:
    assert code == 4 and 'Training diverged at step 3' in output
  assert checkpoints.latest_step(str(tmp_path / 'run')) == 0
