"""Jobs that are killed at random moments come to the same end.

KILLS=N kills each job N times, KILL_SEED=M at other moments; `make faults`
does. The more kills, the longer a training run: all of them come while it runs.
"""

import json
import os
import random
import shutil
import time

import pytest
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2

from modeling import checkpoint_files
from modeling import whole_checkpoint
from tests import programs
from tests.faults import kills

_NUM_KILLS = int(os.environ.get('KILLS') or 5)
_SEED = os.environ.get('KILL_SEED') or '1'
_STEPS, _STEPS_OF_KILL = 12, 4  # It comes two steps further between two kills.
_KINDS = ('retinanet', 'mask_rcnn')


def _at_once():
  return True


def _killed(start, moments, check, when_ended=None):
  """Kills a job again and again, and lets it come to its end.

  Args:
    start: () -> programs.Program.
    moments: () -> (() -> bool, seconds after it that the kill comes).
    check: called after each kill.
    when_ended: called when a job was faster than its kill, which then counts
      nothing; None: that must not be.
  """
  number = 0
  while number < _NUM_KILLS:
    program = start()
    if program.kill_when(*moments()):
      number += 1
      check()
    else:
      assert when_ended, 'It ended after %d kills:\n%s' % (number, program.text)
      program.end()
      when_ended()
  start().end()


class _Steps:
  """Checks that what was saved stays, and is whole."""

  def __init__(self, model_dir):
    self._model_dir, self._step = str(model_dir), 0

  def __call__(self):
    path = whole_checkpoint.newest(self._model_dir)
    assert path == checkpoint_files.latest(self._model_dir)
    step = checkpoint_files.step_of(path) if path else 0
    assert step >= self._step
    self._step = step


class _MomentsOfTraining:
  """Moments of the start, or of the steps behind those that were made."""

  def __init__(self, model_dir, start, step, draw):
    """Keeps how long a start and a step take, in seconds."""
    self._model_dir = model_dir
    self._start, self._step, self._draw = start, step, draw

  def __call__(self):
    before = kills.step_reached(self._model_dir)
    if self._draw.random() < .4:
      return _at_once, self._draw.uniform(0, self._start)
    return (lambda: kills.step_reached(self._model_dir) > before,
            self._draw.uniform(0, 6 * self._step))


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['train', 'train_and_eval'])
@pytest.mark.parametrize('kind', _KINDS)
def test_training(tmp_path, kind, mode):
  steps = _STEPS + _STEPS_OF_KILL * _NUM_KILLS
  job = ['--model=%s' % kind, '--mode=%s' % mode,
         '--params_override=eval.num_steps_per_eval=4'] + kills.write_job(
             tmp_path, kind, total_steps=steps)
  log = tmp_path / 'log'
  unbroken, killed = tmp_path / 'unbroken', tmp_path / 'killed'
  begin = time.monotonic()
  program = kills.program(job + ['--model_dir=%s' % unbroken], log)
  assert program.wait_for(lambda: kills.step_reached(unbroken)), program.text
  first = time.monotonic()
  program.end()
  moments = _MomentsOfTraining(
      killed, first - begin, (time.monotonic() - first) / steps,
      random.Random(kind + mode + _SEED))
  _killed(lambda: kills.program(job + ['--model_dir=%s' % killed], log),
          moments, _Steps(killed))
  assert not kills.differing(unbroken, killed)
  assert not kills.litter(killed)
  # An evaluation that was killed between its files is made again.
  expected, found = kills.metrics(unbroken), kills.metrics(killed)
  assert set(found) == set(expected)
  for step, lines in found.items():
    assert set(lines) == set(expected[step])


@pytest.fixture(name='trained', scope='module')
def _trained(tmp_path_factory):
  """(arguments of main.py, model_dir) of a training run that has ended."""
  folder = tmp_path_factory.mktemp('trained')
  job = kills.write_job(folder, 'retinanet', total_steps=2)
  run = folder / 'run'
  job.append('--model_dir=%s' % run)
  kills.program(job + ['--mode=train'], folder / 'log').end()
  return job, run


def _moments(seconds, is_there, draw):
  """Any moment of a job, or one after something is there.

  Args:
    seconds: float, how long the job takes.
    is_there: [() -> bool].
    draw: random.Random.

  Returns:
    () -> (() -> bool, seconds).
  """
  def moment():
    is_time = draw.choice([_at_once] + is_there)
    # What takes half of a job begins when its programs are loaded.
    return is_time, draw.uniform(0, seconds if is_time is _at_once
                                 else draw.choice([0., .05, .3 * seconds]))
  return moment


def _results(folder):
  """What an evaluation has written so far, without times."""
  found = {}
  for name in ('metrics.json', 'detections.json'):
    if (folder / name).exists():
      found[name] = json.loads((folder / name).read_text())
  found.get('metrics.json', {}).pop('time', None)
  return found


@pytest.mark.slow
def test_evaluation(trained, tmp_path):
  """What it writes is there completely, or not at all."""
  job, run = trained
  log = tmp_path / 'log'

  def evaluation(suffix):
    return kills.program(job + [
        '--mode=eval', '--eval_once',
        '--params_override=eval.suffix=' + suffix], log)

  begin = time.monotonic()
  evaluation('_unbroken').end()
  seconds = time.monotonic() - begin
  unbroken, killed = run / 'eval_unbroken', run / 'eval_killed'
  expected = _results(unbroken)
  assert set(expected) == {'metrics.json', 'detections.json'}

  def check():
    found = _results(killed) if killed.exists() else {}
    assert found == {name: expected[name] for name in found}

  _killed(lambda: evaluation('_killed'), _moments(seconds, [
      lambda: any(killed.glob('pinned.*/*.index')),
      lambda: any(killed.glob('.*.json.*'))], random.Random(_SEED)), check,
          check)
  assert _results(killed) == expected
  assert not kills.litter(killed)
  assert ([name for name in sorted(os.listdir(str(unbroken)))
           if 'tfevents' not in name]
          == [name for name in sorted(os.listdir(str(killed)))
              if 'tfevents' not in name])


def _content(folder):
  """(files, signatures, {variable: bytes}) of a SavedModel."""
  model = saved_model_pb2.SavedModel.FromString(
      (folder / 'saved_model.pb').read_bytes())
  reader = tf.train.load_checkpoint(str(folder / 'variables' / 'variables'))
  return (sorted(str(path.relative_to(folder))
                 for path in folder.glob('**/*')),
          [graph.signature_def for graph in model.meta_graphs],
          {name: reader.get_tensor(name).tobytes()
           for name in reader.get_variable_to_shape_map()})


@pytest.mark.slow
def test_export(trained, tmp_path):
  """There is no folder before it is complete, and nothing besides."""
  _, run = trained
  exports = tmp_path / 'exports'
  unbroken, killed = exports / 'unbroken', exports / 'killed'

  def export(folder):
    # It has compared itself with the checkpoint when it ends well.
    return programs.Program(
        tmp_path / 'log', '-m', 'tools.export_saved_model',
        '--model_dir=%s' % run, '--export_dir=%s' % folder)

  begin = time.monotonic()
  export(unbroken).end()
  seconds = time.monotonic() - begin
  expected = _content(unbroken)
  _killed(lambda: export(killed), _moments(seconds, [
      lambda: any(exports.glob('.killed.*')),
      lambda: any(exports.glob('.killed.*/saved_model.pb'))],
                                           random.Random(_SEED)),
          lambda: killed.exists() and pytest.fail('It is there too early.'),
          lambda: shutil.rmtree(str(killed)))
  assert _content(killed) == expected
  assert sorted(os.listdir(str(exports))) == ['killed', 'unbroken']
