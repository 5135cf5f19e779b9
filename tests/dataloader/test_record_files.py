"""Counting and reading records without a graph."""

import pytest

from dataloader import record_files
from tests.dataloader import examples


@pytest.fixture(name='paths')
def _paths(tmp_path):
  """Files of 2, 0 and 3 records."""
  return [examples.write(tmp_path / name, records) for name, records in (
      ('a', [b'one', b'']), ('b', []), ('c', [b'three', b'x' * 70000, b'y']))]


def test_count(paths):
  assert record_files.count_records(paths) == 5
  assert record_files.count_records([]) == 0
  assert [record_files.count_records([path]) for path in paths] == [2, 0, 3]


def test_files_that_are_not_local_are_read_to_be_counted(paths):
  remote = ['file://' + path for path in paths]
  assert record_files.count_records(remote) == 5


def test_records_come_with_their_file_and_number(paths):
  assert list(record_files.iterate(paths)) == [
      (paths[0], 0, b'one'), (paths[0], 1, b''), (paths[2], 0, b'three'),
      (paths[2], 1, b'x' * 70000), (paths[2], 2, b'y')]


@pytest.mark.parametrize('limit', range(7))
def test_first_records(paths, limit):
  found = list(record_files.iterate(paths, limit))
  assert found == list(record_files.iterate(paths))[:limit]


def test_a_wrong_byte_is_seen_by_reading_only(paths):
  """Counting looks at the lengths alone."""
  content = bytearray(open(paths[2], 'rb').read())
  content[-6] ^= 1
  with open(paths[2], 'wb') as f:
    f.write(content)
  assert record_files.count_records(paths) == 5
  records = record_files.iterate(paths)
  assert [next(records)[1] for _ in range(4)] == [0, 1, 0, 1]
  with pytest.raises(record_files.RecordError) as e:
    next(records)
  assert str(e.value).startswith(
      '%s: record 2 (counting from 0) cannot be read' % paths[2])
  assert 'Copy or convert the file again' in str(e.value)


@pytest.mark.parametrize('num_bytes', [1, 4, 11])
def test_file_that_ends_in_a_header(tmp_path, num_bytes):
  path = examples.write(tmp_path / 'a', [b'one'])
  with open(path, 'ab') as f:
    f.write(b'\x01' * num_bytes)
  with pytest.raises(record_files.RecordError, match='record 1 .*ends inside'):
    record_files.count_records([path])
  with pytest.raises(record_files.RecordError, match='record 1 '):
    list(record_files.iterate([path]))
  assert len(list(record_files.iterate([path], 1))) == 1
