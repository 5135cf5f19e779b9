"""The copy of the label map in a model_dir."""

import pytest

from modeling import kept_names


@pytest.fixture
def run(tmp_path):
  return tmp_path / 'run'


@pytest.fixture
def label_map(tmp_path):
  path = tmp_path / 'names.csv'
  path.write_bytes('\ufeff2:dog\r\n1:cat\r\n'.encode())
  return path


def test_copy_without_the_marks_of_an_editor(run, label_map):
  kept_names.keep(str(label_map), str(run))
  copy = run / 'label_map.csv'
  assert copy.read_text() == '1:cat\n2:dog\n'
  # It is not a copy of itself, and no label map does not remove it.
  kept_names.keep(str(copy), str(run))
  kept_names.keep(None, str(run))
  assert copy.read_text() == '1:cat\n2:dog\n'


def test_used_where_none_is_named(run, label_map):
  kept_names.keep(str(label_map), str(run))
  assert kept_names.changes(None, str(run)) == (
      {'eval': {'label_map': str(run / 'label_map.csv')}}, [])


def test_used_where_the_named_one_has_moved(run, label_map):
  kept_names.keep(str(label_map), str(run))
  assert kept_names.changes(str(label_map), str(run)) == ({}, [])
  label_map.unlink()
  # Of a file that a person names for this job, an error tells.
  assert kept_names.changes(str(label_map), str(run), True) == ({}, [])
  changes, notes = kept_names.changes(str(label_map), str(run))
  assert changes['eval']['label_map'] == str(run / 'label_map.csv')
  assert 'is not there' in notes[0]


def test_without_a_copy(tmp_path):
  assert kept_names.changes(None, str(tmp_path)) == ({}, [])
  assert kept_names.changes('gone', None) == ({}, [])
