"""Atomic writing."""

import os
import re
import subprocess
import sys

import pytest

from utils import files
from utils import label_map
from utils import processes
from utils import unfinished


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


def test_what_killed_writers_left_is_removed(tmp_path):
  ended = subprocess.Popen([sys.executable, '-c', ''])
  ended.wait()
  mine = unfinished.prefix('b.c')
  dead = mine.replace('.%d-' % os.getpid(), '.%d-' % ended.pid)
  later = re.sub(r'-\d+\.$', '-1.', mine)  # this pid, of an earlier process
  here = mine.split('.')[3]
  far, far_and_old = (mine.replace(here, name) for name in ('far', 'old'))
  names = [name + 'x8_yabcd' for name in (mine, dead, later, far, far_and_old)]
  for name in names + ['.b.c.x8_yabcd', '.profile']:
    (tmp_path / name).write_text('half')
  (tmp_path / (dead + 'new')).mkdir()
  os.utime(str(tmp_path / names[-1]), (1e9, 1e9))
  files.write_atomically(str(tmp_path / 'a.txt'), 'new')
  assert sorted(os.listdir(str(tmp_path))) == sorted([
      'a.txt', '.b.c.x8_yabcd', '.profile', dead + 'new', names[0], names[3]]
      + ([] if processes.start_of(os.getpid()) else [names[2]]))


def test_names_of_unfinished_files():
  name = unfinished.prefix('/x/' + 'a' * 300) + 'new'
  assert len(name) < 255 - 8
  assert unfinished.is_of(name, '/y/' + 'a' * 300)
  assert not unfinished.is_of(name, 'a') and not unfinished.is_of('a', 'a')


def test_reads_urls(tmp_path):
  path = tmp_path / 'names.txt'
  path.write_bytes(b'1:a cat\n2:dog\n')
  with files.open_anywhere('file://%s' % path) as f:
    assert f.read() == b'1:a cat\n2:dog\n'
  assert label_map.read_label_map('file://%s' % path) == {1: 'a cat', 2: 'dog'}
  with pytest.raises(OSError, match='file://.*missing cannot be read: .*No '):
    files.open_anywhere('file://%s/missing' % tmp_path)


@pytest.fixture
def folder(tmp_path):
  """Folder images/ with files and a link out of it, a file next to it."""
  (tmp_path / 'images' / 'sub').mkdir(parents=True)
  for name in ('images/sub/a.jpg', 'images/b.jpg', 'secret.jpg'):
    (tmp_path / name).write_bytes(name.encode())
  (tmp_path / 'images' / 'link.jpg').symlink_to(str(tmp_path / 'secret.jpg'))
  (tmp_path / 'images' / 'up').symlink_to(str(tmp_path / 'images' / 'sub'))
  (tmp_path / 'images2').mkdir()
  return tmp_path / 'images'


@pytest.mark.parametrize('name', [
    'b.jpg', 'sub/a.jpg', 'sub/../b.jpg', './b.jpg', 'link.jpg',
    '{folder}/b.jpg', '{folder}/sub/a.jpg', 'up/../b.jpg', 'a..b.jpg'])
def test_names_within_a_folder(folder, name):
  name = name.format(folder=folder)
  assert files.path_within(str(folder), name) == os.path.join(str(folder), name)
  assert files.path_within(str(folder) + '/', name)


@pytest.mark.parametrize('name', [
    '../secret.jpg', 'sub/../../secret.jpg', '{folder}/../secret.jpg',
    '/etc/passwd', '{folder}2/x.jpg', 'gs://bucket/x.jpg', '', '.',
    'up/../../x'])
def test_names_that_lead_out_of_a_folder(folder, name):
  with pytest.raises(OSError, match='leads out of the folder'):
    files.path_within(str(folder), name.format(folder=folder))


def test_an_absolute_name_of_a_folder_behind_a_link(folder):
  link = folder.parent / 'link'
  link.symlink_to(str(folder))
  assert files.path_within(str(link), str(folder / 'b.jpg'))
  assert files.path_within(str(folder), str(link / 'b.jpg'))


@pytest.mark.parametrize('name, is_inside', [
    ('a.jpg', True), ('sub/a.jpg', True), ('gs://bucket/set/a.jpg', True),
    ('../a.jpg', False), ('sub/../../a.jpg', False), ('/a.jpg', False),
    ('gs://bucket/other/a.jpg', False), ('gs://bucket/set/../a.jpg', False)])
def test_names_within_a_bucket(name, is_inside):
  if is_inside:
    assert files.path_within('gs://bucket/set', name).startswith('gs://bucket/s')
  else:
    with pytest.raises(OSError, match='leads out of the folder'):
      files.path_within('gs://bucket/set', name)
