"""Tests of tools/zoo/found_checkpoint.py."""

import os

import pytest

from tools.zoo import found_checkpoint


def _make(folder, *names):
  for name in names:
    path = folder / name
    os.makedirs(str(path.parent), exist_ok=True)
    path.write_bytes(b'')


def test_newest_one_of_one_folder(tmp_path):
  _make(tmp_path, 'a/model.ckpt-9.index', 'a/model.ckpt-10.index',
        'a/._model.ckpt-11.index', '__MACOSX/a/._model.ckpt-9.index', 'b/x')
  assert found_checkpoint.find(str(tmp_path)) == str(
      tmp_path / 'a' / 'model.ckpt-10')


def test_the_one_that_is_named(tmp_path):
  _make(tmp_path, 'a/model.ckpt-9.index', 'a/model.ckpt-10.index',
        'b/model.ckpt-9.index')
  for wanted in ('a/model.ckpt-9', 'a/model.ckpt-9.index'):
    assert found_checkpoint.find(str(tmp_path), wanted) == str(
        tmp_path / 'a' / 'model.ckpt-9')
  with pytest.raises(ValueError, match='fits 2 checkpoints; there are: '
                     'a/model.ckpt-9, a/model.ckpt-10, b/model.ckpt-9'):
    found_checkpoint.find(str(tmp_path), 'model.ckpt-9')


def test_several_folders(tmp_path):
  _make(tmp_path, 'a/model.ckpt-9.index', 'b/model.ckpt.index')
  with pytest.raises(ValueError, match='a/model.ckpt-9, b/model.ckpt'):
    found_checkpoint.find(str(tmp_path))


@pytest.mark.parametrize('name,message', [
    ('a/m.data-00000-of-00001', 'but not the .index'),
    ('a/saved_model.pb', 'tools.infer --saved_model'),
    ('a/weights.h5', '1 files, such as weights.h5'),
    (None, 'no file of a checkpoint')])
def test_no_checkpoint(tmp_path, name, message):
  if name:
    _make(tmp_path, name)
  with pytest.raises(ValueError, match=message):
    found_checkpoint.find(str(tmp_path))


def test_configurations_beside_it(tmp_path):
  _make(tmp_path, 'a.yaml', 'params.yaml', 'b.yml', '._a.yaml', 'c.txt')
  assert [os.path.basename(path) for path in found_checkpoint.config_files(
      str(tmp_path / 'model.ckpt'))] == ['params.yaml', 'a.yaml', 'b.yml']
