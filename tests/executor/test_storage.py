"""Small files: replaced in one step, read though the writer was killed."""

import os

import pytest
import tensorflow.compat.v1 as tf

from executor import storage


def test_json_lines(tmp_path):
  path = str(tmp_path / 'new' / 'log.jsonl')
  assert storage.read_json_lines(path) == []
  storage.append_json_line(path, {'step': 1})
  storage.append_json_line(path, {'step': 2})
  with open(path, 'a') as f:
    f.write('{"step": 3, "AP"')
  assert storage.read_json_lines(path) == [{'step': 1}, {'step': 2}]


def test_append_after_a_line_that_was_cut_off(tmp_path):
  path = str(tmp_path / 'log.jsonl')
  with open(path, 'w') as f:
    f.write('{"step": 1}\n{"st')
  storage.append_json_line(path, {'step': 2})
  assert storage.read_json_lines(path) == [{'step': 1}, {'step': 2}]


def test_output_is_not_there_before_it_is_complete(tmp_path):
  path = str(tmp_path / 'out.json')
  with pytest.raises(ValueError):
    storage.write_json(path, float('nan'))
  with pytest.raises(RuntimeError):
    with storage.output_path(path) as temporary:
      with open(temporary, 'w') as f:
        f.write('half')
      raise RuntimeError()
  assert os.listdir(str(tmp_path)) == []


def test_bucket_paths_go_through_a_local_file(tmp_path, monkeypatch):
  copies = []

  def copy(source, target, overwrite=False):
    if '://' in target:
      with open(source) as f:
        copies.append((target, f.read(), overwrite))
    else:
      with open(target, 'w') as f:
        f.write('remote')

  monkeypatch.setattr(tf.gfile, 'Copy', copy)
  storage.write_json('gs://b/a.json', [1])
  assert copies == [('gs://b/a.json', '[\n 1\n]\n', True)]
  with storage.input_path('gs://b/a.json') as path, open(path) as f:
    assert f.read() == 'remote'
  with storage.input_path(str(tmp_path)) as path:
    assert path == str(tmp_path)
