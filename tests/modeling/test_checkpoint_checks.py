"""Tests of modeling/checkpoint_checks.py."""

import os

import numpy as np
import pytest

from modeling import checkpoint_checks
from tests.tools.zoo import checkpoint_makers

ARRAYS = {'a/kernel': np.arange(600, dtype=np.float32).reshape(20, 30),
          'b/bias': np.ones([7], np.float32), 'global_step': np.int64(5)}


def _write(folder, parts=1, **changes):
  return checkpoint_makers.write(str(folder / 'model.ckpt'),
                                 dict(ARRAYS, **changes), parts)


def _check(prefix):
  contents = checkpoint_checks.read_contents(prefix)
  checkpoint_checks.check_files(contents)
  checkpoint_checks.check_values(contents)
  return contents


def _raises(prefix, *words):
  with pytest.raises(checkpoint_checks.BrokenCheckpointError) as error:
    _check(prefix)
  for word in words:
    assert word in str(error.value)


@pytest.mark.parametrize('parts', [1, 3])
def test_a_whole_checkpoint(tmp_path, parts):
  prefix = _write(tmp_path, parts)
  contents = _check(prefix)
  assert contents.shapes == {'a/kernel': [20, 30], 'b/bias': [7],
                             'global_step': []}
  assert contents.dtypes['global_step'].name == 'int64'


def test_a_folder_that_tensorflow_takes_for_a_pattern(tmp_path):
  _raises(str(tmp_path / 'with [brackets]' / 'model.ckpt'), 'rename the folder')


def test_text_has_no_known_length(tmp_path):
  _check(_write(tmp_path, text=np.array([b'abc', b'de'], object)))


def test_progress(tmp_path):
  seen = []
  contents = checkpoint_checks.read_contents(_write(tmp_path))
  checkpoint_checks.check_values(contents, lambda *done: seen.append(done))
  assert seen == [(1, 3), (2, 3), (3, 3)]


def test_data_that_is_cut_off(tmp_path):
  prefix = _write(tmp_path)
  path = prefix + '.data-00000-of-00001'
  whole = os.path.getsize(path)
  assert whole == 2400 + 28 + 8
  with open(path, 'r+b') as f:
    f.truncate(2000)
  _raises(prefix, 'is cut off', 'values of 2,436 bytes, and there are 2,000',
          'model.ckpt.data-00000-of-00001: 2,000 bytes')


def test_the_length_of_the_published_ones(tmp_path):
  # A file with a hole: nothing of its half gigabyte is written.
  prefix = _write(tmp_path, more=np.zeros([2**10], np.float32))
  contents = checkpoint_checks.read_contents(prefix)
  contents.shapes['more'] = [2**28]
  os.truncate(prefix + '.data-00000-of-00001', 2**29 + 1)
  with pytest.raises(checkpoint_checks.BrokenCheckpointError,
                     match='536,870,913 bytes is known from archives'):
    checkpoint_checks.check_files(contents)


def test_data_that_is_too_long(tmp_path):
  prefix = _write(tmp_path)
  with open(prefix + '.data-00000-of-00001', 'ab') as f:
    f.write(b'x')
  _raises(prefix, 'a mixture of two checkpoints')


def test_a_missing_part(tmp_path):
  prefix = _write(tmp_path, 3)
  os.remove(prefix + '.data-00001-of-00003')
  _raises(prefix, '3 data files, and 1 of them are missing: '
          'model.ckpt.data-00001-of-00003.')


def test_no_data_at_all(tmp_path):
  prefix = _write(tmp_path)
  os.remove(prefix + '.data-00000-of-00001')
  _raises(prefix, 'the values are missing')


def test_parts_of_two_checkpoints(tmp_path):
  prefix = _write(tmp_path)
  with open(prefix + '.data-00000-of-00002', 'wb') as f:
    f.write(b'x')
  _raises(prefix, 'data files of several checkpoints')


def test_a_wrong_byte(tmp_path):
  prefix = _write(tmp_path)
  with open(prefix + '.data-00000-of-00001', 'r+b') as f:
    f.seek(1000)
    f.write(b'\x00\x01\x02\x03')
  _raises(prefix, '1 of the 3 values', 'cannot be read: a/kernel (')


@pytest.mark.parametrize('content', [b'', b'x' * 1000])
def test_an_index_that_is_damaged(tmp_path, content):
  prefix = _write(tmp_path)
  with open(prefix + '.index', 'wb') as f:
    f.write(content)
  _raises(prefix, 'model.ckpt.index cannot be read')


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_values_that_are_not_numbers(tmp_path, value):
  prefix = _write(tmp_path, worse=np.array([1., value], np.float32))
  _raises(prefix, '1 of the values', 'worse', 'diverged')
