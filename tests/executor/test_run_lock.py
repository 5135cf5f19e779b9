"""Who trains in a folder."""

import os
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

from executor import errors
from executor import leftovers
from executor import run_lock
from modeling import storage
from utils import processes


@pytest.fixture(name='warnings')
def _warnings(monkeypatch):
  found = []
  monkeypatch.setattr(tf.logging, 'warning',
                      lambda text, *args: found.append(text % args))
  return found


@pytest.fixture(name='child')
def _child():
  """A process of this machine that lives as long as the test."""
  process = subprocess.Popen([sys.executable, '-c', 'input()'],
                             stdin=subprocess.PIPE)
  yield process
  process.communicate(b'\n')


def _lock(folder, **changes):
  content = dict(run_lock._this_process(), since=1000., time=1000., **changes)
  storage.write_json(run_lock.path_in(str(folder)), content)


def test_the_lock_is_there_while_it_is_held(tmp_path):
  folder = tmp_path / 'run'
  with run_lock.held(str(folder)):
    content = storage.read_json(str(folder / 'training.lock'))
    assert content['pid'] == os.getpid() and content['host']
    assert os.listdir(str(folder)) == ['training.lock']
    (folder / 'model.ckpt-0.index').write_text('')
  assert os.listdir(str(folder)) == ['model.ckpt-0.index']


def test_a_folder_made_for_nothing_goes_again(tmp_path):
  with pytest.raises(ValueError):
    with run_lock.held(str(tmp_path / 'run')):
      raise ValueError()
  assert not (tmp_path / 'run').exists()
  with run_lock.held(str(tmp_path)):
    pass
  assert tmp_path.exists()


def test_a_second_run_is_refused(tmp_path, child):
  _lock(tmp_path, pid=child.pid, started=processes.start_of(child.pid))
  with pytest.raises(errors.SetupError) as e:
    with run_lock.held(str(tmp_path)):
      pass
  for words in (str(tmp_path), 'process %d' % child.pid,
                run_lock._this_process()['host'], 'another --model_dir'):
    assert words in str(e.value)
  # The lock is still the other's.
  assert storage.read_json(run_lock.path_in(str(tmp_path)))['pid'] == child.pid


@pytest.mark.parametrize('changes', [
    {'pid': 2**22 + 5},  # more than Linux has
    {'started': 'an earlier process of this number'}, {'host': 'other'}],
                         ids=['dead', 'another process', 'silent host'])
def test_a_stale_lock_is_taken_over_with_a_note(
    tmp_path, child, warnings, changes):
  _lock(tmp_path, **dict(dict(pid=child.pid), **changes))
  with run_lock.held(str(tmp_path), clock=lambda: 1301.):
    content = storage.read_json(run_lock.path_in(str(tmp_path)))
    assert content['pid'] == os.getpid()
  assert len(warnings) == 1 and 'is taken over' in warnings[0]
  assert not os.listdir(str(tmp_path))


def test_another_host_that_was_just_seen(tmp_path):
  _lock(tmp_path, host='other')
  with pytest.raises(errors.SetupError, match='run on other'):
    with run_lock.held(str(tmp_path), clock=lambda: 1299.):
      pass


def test_half_a_lock_is_none(tmp_path):
  (tmp_path / 'training.lock').write_text('{"host": ')
  with run_lock.held(str(tmp_path)):
    pass
  assert not os.listdir(str(tmp_path))


def test_a_folder_that_cannot_be_written(tmp_path):
  (tmp_path / 'file').write_text('')
  with pytest.raises(errors.SetupError, match='cannot be written to'):
    with run_lock.held(str(tmp_path / 'file' / 'run')):
      pass


def test_unfinished_files_are_removed(tmp_path):
  folders = ['model.ckpt-3_temp_' + '0f' * 16, 'model.ckpt-4_temp']
  for folder in folders:
    (tmp_path / folder).mkdir()
    (tmp_path / folder / 'part-00000-of-00001.index').write_text('')
  names = ['checkpoint.tmp' + 'a1' * 16, 'model.ckpt-3.index.tempstate123',
           'model.ckpt-3.data-00000-of-00001.tempstate7',
           'model.ckpt-3.meta.tmp' + '1b' * 16, '.training.lock.x8_y',
           '.params.yaml.x8_y', '.run.json.ab', '.training_finished.json.ab']
  old = ['.status.json.abcdef_1', 'training.lock.77']
  kept = ['checkpoint', 'model.ckpt-2.index', 'my_temp_notes', 'temp_0f',
          'training.lock', 'training.lock.78', '.status.json.abcdef_2',
          'model.ckpt-9_temp_notes']
  for name in names + old + kept:
    (tmp_path / name).write_text('')
  for name in old:
    os.utime(str(tmp_path / name), (1e9, 1e9))
  assert sorted(leftovers.remove(str(tmp_path))) == sorted(
      names + old + folders)
  assert sorted(os.listdir(str(tmp_path))) == sorted(kept)
  assert leftovers.remove(str(tmp_path / 'missing')) == []
