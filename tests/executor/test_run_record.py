"""Tests of executor/run_record.py."""

import hashlib
import json

from executor import run_record
from tests.executor import toy
from utils import packages


def _records(folder):
  for i in range(2):
    (folder / ('train-%05d-of-00002.tfrecord' % i)).write_bytes(b'1234')
  index = json.dumps({'num_records': 9, 'num_objects': 21, 'shards': [1]})
  (folder / 'train-index.json').write_text(index)
  return index


def test_what_a_run_was_started_with(tmp_path):
  index = _records(tmp_path)
  config = toy.config(tmp_path / 'run', train__seed=3,
                      train__train_file_pattern=str(tmp_path / 'train-*.tf*'))
  run_record.write(config, ['main.py', '--a=b c'], 'Devices: one.')
  run = run_record.read(config.model_dir)
  assert run['command'] == "python main.py '--a=b c'" and run['seed'] == 3
  assert run['packages'] == packages.installed()
  assert run['machine']['devices'].endswith('one.')
  assert run['git'] is None or len(run['git']['commit']) == 40
  data = run['data']['train']
  assert (data['num_files'], data['num_bytes']) == (2, 8)
  assert data['indexes'] == [{
      'path': str(tmp_path / 'train-index.json'), 'num_records': 9,
      'num_objects': 21,
      'sha256': hashlib.sha256(index.encode()).hexdigest()}]
  assert run['data']['eval'] is None and run['earlier'] == []


def test_earlier_starts_are_kept(tmp_path):
  config = toy.config(tmp_path)
  for command in ('a', 'b', 'c'):
    run_record.write(config, [command], '')
  run = run_record.read(str(tmp_path))
  assert run['command'] == 'python c'
  assert [r['command'] for r in run['earlier']] == ['python a', 'python b']


def test_other_records_have_another_digest(tmp_path):
  _records(tmp_path)
  pattern = str(tmp_path / 'train-*.tfrecord')
  before = run_record.data_set(pattern)
  (tmp_path / 'train-00001-of-00002.tfrecord').write_bytes(b'12345')
  assert run_record.data_set(pattern)['sha256'] != before['sha256']
