"""Small files: replaced in one step, read though the writer was killed."""

import os
import re
import signal
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

from modeling import storage
from utils import processes
from utils import unfinished


def test_json_lines(tmp_path):
  path = str(tmp_path / 'new' / 'log.jsonl')
  assert storage.read_json_lines(path) == []
  storage.append_json_line(path, {'step': 1})
  storage.append_json_line(path, {'step': 2})
  with open(path, 'a') as f:
    f.write('{"step": 3, "AP"')
  assert storage.read_json_lines(path) == [{'step': 1}, {'step': 2}]


def test_append_after_a_line_that_was_cut_off(tmp_path):
  path = str(tmp_path / 'log.jsonl')
  with open(path, 'w') as f:
    f.write('{"step": 1}\n{"st')
  storage.append_json_line(path, {'step': 2})
  assert storage.read_json_lines(path) == [{'step': 1}, {'step': 2}]


def test_output_is_not_there_before_it_is_complete(tmp_path):
  path = str(tmp_path / 'out.json')
  with pytest.raises(ValueError):
    storage.write_json(path, float('nan'))
  with pytest.raises(RuntimeError):
    with storage.output_path(path) as temporary:
      with open(temporary, 'w') as f:
        f.write('half')
      raise RuntimeError()
  assert os.listdir(str(tmp_path)) == []


def test_urls_go_through_a_local_file(tmp_path):
  """In folders that do not exist yet."""
  path = 'file://%s/new/deep/a.json' % tmp_path
  storage.write_json(path, [1])
  assert storage.read_json(path) == [1]
  with storage.input_path(path) as local:
    assert '://' not in local
    with open(local) as f:
      assert f.read() == '[\n 1\n]\n'
  with storage.input_path(str(tmp_path)) as path:
    assert path == str(tmp_path)


def test_a_url_that_cannot_be_written_fails_before_the_work(tmp_path):
  (tmp_path / 'file').write_text('')
  began = []
  with pytest.raises(tf.errors.OpError):
    with storage.output_path('file://%s/file/b/a.json' % tmp_path):
      began.append(1)
  assert not began


def _write(folder, content):
  """What `replaced_folder` makes of a folder with one file."""
  with storage.replaced_folder(str(folder)) as temporary:
    os.makedirs(temporary)
    with open(os.path.join(temporary, 'a'), 'w') as f:
      f.write(content)
      f.flush()
      os.fsync(f.fileno())


_KILLED = """
import os, signal
from modeling import storage
with storage.replaced_folder(%r) as temporary:
  os.makedirs(temporary)
  open(os.path.join(temporary, 'a'), 'w').write('half')
  os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_folder_whose_writer_was_killed(tmp_path):
  """Those of living processes and of other folders are left alone."""
  folder = tmp_path / 'b'
  done = subprocess.run([sys.executable, '-c', _KILLED % str(folder)],
                        stderr=subprocess.PIPE)
  assert done.returncode == -signal.SIGKILL, done.stderr
  left, = os.listdir(str(tmp_path))
  assert left.startswith('.b.') and left.endswith('.new')
  parent = os.getppid()
  others = [left.replace('.b.', '.bb.', 1), re.sub(
      r'\d+-\d*\.new$', '%d-%s.new' % (
          parent, processes.start_of(parent) or ''), left)]
  for name in others:
    (tmp_path / name).mkdir()
  _write(folder, 'new')
  assert (folder / 'a').read_text() == 'new'
  assert sorted(os.listdir(str(tmp_path))) == sorted(others + ['b'])


def test_a_writer_killed_between_the_old_folder_and_the_new_one(tmp_path):
  """The old one is put back, before anything else fails."""
  folder = tmp_path / 'b'
  mine = unfinished.prefix(str(folder))
  dead = mine.replace('.%d-' % os.getpid(), '.%d-' % (2**22 + 5))
  for ending in ('old', 'new'):
    (tmp_path / (dead + ending)).mkdir()
    (tmp_path / (dead + ending) / 'a').write_text(ending)
  with pytest.raises(RuntimeError):
    with storage.replaced_folder(str(folder)):
      raise RuntimeError()
  assert os.listdir(str(tmp_path)) == ['b']
  assert (folder / 'a').read_text() == 'old'
  storage.restore_folder(str(tmp_path / 'missing' / 'b'))
