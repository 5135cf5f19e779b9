"""params.yaml and its history, other models, the finish mark."""

import os

import pytest

from configs import factory
from executor import errors
from executor import model_dir as model_dir_lib
from tests.executor import toy


def test_config_is_saved_and_loads_back(tmp_path):
  config = toy.config(tmp_path / 'new')
  assert model_dir_lib.save_config(config) == []
  path = model_dir_lib.params_path(config.model_dir)
  assert factory.load_params_file(path)[0] == config
  # A restart without changes leaves no history.
  assert model_dir_lib.save_config(config) == []
  assert os.listdir(config.model_dir) == ['params.yaml']


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
  path = str(tmp_path / 'params.yaml')
  model_dir_lib.save_params(toy.config('a'), path)
  before = (tmp_path / 'params.yaml').read_text()

  def fail(*_):
    raise OSError('disk full')
  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError):
    model_dir_lib.save_params(toy.config('b'), path)
  assert (tmp_path / 'params.yaml').read_text() == before
  assert os.listdir(str(tmp_path)) == ['params.yaml']


def test_changed_values_are_told_and_the_old_file_is_kept(tmp_path):
  old, new = toy.config(tmp_path), toy.config(tmp_path, train__total_steps=9)
  model_dir_lib.save_config(old)
  toy.save_checkpoint(tmp_path, 5, w=[0.])
  notes = model_dir_lib.save_config(new)
  assert notes[1:] == ['  train.total_steps: 6 -> 9']
  kept = str(tmp_path / 'params.5.yaml')
  assert kept in notes[0]
  assert factory.load_params_file(kept)[0] == old
  assert factory.load_params_file(str(tmp_path / 'params.yaml'))[0] == new
  model_dir_lib.save_config(old)
  assert factory.load_params_file(
      str(tmp_path / 'params.5-2.yaml'))[0] == new


@pytest.mark.parametrize('key, values', [
    ('architecture.num_classes', (91, 7)),
    ('architecture.backbone', ('resnet', 'spinenet')),
    ('architecture.max_level', (7, 6)),
    ('resnet.resnet_depth', (50, 18))])
def test_model_dir_of_another_model(tmp_path, key, values):
  old = toy.config(tmp_path, **{key: values[0]})
  new = toy.config(tmp_path, **{key: values[1]})
  model_dir_lib.save_config(old)
  model_dir_lib.check_same_model(new)  # No checkpoint: nothing is lost.
  toy.save_checkpoint(tmp_path, 5, w=[0.])
  model_dir_lib.check_same_model(old)
  with pytest.raises(errors.SetupError) as e:
    model_dir_lib.check_same_model(new)
  assert '%s is %r there (params.yaml), %r here' % ((key,) + values) in str(
      e.value)


def test_finish_mark(tmp_path):
  folder = str(tmp_path)
  assert model_dir_lib.read_finished(folder) is None
  model_dir_lib.clear_finished(folder)
  model_dir_lib.mark_finished(folder, 7, 'finished')
  mark = model_dir_lib.read_finished(folder)
  assert (mark['step'], mark['state']) == (7, 'finished')
  model_dir_lib.clear_finished(folder)
  assert model_dir_lib.read_finished(folder) is None
