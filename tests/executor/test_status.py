"""What the status of a folder says, and that nothing in it stops that."""

import itertools
import json
import os
import threading
import time
import types

import pytest

from executor import best_checkpoint
from executor import estimator as estimator_lib
from executor import evaluation_files
from executor import hooks
from executor import jobs
from executor import model_dir as model_dir_lib
from executor import run_lock
from executor import status
from modeling import storage
from tests.executor import toy
from tools import status as tool


def _folder(tmp_path):
  """A run at step 4 of 6, evaluated twice, and its configuration."""
  config = toy.config(tmp_path, eval__best_metric='AP')
  model_dir_lib.save_config(config)
  log = model_dir_lib.train_log_path(str(tmp_path))
  for step in (2, 4):
    storage.append_json_line(log, {
        'step': step, 'time': 1000. + step, 'steps_per_second': .5,
        'images_per_second': 2., 'model_loss': 8. / step, 'one': 1.})
    path = toy.save_checkpoint(tmp_path, step, w=[0.])
    os.utime(path + '.index', (1000., 1000.))
    best_checkpoint.update(config, path, {'AP': .1 * step})
  evaluation_files.ResultWriter(str(tmp_path / 'eval')).write(
      4, {'AP': .4, 'Precision mAP ByCategory/1': .4})
  return config


def test_status_of_a_run_that_is_evaluated(tmp_path):
  config = _folder(tmp_path)
  status.Voice(config, lambda: 1010.).say('waiting', 'a checkpoint')
  with run_lock.held(str(tmp_path)):
    content = status.collect(str(tmp_path), 1010.)
  training = content['training']
  assert (training['state'], training['step'], training['total_steps'],
          training['seconds_left']) == ('running', 4, 6, 4.)
  assert training['losses'] == {'model_loss': 2.}
  assert content['checkpoint']['step'] == 4
  [evaluation] = content['evaluations']
  assert (evaluation['state'], evaluation['doing'], evaluation['step']) == (
      'waiting', 'a checkpoint', 4)
  assert evaluation['metrics'] == {'AP': .4}
  assert (evaluation['best']['step'], evaluation['best']['metric']) == (4, 'AP')
  assert content['problems'] == []
  text = tool.format_text(content, 1010.)
  for words in ('Training: running, step 4 of 6 (6 s ago)', 'model_loss 2',
                'Evaluation: waits for a checkpoint', 'last: step 4, AP 0.4',
                'best: step 4, AP 0.4', 'Problems: none'):
    assert words in text, text
  written = json.loads((tmp_path / 'status.json').read_text())
  assert written['evaluations'] == content['evaluations']


def test_a_run_tells_its_end_if_it_had_begun(tmp_path):
  parts = types.SimpleNamespace(is_chief=True, config=toy.config(
      tmp_path / 'new'))
  with jobs._alone(parts):
    pass
  assert not (tmp_path / 'new').exists()
  (tmp_path / 'run').mkdir()
  parts.config = _folder(tmp_path / 'run')
  with jobs._alone(parts):
    model_dir_lib.mark_finished(parts.config.model_dir, 6, 'finished')
  content = json.loads((tmp_path / 'run' / 'status.json').read_text())
  assert (content['training']['state'], content['training']['step']) == (
      'finished', 6)


def test_a_run_tells_beside_its_steps(tmp_path, monkeypatch):
  """Between two of them nobody lists the folder; the lock's thread does."""
  callers, collect = [], status.collect

  def noting(*arguments):
    callers.append(threading.current_thread().name)
    return collect(*arguments)

  monkeypatch.setattr(status, 'collect', noting)
  monkeypatch.setattr(run_lock, '_REFRESH_SECONDS', .05)
  path = tmp_path / 'status.json'
  clock = itertools.count(0, 3600)  # Every step takes an hour.
  config = toy.config(tmp_path)
  model_dir_lib.save_config(config)
  hook = hooks.TrainingHook(config, 1, str(tmp_path / 'log.jsonl'),
                            lambda: next(clock))
  with jobs._alone(types.SimpleNamespace(is_chief=True, config=config)):
    estimator_lib.build_estimator(config, toy.model_fn).train(
        lambda: toy.input_fn({'batch_size': 4}), hooks=[hook], steps=3)
    _wait_for(path.exists)
    content = json.loads(path.read_text())
    assert set(callers) == {'run lock'}
  assert content['training']['state'] == 'running'
  assert content['training']['total_steps'] == 6


def _wait_for(is_so):
  end = time.time() + 60
  while not is_so():
    assert time.time() < end
    time.sleep(.01)


def test_a_status_that_fails_leaves_the_lock_fresh(tmp_path, monkeypatch):
  calls = []

  def fail(*unused):
    calls.append(time.time())
    raise KeyError('a damaged file that nobody thought of')

  monkeypatch.setattr(status, 'tell', fail)
  monkeypatch.setattr(run_lock, '_REFRESH_SECONDS', .05)
  with run_lock.held(str(tmp_path), on_beat=lambda: status.tell('', 0.)):
    _wait_for(lambda: len(calls) > 1)
    seen = run_lock.read(str(tmp_path))['time']
    _wait_for(lambda: run_lock.read(str(tmp_path))['time'] > seen)


def test_problems_are_told(tmp_path):
  config = _folder(tmp_path)
  lock = {'host': 'elsewhere', 'pid': 5, 'since': 900., 'time': 1000.}
  (tmp_path / 'training.lock').write_text(json.dumps(lock))
  status.Voice(config, lambda: 1010.).say(
      'waiting', 'a checkpoint', ('model.ckpt-5 cannot be read',))
  status.Voice(toy.config(tmp_path, eval__suffix='_b'), lambda: 6000.).say(
      'ended', 'time-out')
  path = toy.save_checkpoint(tmp_path, 5, w=[0.])
  os.utime(path + '.index', (9000., 9000.))
  content = status.collect(str(tmp_path), 6000.)
  assert content['training']['state'] == 'ended without a word'
  assert [e['suffix'] for e in content['evaluations']] == ['', '_b']
  text = '\n'.join(content['problems'])
  for words in ('on elsewhere (process 5) has ended without a word',
                'ckpt-5 cannot be read', 'has not reported for 4990 s',
                'Clocks disagree: the newest checkpoint lies 3000 s in'):
    assert words in text, text
  model_dir_lib.mark_finished(str(tmp_path), 4, 'diverged')
  content = status.collect(str(tmp_path), 6000.)
  assert content['training']['state'] == 'diverged'


@pytest.mark.parametrize('content', [b'', b'\xff\x00', b'[]', b'{"best": [{'])
def test_status_of_a_folder_full_of_damage(tmp_path, content):
  _folder(tmp_path)
  for name in ('params.yaml', 'train_metrics.jsonl', 'training_finished.json',
               'early_stop.json', 'training.lock', 'best/best.json',
               'eval/metrics.json', 'eval/status.json', 'checkpoint'):
    (tmp_path / name).write_bytes(content)
  told = status.collect(str(tmp_path), 1010.)
  assert told['checkpoint']['step'] == 4
  json.dumps(told, allow_nan=False)
  tool.format_text(told, 1010.)


def test_a_voice_writes_changes_and_beats(tmp_path):
  now = [0.]
  voice = status.Voice(toy.config(tmp_path), lambda: now[0])
  written = []
  for when, state in ((0, 'waiting'), (10, 'waiting'), (29, 'waiting'),
                      (31, 'waiting'), (32, 'evaluating'), (20, 'evaluating'),
                      (-100, 'evaluating')):  # The clock was set back.
    now[0] = when
    voice.say(state, 'x')
    content = json.loads((tmp_path / 'eval' / 'status.json').read_text())
    written.append((content['time'], content['since']))
  assert written == [(0, 0), (0, 0), (0, 0), (31, 0), (32, 32), (32, 32),
                     (-100, 32)]


def test_a_status_that_cannot_be_written_stops_nothing(tmp_path):
  (tmp_path / 'eval').write_text('a file in the place of the folder')
  status.Voice(toy.config(tmp_path)).say('waiting', 'x')


def test_command(tmp_path, capsys):
  _folder(tmp_path)
  assert tool.main([str(tmp_path), '--json']) == 0
  assert json.loads(capsys.readouterr().out)['checkpoint']['step'] == 4
  model_dir_lib.mark_finished(str(tmp_path), 4, 'diverged')
  assert tool.main([str(tmp_path)]) == 1
  assert 'diverged after step 4' in capsys.readouterr().out
  assert tool.main([str(tmp_path / 'nowhere')]) == 2
