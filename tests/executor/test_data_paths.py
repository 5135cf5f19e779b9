"""Where files lie: --data_dir, and paths in params.yaml."""

import os

from executor import data_paths
from tests.executor import toy


def test_only_relative_paths_are_joined():
  config = toy.config(
      '/m', train__train_file_pattern='a-*, /b/c-*',
      eval__eval_file_pattern=('v-*', 'gs://x/w-*'))
  assert data_paths.under_data_dir('/data', config) == {
      'train.train_file_pattern': '/data/a-*,/b/c-*',
      'eval.eval_file_pattern': ('/data/v-*', 'gs://x/w-*')}


def test_what_is_resolved_is_not_joined_again(monkeypatch, tmp_path):
  """A params.yaml that was written with relative paths."""
  monkeypatch.chdir(tmp_path)
  config = toy.config('m', eval__eval_file_pattern='data/val-*',
                      eval__val_json_file='val.json')
  resolved = {'eval.eval_file_pattern', 'eval.val_json_file'}
  for folder in ('data', './data/', str(tmp_path / 'data')):
    assert data_paths.under_data_dir(folder, config, resolved) == {
        'eval.val_json_file': os.path.join(folder, 'val.json')}
  # The same text, written for this job, is meant to lie in the folder.
  assert data_paths.under_data_dir('data', config)[
      'eval.eval_file_pattern'] == 'data/data/val-*'


def test_paths_for_another_folder(monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  config = data_paths.with_absolute_paths(toy.config(
      'm', 'shapemask', train__train_file_pattern=('a-*', 'gs://x/b-*'),
      eval__eval_file_pattern='a-*,/b-*', train__checkpoint__path='w/best',
      shapemask_head__shape_prior_path='priors.npz'))
  assert config.model_dir == str(tmp_path / 'm')
  assert config.train.train_file_pattern == (
      str(tmp_path / 'a-*'), 'gs://x/b-*')
  assert config.eval.eval_file_pattern == str(tmp_path / 'a-*') + ',/b-*'
  assert config.train.checkpoint.path == str(tmp_path / 'w/best')
  assert config.shapemask_head.shape_prior_path == str(tmp_path / 'priors.npz')
  # What is not set stays so.
  assert config.eval.val_json_file == '' and config.eval.label_map is None
