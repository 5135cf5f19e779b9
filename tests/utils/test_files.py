"""Atomic writing."""

import os

import pytest

from utils import files
from utils import label_map


def test_writes_text_and_bytes_into_new_folders(tmp_path):
  path = str(tmp_path / 'a' / 'b.txt')
  files.write_atomically(path, 'one')
  files.write_atomically(path, b'two')
  with open(path) as f:
    assert f.read() == 'two'
  assert os.listdir(os.path.dirname(path)) == ['b.txt']


def test_a_failure_leaves_the_old_file(tmp_path):
  path = str(tmp_path / 'a.txt')
  files.write_atomically(path, 'old')
  with pytest.raises(RuntimeError):
    with files.atomic_path(path) as temporary:
      with open(temporary, 'w') as f:
        f.write('half')
      raise RuntimeError('interrupted')
  with open(path) as f:
    assert f.read() == 'old'
  assert os.listdir(str(tmp_path)) == ['a.txt']


def test_reads_urls(tmp_path):
  path = tmp_path / 'names.txt'
  path.write_bytes(b'1:a cat\n2:dog\n')
  with files.open_anywhere('file://%s' % path) as f:
    assert f.read() == b'1:a cat\n2:dog\n'
  assert label_map.read_label_map('file://%s' % path) == {1: 'a cat', 2: 'dog'}
  with pytest.raises(OSError, match='file://.*missing cannot be read: .*No '):
    files.open_anywhere('file://%s/missing' % tmp_path)
