"""Numbers of records from indexes, a cache, headers and whole files."""

import json
import os

import pytest
import tensorflow.compat.v1 as tf

from dataloader import record_counts
from dataloader import record_files


def _files(folder):
  paths = [str(folder / ('train-%05d.tfrecord' % i)) for i in range(3)]
  for i, path in enumerate(paths):
    with tf.io.TFRecordWriter(path) as writer:
      for _ in range(4 + i):
        writer.write(b'record')
  return paths


def test_counts_without_an_index(tmp_path):
  paths = _files(tmp_path)
  assert record_counts.count_each(paths) == [4, 5, 6]
  assert record_counts.count_each(paths[::-1]) == [6, 5, 4]


def test_index_counts_only_for_files_of_its_size(tmp_path):
  paths = _files(tmp_path)
  (tmp_path / 'train-index.json').write_text(json.dumps({'shards': [
      {'file': os.path.basename(path), 'num_records': 70 + i,
       'num_bytes': os.path.getsize(path) + (i == 1)}
      for i, path in enumerate(paths)]}))
  assert record_counts.count_each(paths) == [70, 5, 72]


def test_a_file_that_is_cut_between_two_records(tmp_path):
  """A record of six bytes takes 22; who only reads notices nothing."""
  paths = _files(tmp_path)
  (tmp_path / 'train-index.json').write_text(json.dumps({'shards': [
      {'file': os.path.basename(path), 'num_records': 4 + i,
       'num_bytes': os.path.getsize(path)} for i, path in enumerate(paths)]}))
  record_counts.check_whole(paths)
  os.truncate(paths[1], 88)
  with pytest.raises(record_files.RecordError, match=(
      '00001.tfrecord is cut off: it has 88 bytes, .* says 110, of 5 records')):
    record_counts.check_whole(paths)


@pytest.mark.parametrize('text', [
    '[]', '{', '{"shards": null}', '{"shards": [1, {"file": "a"}]}'])
def test_files_that_are_no_index(tmp_path, text):
  paths = _files(tmp_path)
  (tmp_path / 'other-index.json').write_text(text)
  assert record_counts.count_each(paths) == [4, 5, 6]


def test_files_of_a_bucket_are_read_once(tmp_path, monkeypatch):
  paths = ['file://' + path for path in _files(tmp_path)]
  cache = str(tmp_path / 'model' / 'record_counts.json')
  assert record_counts.count_each(paths, cache) == [4, 5, 6]
  monkeypatch.setattr(record_files, 'count_records', None)
  assert record_counts.count_each(paths, cache) == [4, 5, 6]


def test_samples_end_at_damage(tmp_path):
  path = _files(tmp_path)[0]
  whole = record_counts.sample([path])
  assert record_counts.mean_bytes(whole) == 22.
  with open(path, 'rb+') as f:
    f.truncate(50)
  assert [len(r) for r in record_counts.sample([path]).values()] == [2]
  with pytest.raises(record_files.RecordError):
    record_counts.count_each([path])
