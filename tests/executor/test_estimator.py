"""Estimators by device; batch sizes by purpose."""

import json
import os

import pytest

from executor import cluster
from executor import errors
from executor import estimator as estimator_lib
from tests.executor import toy
from utils import modes


@pytest.mark.parametrize('mode, size', [
    (modes.TRAIN, 2), (modes.EVAL, 3), (modes.PREDICT_WITH_GT, 3),
    (modes.PREDICT, 5)])
def test_batch_size_of_the_purpose(tmp_path, mode, size):
  config = toy.config(tmp_path, eval__eval_batch_size=3,
                      predict__predict_batch_size=5)
  calls = []
  input_fn = estimator_lib.with_batch_size(
      lambda params, context: calls.append((params, context)), config, mode,
      replicas=2)
  input_fn({'a': 1}, 'context')
  assert calls == [({'a': 1, 'batch_size': size}, 'context')]


def test_batch_that_cannot_be_divided(tmp_path):
  config = toy.config(tmp_path, train__train_batch_size=10)
  assert estimator_lib.replica_batch_size(config, 5) == 2
  with pytest.raises(errors.SetupError, match='is 10, .* 4 replicas.* 8 or 12'):
    estimator_lib.replica_batch_size(config, 4)
  with pytest.raises(errors.SetupError, match='Choose 16 or 16'):
    estimator_lib.replica_batch_size(config, 16)


def test_run_config_follows_the_checkpoint_keys(tmp_path):
  run_config = estimator_lib.build_estimator(toy.config(
      tmp_path, train__save_checkpoints_steps=None,
      train__save_checkpoints_secs=7, train__keep_checkpoint_max=3,
      train__seed=11), toy.model_fn).config
  assert run_config.save_checkpoints_secs == 7
  assert run_config.save_checkpoints_steps is None
  assert run_config.keep_checkpoint_max == 3
  assert run_config.tf_random_seed == 11
  assert run_config.train_distribute is None
  run_config = estimator_lib.build_estimator(
      toy.config(tmp_path, train__save_checkpoints_steps=9),
      toy.model_fn).config
  assert run_config.save_checkpoints_steps == 9
  assert run_config.save_checkpoints_secs is None


def test_several_devices_are_replicas(tmp_path):
  config = toy.config(tmp_path)
  devices = ['/cpu:0', '/cpu:1']
  assert estimator_lib.num_replicas(config) == 1
  assert estimator_lib.num_replicas(config, devices) == 2
  run_config = estimator_lib.build_estimator(
      config, toy.model_fn, devices=devices).config
  assert run_config.train_distribute.num_replicas_in_sync == 2
  assert run_config.session_config.device_count['CPU'] == 2


def test_workers_share_the_batch(tmp_path):
  config = toy.config(tmp_path)
  hosts = cluster.Cluster(['a:1', 'b:1', 'c:1', 'd:1'], 2)
  assert estimator_lib.num_replicas(config, cluster=hosts) == 4
  assert estimator_lib.num_replicas(config, ['/gpu:0', '/gpu:1'], hosts) == 8


def test_one_process_does_not_look_at_tf_config(tmp_path, monkeypatch):
  """RunConfig would wait for the other workers."""
  monkeypatch.setenv('TF_CONFIG', json.dumps({
      'cluster': {'worker': ['a:1', 'b:1']},
      'task': {'type': 'worker', 'index': 1}}))
  run_config = estimator_lib.build_estimator(
      toy.config(tmp_path), toy.model_fn).config
  assert run_config.master == '' and run_config.is_chief
  assert 'b:1' in os.environ['TF_CONFIG']
