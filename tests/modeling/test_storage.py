"""Small files: replaced in one step, read though the writer was killed."""

import os

import pytest
import tensorflow.compat.v1 as tf

from modeling import storage


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


def test_urls_go_through_a_local_file(tmp_path):
  """In folders that do not exist yet."""
  path = 'file://%s/new/deep/a.json' % tmp_path
  storage.write_json(path, [1])
  assert storage.read_json(path) == [1]
  with storage.input_path(path) as local:
    assert '://' not in local
    with open(local) as f:
      assert f.read() == '[\n 1\n]\n'
  with storage.input_path(str(tmp_path)) as path:
    assert path == str(tmp_path)


def test_a_url_that_cannot_be_written_fails_before_the_work(tmp_path):
  (tmp_path / 'file').write_text('')
  began = []
  with pytest.raises(tf.errors.OpError):
    with storage.output_path('file://%s/file/b/a.json' % tmp_path):
      began.append(1)
  assert not began
