"""params.yaml and its history, other models, the finish mark."""

import os

import pytest

from configs import factory
from executor import errors
from executor import model_dir as model_dir_lib
from tests.executor import toy
from utils import version


def test_config_is_saved_and_loads_back(tmp_path):
  config = toy.config(tmp_path / 'new')
  assert model_dir_lib.save_config(config) == []
  path = model_dir_lib.params_path(config.model_dir)
  assert factory.load_config(None, path)[0] == config
  with open(path) as f:
    assert f.readline() == '# Written by version %s.\n' % version.VERSION
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
  assert factory.load_config(None, kept)[0] == old
  assert factory.load_config(None, str(tmp_path / 'params.yaml'))[0] == new
  model_dir_lib.save_config(old)
  assert factory.load_config(
      None, str(tmp_path / 'params.5-2.yaml'))[0] == new


def test_a_key_of_a_newer_version_is_no_change(tmp_path):
  config = toy.config(tmp_path)
  model_dir_lib.save_config(config)
  path = tmp_path / 'params.yaml'
  lines = path.read_text().splitlines(True)
  assert any('keep_checkpoint_max' in line for line in lines)
  path.write_text(''.join(
      line for line in lines if 'keep_checkpoint_max' not in line))
  assert model_dir_lib.save_config(config) == []
  assert 'keep_checkpoint_max' in path.read_text()
  # With another value than the default it is one.
  path.write_text(''.join(
      line for line in lines if 'total_steps' not in line))
  assert model_dir_lib.save_config(config)[1:] == [
      '  train.total_steps: (not there) -> 6']


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
  assert '%s is %r in params.yaml, %r here' % ((key,) + values) in str(
      e.value)


@pytest.mark.parametrize('model, key, values', [
    ('retinanet', 'anchor.anchor_size', (4., 3.)),
    ('retinanet', 'anchor.aspect_ratios', ((1., 2., .5), (1., 3., .3))),
    ('retinanet', 'retinanet_parser.output_size', ((640, 640), (64, 64))),
    ('mask_rcnn', 'maskrcnn_parser.output_size', ((640, 640), (64, 64))),
    ('segmentation', 'batch_norm_activation.activation', ('relu', 'swish'))])
def test_model_of_another_meaning(tmp_path, model, key, values):
  """The variables fit, and the results would be others."""
  old, new = (toy.config(tmp_path, model, **{key: value}) for value in values)
  model_dir_lib.save_config(old)
  model_dir_lib.check_same_model(new, is_training=True)
  toy.save_checkpoint(tmp_path, 5, w=[0.])
  model_dir_lib.check_same_model(old, is_training=True)
  assert model_dir_lib.notes_of_meaning(old) == []
  with pytest.raises(errors.SetupError, match=key + ' is'):
    model_dir_lib.check_same_model(new, is_training=True)
  # An evaluation that asks for it gets it, and is told.
  model_dir_lib.check_same_model(new)
  notes = model_dir_lib.notes_of_meaning(new)
  assert len(notes) == 2 and key + ' is' in notes[1]


def test_error_names_kept_configurations(tmp_path):
  model_dir_lib.save_config(toy.config(tmp_path, anchor__anchor_size=3.))
  toy.save_checkpoint(tmp_path, 5, w=[0.])
  now = toy.config(tmp_path, anchor__anchor_size=5.)
  model_dir_lib.save_config(now)
  with pytest.raises(errors.SetupError) as e:
    model_dir_lib.check_same_model(toy.config(tmp_path), is_training=True)
  assert str(tmp_path / 'params.5.yaml') in str(e.value)


def test_saved_paths_hold_in_other_folders(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  config = toy.config('run', eval__eval_file_pattern='data/val-*')
  assert model_dir_lib.save_config(config) == []
  stored, _ = factory.load_config(None, 'run/params.yaml')
  assert stored.eval.eval_file_pattern == str(tmp_path / 'data' / 'val-*')
  assert stored.model_dir == str(tmp_path / 'run')
  # Starting the same again changes nothing.
  assert model_dir_lib.save_config(config) == []
  assert os.listdir('run') == ['params.yaml']


def test_finish_mark(tmp_path):
  folder = str(tmp_path)
  assert model_dir_lib.read_finished(folder) is None
  model_dir_lib.clear_finished(folder)
  model_dir_lib.mark_finished(folder, 7, 'finished')
  mark = model_dir_lib.read_finished(folder)
  assert (mark['step'], mark['state']) == (7, 'finished')
  model_dir_lib.clear_finished(folder)
  assert model_dir_lib.read_finished(folder) is None
