"""Tests of tools/datasets/staged_files.py."""

import os
import time

import pytest

from dataloader import decoding
from dataloader import file_patterns
from dataloader import sessions
from tests.dataloader import examples
from tools.datasets import staged_files


def _names(folder):
  return sorted(os.listdir(str(folder)))


def test_files_appear_together(tmp_path):
  prefix = str(tmp_path / 'new' / 'train')
  with staged_files.StagedFiles(prefix) as files:
    for i in range(2):
      with open(files.stage('%s-%d.tfrecord' % (prefix, i)), 'w') as f:
        f.write('record %d' % i)
    files.write(prefix + '-index.json', '{}')
    assert not [n for n in _names(tmp_path / 'new') if n[0] != '.']
    files.commit()
  assert _names(tmp_path / 'new') == ['train-0.tfrecord', 'train-1.tfrecord',
                                      'train-index.json']
  assert (tmp_path / 'new' / 'train-1.tfrecord').read_text() == 'record 1'


@pytest.mark.parametrize('pattern', ['train*', '*.tfrecord', '*-of-*',
                                     '*'])
def test_no_reader_sees_a_staged_file(tmp_path, pattern):
  prefix = str(tmp_path / 'train')
  with staged_files.StagedFiles(prefix) as files:
    files.write(prefix + '-00000-of-00001.tfrecord', '')
    assert len(_names(tmp_path)) == 1
    with pytest.raises(ValueError, match='no file matches'):
      file_patterns.expand(str(tmp_path / pattern), 'key')


def test_nothing_stays_of_a_failure(tmp_path):
  (tmp_path / 'train-0').write_text('old')
  prefix = str(tmp_path / 'train')
  with pytest.raises(KeyError):
    with staged_files.StagedFiles(prefix) as files:
      files.write(prefix + '-0', 'new')
      files.stage(prefix + '-1')
      raise KeyError()
  assert _names(tmp_path) == ['train-0']
  assert (tmp_path / 'train-0').read_text() == 'old'


def test_leavings_of_a_killed_run_are_removed(tmp_path):
  """Those of this prefix, not those of one that begins with it."""
  for name in ('train', 'train-more'):
    files = staged_files.StagedFiles(str(tmp_path / name))
    files.__enter__()
    files.write(str(tmp_path / (name + '-0')), '')
  assert len(_names(tmp_path)) == 2
  with staged_files.StagedFiles(str(tmp_path / 'train')):
    name, = _names(tmp_path)
    assert 'train-more' in name


def test_prefix_in_the_current_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with staged_files.StagedFiles('train') as files:
    files.write('train-0', 'text')
    files.commit()
  assert _names(tmp_path) == ['train-0']


@pytest.fixture(autouse=True)
def no_session(monkeypatch):
  """As in a converter that begins, whatever ran before in this process."""
  monkeypatch.setattr(sessions, 'had_one', lambda: False)


def test_work_after_a_session_is_not_forked(monkeypatch):
  """A session in a forked process would wait forever."""
  monkeypatch.undo()
  encoded = examples.encode(examples.image(8, 9))
  assert decoding.size(encoded) == (8, 9) and sessions.had_one()
  results = staged_files.map_in_processes(
      lambda i: (os.getpid(), decoding.size(encoded)), [0] * 9, 2)
  assert list(results) == [(os.getpid(), (8, 9))] * 9


@pytest.mark.parametrize('num_processes', [None, 1, 2, 5])
def test_results_in_the_order_of_the_tasks(num_processes):
  """The function need not be picklable; early tasks take longest."""
  def square(i):
    time.sleep(.05 if i == 0 else 0)
    return i * i
  tasks = list(range(100))
  results = staged_files.map_in_processes(square, tasks, num_processes)
  assert list(results) == [i * i for i in tasks]


def test_no_tasks():
  assert list(staged_files.map_in_processes(str, [], 4)) == []


def test_other_processes_do_the_work():
  pids = set(staged_files.map_in_processes(lambda _: os.getpid(), [0] * 9, 2))
  assert os.getpid() not in pids and 1 <= len(pids) <= 2


@pytest.mark.parametrize('num_processes', [1, 2])
def test_error_of_a_task_is_raised(num_processes):
  def fail(i):
    if i == 3:
      raise ValueError('task %d' % i)
    return i
  results = staged_files.map_in_processes(fail, list(range(9)), num_processes)
  assert [next(results) for _ in range(3)] == [0, 1, 2]
  with pytest.raises(ValueError, match='task 3'):
    next(results)


def test_dead_process_is_told():
  """multiprocessing.Pool would wait for it forever."""
  def die(i):
    if i == 2:
      os._exit(1)
    return i
  with pytest.raises(ChildProcessError, match='--num_processes'):
    list(staged_files.map_in_processes(die, list(range(9)), 2))
