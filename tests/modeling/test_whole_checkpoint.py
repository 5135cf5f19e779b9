"""Which checkpoint of a folder can be trusted."""

import os

import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoint_checks
from modeling import checkpoint_files
from modeling import whole_checkpoint
from tests.executor import toy

_DATA = '.data-00000-of-00001'


def _cut(path):
  os.truncate(path, os.path.getsize(path) // 2)


def _empty(path):
  os.truncate(path, 0)


def _flip(path):
  with open(path, 'r+b') as f:
    f.seek(os.path.getsize(path) // 3)
    byte = f.read(1)
    f.seek(-1, os.SEEK_CUR)
    f.write(bytes([byte[0] ^ 255]))


@pytest.fixture(name='warnings')
def _warnings(monkeypatch):
  found = []
  monkeypatch.setattr(tf.logging, 'warning',
                      lambda text, *args: found.append(text % args))
  return found


def _two(folder):
  """Checkpoints of the steps 3 and 5."""
  return [toy.save_checkpoint(folder, step, global_step=step,
                              w=list(range(40))) for step in (3, 5)]


@pytest.mark.parametrize('suffix', [_DATA, '.index'])
@pytest.mark.parametrize('damage', [_cut, _flip, _empty, os.remove])
def test_the_one_before_a_damaged_one_is_used(
    tmp_path, warnings, suffix, damage):
  old, new = _two(tmp_path)
  assert whole_checkpoint.newest(str(tmp_path)) == new and not warnings
  damage(new + suffix)
  assert whole_checkpoint.newest(str(tmp_path)) == old
  # One sentence that names the file, and one about what is used.
  assert os.path.basename(new) in warnings[0]
  assert all('\n' not in text for text in warnings)
  damage(old + suffix)
  if suffix == '.index' and damage is os.remove:
    assert whole_checkpoint.newest(str(tmp_path)) is None
    return
  with pytest.raises(checkpoint_checks.BrokenCheckpointError,
                     match='No checkpoint in .* is whole.*model.ckpt-'):
    whole_checkpoint.newest(str(tmp_path))


def test_weights_that_are_no_numbers(tmp_path, warnings):
  old = toy.save_checkpoint(tmp_path, 3, w=[0.])
  toy.save_checkpoint(tmp_path, 5, w=[float('nan')])
  assert whole_checkpoint.newest(str(tmp_path)) == old
  assert 'not numbers: w' in warnings[0]


@pytest.mark.parametrize('content', ['', 'model_checkpoint_path: "mod'])
def test_a_state_file_that_says_nothing(tmp_path, content):
  _, new = _two(tmp_path)
  (tmp_path / 'checkpoint').write_text(content)
  assert checkpoint_files.newest_name(str(tmp_path)) is None
  assert checkpoint_files.latest(str(tmp_path)) == new
  assert whole_checkpoint.newest(str(tmp_path)) == new


def test_no_checkpoint(tmp_path):
  assert whole_checkpoint.newest(str(tmp_path / 'missing')) is None
  assert whole_checkpoint.newest(str(tmp_path)) is None
