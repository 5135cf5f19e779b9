"""TF_CONFIG: which worker this is, and what is wrong with it."""

import json
import os

import pytest

from executor import cluster
from executor import errors


def _read(value):
  text = value if isinstance(value, str) else json.dumps(value)
  return cluster.read({'TF_CONFIG': text})


def _config(jobs, task_type, index):
  return {'cluster': jobs, 'task': {'type': task_type, 'index': index}}


@pytest.mark.parametrize('value', [
    '', ' ', '{}', _config({}, 'worker', 0),
    _config({'worker': ['a:1']}, 'worker', 0),
    _config({'chief': ['a:1']}, 'chief', 0)])
def test_one_process(value):
  assert _read(value) is None


def test_no_variable():
  assert cluster.read({}) is None


def test_workers():
  found = _read(_config({'worker': ['a:1', 'b:1', 'c:1']}, 'worker', '2'))
  assert found.workers == ['a:1', 'b:1', 'c:1']
  assert (found.index, found.num_workers) == (2, 3)
  assert not found.is_chief and not found.is_evaluator
  assert _read(_config({'worker': ['a:1', 'b:1']}, 'worker', 0)).is_chief


def test_chief_comes_first():
  jobs = {'worker': ['b:1', 'c:1'], 'chief': ['a:1']}
  found = _read(_config(jobs, 'worker', 0))
  assert found.workers == ['a:1', 'b:1', 'c:1'] and found.index == 1
  assert _read(_config(jobs, 'chief', 0)).is_chief


def test_evaluator():
  found = _read(_config({'worker': ['a:1', 'b:1']}, 'evaluator', 0))
  assert found.is_evaluator and not found.is_chief
  cluster.check_mode(found, 'eval')
  with pytest.raises(errors.SetupError, match='--mode=eval, not --mode=train'):
    cluster.check_mode(found, 'train')


@pytest.mark.parametrize('value, words', [
    ('{"cluster"', 'is not JSON'), ('[1]', 'the whole must be a JSON object'),
    ({'cluster': ['a:1']}, '"cluster" must be a JSON object'),
    ({'cluster': {'worker': ['a:1', 'b:1']}, 'task': 'worker'}, '"task" must'),
    (_config({'ps': ['a:1'], 'worker': ['b:1']}, 'worker', 0),
     'no parameter servers'),
    (_config({'master': ['a:1'], 'worker': ['b:1']}, 'worker', 0),
     'is "chief"'),
    (_config({'worker': ['a:1'], 'evaluator': ['b:1']}, 'worker', 0),
     'leave it out'),
    (_config({'workers': ['a:1', 'b:1']}, 'worker', 0),
     "unknown job 'workers'"),
    (_config({'worker': ['a:1', 'b']}, 'worker', 0), 'addresses "host:port"'),
    (_config({'worker': 'a:1'}, 'worker', 0), 'addresses "host:port"'),
    (_config({'worker': []}, 'worker', 0), 'addresses "host:port"'),
    (_config({'chief': ['a:1', 'b:1']}, 'chief', 0), '2 chiefs'),
    (_config({'worker': ['a:1', 'a:1']}, 'worker', 0), 'a:1 twice'),
    (_config({'worker': ['a:1', 'b:1']}, 'worker', 2), 'index 2 .*names 2'),
    (_config({'worker': ['a:1', 'b:1']}, 'worker', -1), 'index -1'),
    (_config({'worker': ['a:1', 'b:1']}, 'worker', 'x'), 'not a number'),
    (_config({'worker': ['a:1', 'b:1']}, 'chief', 0),
     "task is 'chief'.*worker"),
    (_config({'worker': ['a:1', 'b:1']}, 'boss', 0), "task 'boss'")])
def test_mistakes(value, words):
  with pytest.raises(errors.SetupError, match=words) as caught:
    _read(value)
  assert 'TF_CONFIG' in str(caught.value) and 'host0:2222' in str(caught.value)


def test_modes_of_workers():
  cluster.check_mode(None, 'train_and_eval')
  worker = cluster.Cluster(['a:1', 'b:1'], 1)
  cluster.check_mode(worker, 'train')
  for mode in ('eval', 'train_and_eval', 'predict'):
    with pytest.raises(errors.SetupError, match='worker 1 of 2.*mode=eval'):
      cluster.check_mode(worker, mode)
  with pytest.raises(errors.SetupError, match='driven by one process'):
    cluster.check_mode(worker, 'train', use_tpu=True)


def test_hidden(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', '{}')
  with cluster.hidden():
    assert 'TF_CONFIG' not in os.environ
  assert os.environ['TF_CONFIG'] == '{}'
  monkeypatch.delenv('TF_CONFIG')
  with cluster.hidden():
    pass
  assert 'TF_CONFIG' not in os.environ
