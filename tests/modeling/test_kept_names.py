"""The copy of the label map in a model_dir."""

import pytest

from configs import base
from configs import factory
from modeling import kept_names


def _config(folder, label_map=None):
  return base.override(factory.default_config('retinanet'), {
      'model_dir': str(folder), 'eval': {
          'label_map': label_map and str(label_map)}})


@pytest.fixture
def label_map(tmp_path):
  path = tmp_path / 'names.csv'
  path.write_bytes('\ufeff2:dog\r\n1:cat\r\n'.encode())
  return path


def test_copy_without_the_marks_of_an_editor(tmp_path, label_map):
  kept_names.keep(_config(tmp_path / 'run', label_map))
  copy = tmp_path / 'run' / 'label_map.csv'
  assert copy.read_text() == '1:cat\n2:dog\n'
  # It is not a copy of itself, and no label map does not remove it.
  kept_names.keep(_config(tmp_path / 'run', copy))
  kept_names.keep(_config(tmp_path / 'run'))
  assert copy.read_text() == '1:cat\n2:dog\n'


def test_used_where_none_is_named(tmp_path, label_map):
  kept_names.keep(_config(tmp_path / 'run', label_map))
  config, notes = kept_names.applied(_config(tmp_path / 'run'),
                                     str(tmp_path / 'run'))
  assert config.eval.label_map == str(tmp_path / 'run' / 'label_map.csv')
  assert notes == []


def test_used_where_the_named_one_has_moved(tmp_path, label_map):
  config = _config(tmp_path / 'run', label_map)
  kept_names.keep(config)
  folder = str(tmp_path / 'run')
  assert kept_names.applied(config, folder) == (config, [])
  label_map.unlink()
  # Of a file that a person names for this job, an error tells.
  assert kept_names.applied(config, folder, is_given=True) == (config, [])
  changed, notes = kept_names.applied(config, folder)
  assert changed.eval.label_map == folder + '/label_map.csv'
  assert 'is not there' in notes[0]


def test_without_a_copy(tmp_path):
  config = _config(tmp_path)
  assert kept_names.applied(config, str(tmp_path)) == (config, [])
  assert kept_names.applied(config, None) == (config, [])
