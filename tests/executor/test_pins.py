"""What holds a checkpoint, and what is left of holders that were killed."""

import os
import socket
import subprocess
import sys

import tensorflow.compat.v1 as tf

from executor import pins
from tests.executor import toy


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
