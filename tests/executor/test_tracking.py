"""Tests of executor/tracking.py, with doubles of the packages."""

import sys
import types

import pytest
import tensorflow.compat.v1 as tf

from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import tracking
from tests.executor import toy
from utils import modes


class _Double:
  """Both packages: notes its calls."""

  def __init__(self):
    self.calls = []
    self.run = self
    self.info = types.SimpleNamespace(run_id='r1')

  def __getattr__(self, name):
    def call(*args, **kwargs):
      self.calls.append((name, args, kwargs))
      return self
    return call

  def of(self, name):
    return [(args, kwargs) for called, args, kwargs in self.calls
            if called == name]


def _train(config):
  estimator = estimator_lib.build_estimator(config, toy.model_fn)
  loops.train(config, estimator, estimator_lib.with_batch_size(
      toy.input_fn, config, modes.TRAIN))


@pytest.mark.parametrize('name, log, starts', [
    ('wandb', 'log', 'init'), ('mlflow', 'log_metrics', 'start_run')])
def test_lines_of_the_log_are_handed_on(tmp_path, monkeypatch, name, log,
                                        starts):
  double = _Double()
  monkeypatch.setitem(sys.modules, name, double)
  config = toy.config(tmp_path / 'runs' / 'model', train__tracking=name)
  _train(config)
  assert [kwargs['step'] for _, kwargs in double.of(log)] == [2, 4, 6]
  assert double.of(log)[-1][0][0]['model_loss'] > 0
  assert 'step' not in double.of(log)[0][0][0]
  assert len(double.of('finish') + double.of('end_run')) == 1
  # Another start in this folder is the same run.
  tracking.TRACKERS[name](config)
  (_, first), (_, second) = double.of(starts)
  if name == 'wandb':
    assert first['id'] == second['id'] and first['name'] == 'runs/model'
  else:
    assert (first['run_id'], second['run_id']) == (None, 'r1')
    assert len(double.of('log_dict')) == 1


def test_a_service_that_fails_stops_nothing(tmp_path, monkeypatch, caplog):
  def fails(**_):
    raise RuntimeError('no network')
  monkeypatch.setitem(sys.modules, 'wandb', types.SimpleNamespace(init=fails))
  tf.logging.set_verbosity(tf.logging.INFO)
  _train(toy.config(tmp_path, train__tracking='wandb'))
  assert 'RuntimeError: no network. Training continues.' in caplog.text


def test_a_missing_package_is_told_before_anything_is_built(tmp_path,
                                                            monkeypatch):
  monkeypatch.setitem(sys.modules, 'mlflow', None)
  with pytest.raises(errors.SetupError, match='pip install mlflow'):
    tracking.check(toy.config(tmp_path, train__tracking='mlflow'))
  monkeypatch.setitem(sys.modules, 'wandb', None)
  tracking.check(toy.config(tmp_path))  # Imported only when used.
