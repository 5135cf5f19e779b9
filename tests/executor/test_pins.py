"""What holds a checkpoint, and what is left of holders that were killed."""

import os
import socket
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

from executor import pins
from tests.executor import toy
from utils import processes


def test_links_and_copies_where_there_are_none(tmp_path, monkeypatch):
  path = toy.save_checkpoint(tmp_path, 5, w=[3.])
  for links in (True, False):
    if not links:
      def refuse(*unused):
        raise OSError('not supported')
      monkeypatch.setattr(os, 'link', refuse)
    with pins.pinned(path, str(tmp_path / 'eval')) as held:
      assert os.path.samefile(held + '.index', path + '.index') == links
      assert tf.train.load_checkpoint(held).get_tensor('w') == [3.]
    assert os.listdir(str(tmp_path / 'eval')) == []


@pytest.mark.parametrize('now, noted, is_alive', [
    ('7', '7', True), ('7', '6', False), ('7', None, True), (None, '7', True)])
def test_processes_of_other_users_live(monkeypatch, now, noted, is_alive):
  """They refuse signals; their start tells them from later ones."""
  def refuse(pid, number):
    assert (pid, number) == (12345, 0)
    raise PermissionError(1, 'Operation not permitted')

  monkeypatch.setattr(os, 'kill', refuse)
  monkeypatch.setattr(processes, 'start_of', lambda pid: now)
  assert processes.lives(12345, noted) == is_alive


def test_this_process_lives_and_no_other_of_its_number():
  started = processes.start_of(os.getpid())
  assert processes.lives(os.getpid(), started)
  assert started is None or not processes.lives(os.getpid(), started + '0')
  assert not processes.lives(2**22 + 5)  # more than Linux has
  assert not processes.lives(2**70)


def test_what_killed_holders_left(tmp_path):
  ended = subprocess.Popen([sys.executable, '-c', ''])
  ended.wait()
  living = subprocess.Popen(['sleep', '60'])
  try:
    here = socket.gethostname()
    names = ['pinned.%s.%d' % (here, ended.pid), 'pinned.elsewhere.3',
             'pinned.elsewhere.4', 'pinned.%s.%d' % (here, living.pid)]
    for name in names:
      (tmp_path / name).mkdir()
      (tmp_path / name / 'owner').write_text('x')
    (tmp_path / 'metrics.json').write_text('{}')
    os.utime(str(tmp_path / names[1] / 'owner'), (1e9, 1e9))
    pins.remove_left(str(tmp_path))
    assert sorted(os.listdir(str(tmp_path))) == sorted(
        ['metrics.json'] + names[2:])
  finally:
    living.kill()
    living.wait()
