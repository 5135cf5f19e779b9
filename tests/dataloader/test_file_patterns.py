"""Patterns to record files; see test_input_reader.py for the reader's use."""

import pytest

from dataloader import file_patterns


@pytest.fixture(name='folder')
def _folder(tmp_path):
  for name in ('b-1.tfrecord', 'b-0.tfrecord', 'a-0.tfrecord', 'b-2'):
    (tmp_path / name).write_text('x')
  for name in ('b-index.json', 'b-label_map.csv', 'b-notes.txt'):
    (tmp_path / name).write_text('x')
  (tmp_path / 'b-folder').mkdir()
  return str(tmp_path) + '/'


def _names(paths, folder):
  assert all(path.startswith(folder) for path in paths)
  return [path[len(folder):] for path in paths]


def test_glob_is_sorted(folder):
  assert _names(file_patterns.glob(folder + '*.tfrecord'), folder) == [
      'a-0.tfrecord', 'b-0.tfrecord', 'b-1.tfrecord']


@pytest.mark.parametrize('pattern', ['no_such_folder/*', 'nothing*'])
def test_glob_without_a_match_is_empty(folder, pattern):
  assert file_patterns.glob(folder + pattern) == []


def test_only_records_are_taken(folder):
  """Not the files of a converter beside them, and no folder."""
  assert _names(file_patterns.expand(folder + 'b-*', 'key'), folder) == [
      'b-0.tfrecord', 'b-1.tfrecord', 'b-2']


@pytest.mark.parametrize('patterns', [
    '{0}b-*.tfrecord,{0}a-*', '{0}b-*.tfrecord , {0}a-*,',
    ['{0}b-*.tfrecord', '{0}a-*'], ('{0}a-0.tfrecord,{0}b-?.tfrecord',),
    ['{0}a-*', '{0}b-*.tfrecord', '{0}b-1*']])
def test_several_patterns_give_each_file_once_and_sorted(folder, patterns):
  if isinstance(patterns, str):
    patterns = patterns.format(folder)
  else:
    patterns = [p.format(folder) for p in patterns]
  assert _names(file_patterns.expand(patterns, 'key'), folder) == [
      'a-0.tfrecord', 'b-0.tfrecord', 'b-1.tfrecord']


@pytest.mark.parametrize('patterns', [None, '', ' ', ',', [], ['', ' , ']])
def test_nothing_is_set(patterns):
  with pytest.raises(ValueError, match='^eval.eval_file_pattern is not set'):
    file_patterns.expand(patterns, 'eval.eval_file_pattern')


@pytest.mark.parametrize('missing', ['c-*', '*.json', 'b-folder'])
def test_the_pattern_that_matches_nothing_is_named(folder, missing):
  with pytest.raises(ValueError) as e:
    file_patterns.expand([folder + 'a-*', folder + missing], 'some.key')
  assert str(e.value) == 'some.key: no file matches %r.' % (folder + missing)
