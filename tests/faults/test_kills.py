"""Jobs that are killed at random moments come to the same end.

KILLS=N kills each job N times; `make faults` does.
"""

import os
import random
import subprocess
import sys
import time

import pytest

from modeling import checkpoint_files
from modeling import whole_checkpoint
from tests.faults import kills

_NUM_KILLS = int(os.environ.get('KILLS', 5))
_STEPS = 12
_KINDS = ('retinanet', 'mask_rcnn')


def _until_done(start, seconds, check, draw):
  """Kills a job at random moments, again and again, until it ends by itself.

  Args:
    start: () -> subprocess.Popen.
    seconds: float, how long the job takes when nobody ends it.
    check: called after each kill.
    draw: random.Random.

  Returns:
    How often it was killed.
  """
  for number in range(_NUM_KILLS):
    end = time.time() + draw.uniform(.05, 1.) * seconds
    process = start()
    if not kills.kill_at(process, lambda: time.time() > end):  # noqa: B023
      assert process.returncode == 0
      return number
    check()
  assert start().wait() == 0
  return _NUM_KILLS


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


@pytest.mark.slow
@pytest.mark.parametrize('mode', ['train', 'train_and_eval'])
@pytest.mark.parametrize('kind', _KINDS)
def test_training(tmp_path, kind, mode):
  job = ['--model=%s' % kind, '--mode=%s' % mode,
         '--params_override=eval.num_steps_per_eval=4'] + kills.write_job(
             tmp_path, kind, total_steps=_STEPS)
  log = tmp_path / 'log'
  begin = time.time()
  unbroken, killed = tmp_path / 'unbroken', tmp_path / 'killed'
  assert kills.run(job + ['--model_dir=%s' % unbroken], log) == 0
  number = _until_done(
      lambda: kills.start(job + ['--model_dir=%s' % killed], log),
      time.time() - begin, _Steps(killed), random.Random(kind + mode))
  print('%s of %s: killed %d times' % (mode, kind, number))
  assert not kills.differing(unbroken, killed)
  assert not [name for name in os.listdir(str(killed)) if 'temp' in name]
  # An evaluation that was killed between its files is made again.
  expected, found = kills.metrics(unbroken), kills.metrics(killed)
  assert set(found) == set(expected)
  for step, lines in found.items():
    assert set(lines) == set(expected[step])


@pytest.mark.slow
def test_evaluation_and_export(tmp_path):
  """What they write is there as a whole, or not at all."""
  job = kills.write_job(tmp_path, 'retinanet', total_steps=2)
  log, run = tmp_path / 'log', tmp_path / 'run'
  assert kills.run(job + ['--mode=train', '--model_dir=%s' % run], log) == 0
  evaluate = job + ['--mode=eval', '--eval_once', '--model_dir=%s' % run]

  def evaluation(suffix):
    return kills.start(
        evaluate + ['--params_override=eval.suffix=' + suffix], log)

  def export(name):
    return subprocess.Popen(
        [sys.executable, '-m', 'tools.export_saved_model',
         '--model_dir=%s' % run, '--export_dir=%s' % (tmp_path / name)],
        cwd=os.getcwd(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

  def whole_export():
    folder = tmp_path / 'b'
    assert not folder.exists() or (folder / 'saved_model.pb').exists()

  draw = random.Random(1)
  for start, names, check in ((evaluation, ('_a', '_b'), lambda: None),
                              (export, ('a', 'b'), whole_export)):
    begin = time.time()
    assert start(names[0]).wait() == 0
    _until_done(lambda: start(names[1]), time.time() - begin,  # noqa: B023
                check, draw)
  results = [(run / ('eval' + suffix) / 'detections.json').read_bytes()
             for suffix in ('_a', '_b')]
  assert results[0] == results[1]
  assert set(os.listdir(str(tmp_path / 'a'))) == set(
      os.listdir(str(tmp_path / 'b')))
