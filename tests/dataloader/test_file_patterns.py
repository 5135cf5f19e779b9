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


@pytest.fixture(name='odd')
def _odd(tmp_path):
  """Folders of which one is what the other means as a pattern."""
  for name in ('set [v2]/t [1]-0', 'set [v2]/t [1]-1', 'set [v2]/t 1-0',
               'set v/t 1-0', 'set [v2]/s-0', 'set [v2]/s-5',
               'my* se?/s-0', 'mylar set/s-0', 'a, b/s-0'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text('x')
  return str(tmp_path) + '/'


@pytest.mark.parametrize('pattern, names', [
    ('set [v2]/t [1]-*', ['set [v2]/t [1]-0', 'set [v2]/t [1]-1']),
    ('set [v2]/t [1]-0', ['set [v2]/t [1]-0']),
    ('set [v2]/s-[0-4]', ['set [v2]/s-0']),
    ('set [vw]/t*', ['set v/t 1-0']),
    ('a, b/s-*', ['a, b/s-0']),
    ('my* se?/s-*', ['my* se?/s-0']),
    ('my* s*/s-*', ['my* se?/s-0', 'mylar set/s-0']),
    ('set [[]v2]/s-[0-4]', ['set [v2]/s-0'])])
def test_brackets_in_names(odd, pattern, names):
  """Of what is there under the very name; else they are a pattern."""
  assert _names(file_patterns.expand(odd + pattern, 'key'), odd) == names


@pytest.mark.parametrize('name', ['a [1]', 'a*', 'a?b', 'a\\b', '[', ']'])
def test_an_escaped_name_means_itself(tmp_path, name):
  for other in (name, 'a 1', 'ab', 'a+b', 'x'):
    (tmp_path / other).write_text('x')
  path = str(tmp_path / name)
  assert file_patterns.glob(file_patterns.escape(path)) == [path]


def test_names_in_a_folder(odd, tmp_path):
  for name in ('b.XML', 'a.xml', '._a.xml', 'Thumbs.db', '.DS_Store', 'c.txt'):
    (tmp_path / 'set [v2]' / name).write_text('x')
  assert file_patterns.names_in(odd + 'set [v2]', '.xml') == ['a.xml', 'b.XML']
  assert file_patterns.names_in(odd + 'nowhere', '.xml') == []
