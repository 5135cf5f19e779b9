"""A training run and its evaluation, each killed at any moment.

As two real processes of main.py. At the end every checkpoint is evaluated
exactly once, and a fresh evaluation of it says the same. SIDECAR_KILLS=20 in
the environment kills each twenty times, in a training run that is long enough
for it; SIDECAR_SEED=N at other moments.
"""

import collections
from concurrent import futures
import json
import os
import random

import numpy as np
import pytest

from executor import checkpoints
from executor import evaluation_files
from tests import model_kinds
from tests.dataloader import examples
from tests.faults import kills

_SAVED = 4  # steps between two checkpoints, of a quarter of a second each
_STEPS_OF_KILL = 5  # how far a run comes between two kills, about


def _configuration(folder, steps):
  for name, first in (('train', 0), ('val', 100)):
    examples.write(folder / name, [
        model_kinds.record(str(i), model_kinds.image(60, 70, seed=i),
                           model_kinds.objects(60, 70, i % 3 + 1, seed=i))
        for i in range(first, first + 6)])
  return model_kinds.write_config(
      folder / 'config.json', 'retinanet',
      train={'total_steps': steps, 'save_checkpoints_steps': _SAVED,
             'log_every_steps': 1, 'keep_checkpoint_max': 0,
             'train_file_pattern': 'train', 'seed': 1},
      eval={'eval_file_pattern': 'val', 'eval_every_checkpoint': True,
            'min_eval_interval': 0, 'eval_timeout': 600,
            'best_metric': 'model_loss', 'best_metric_mode': 'min'})


def _moments(run, draw):
  """For both jobs conditions with seconds after which the kill comes."""
  before = checkpoints.latest_step(str(run))

  def has_saved():
    return checkpoints.latest_step(str(run)) > before

  def is_pinned():
    return list(run.glob('eval/pinned.*'))

  def at_once():
    return True

  # A start takes ten seconds and more, and so does an evaluation.
  return {'training': [(has_saved, draw.random()),
                       (at_once, draw.uniform(0, 20))],
          'evaluation': [(is_pinned, draw.random()), (is_pinned, 0),
                         (is_pinned, draw.uniform(0, 10)),
                         (at_once, draw.uniform(0, 20))]}


def _kill(name, job, run, seed, num_kills):
  """Kills a job again and again; how often it was alive."""
  draw, killed = random.Random('%d %s' % (seed, name)), 0
  for _ in range(num_kills):
    moment, seconds = draw.choice(_moments(run, draw)[name])
    killed += job.kill_when(moment, seconds)
    job.start()
  return killed


@pytest.mark.slow
def test_training_and_evaluation_that_are_killed(tmp_path):
  num_kills = int(os.environ.get('SIDECAR_KILLS') or 2)
  seed = int(os.environ.get('SIDECAR_SEED') or 1)
  steps = _STEPS_OF_KILL * num_kills + _SAVED
  run, config = tmp_path / 'run', _configuration(tmp_path, steps)
  common = ['--model_dir=%s' % run, '--data_dir=%s' % tmp_path]
  jobs = {'training': kills.program(
      common + ['--mode=train', '--config_file=%s' % config],
      tmp_path / 'training.log'),
          'evaluation': kills.program(common + ['--mode=eval'],
                                      tmp_path / 'evaluation.log')}
  with futures.ThreadPoolExecutor(len(jobs)) as pool:
    killed = {name: pool.submit(_kill, name, job, run, seed, num_kills)
              for name, job in jobs.items()}
  killed = {name: future.result() for name, future in killed.items()}
  print('seed %d: killed %s' % (seed, killed))
  for name in ('training', 'evaluation'):
    jobs[name].end()
  assert min(killed.values()) >= (num_kills + 1) // 2
  _check(run, tmp_path, common, steps)


def _check(run, folder, common, steps):
  """Each one once, and as a fresh evaluation has it."""
  there = {checkpoints.fingerprint(path): checkpoints.step_of(path)
           for path in checkpoints.find_all(str(run))}
  there = {name: step for name, step in there.items() if step}
  assert max(there.values()) == steps
  lines = evaluation_files.read_evaluated(str(run / 'eval'))
  counts = collections.Counter(line.fingerprint for line in lines)
  assert {name: counts[name] for name in there} == dict.fromkeys(there, 1)
  assert not kills.litter(run) + kills.litter(run / 'eval')
  fresh = ['--mode=eval', '--params_override=eval.suffix=_fresh']
  kills.program(common + fresh, folder / 'fresh.log').end()
  again = {line.fingerprint: line.record for line in
           evaluation_files.read_evaluated(str(run / 'eval_fresh'))}
  assert set(again) == set(there)
  for line in lines:
    if line.fingerprint in again:
      names = sorted(set(line.record) - {'time', 'checkpoint_fingerprint'})
      np.testing.assert_allclose(*(
          np.array([record[name] for name in names], np.float64)
          for record in (line.record, again[line.fingerprint])),
                                 rtol=1e-5, atol=1e-6)
  best = json.loads((run / 'best' / 'best.json').read_text())
  assert best['last_step'] == steps
  assert best['best'][0]['value'] == min(
      line.record['model_loss'] for line in lines if line.fingerprint in there)
