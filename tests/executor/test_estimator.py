"""Estimators by device; batch sizes by purpose."""

import types

import pytest
import tensorflow.compat.v1 as tf

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


def _tpu_config(tmp_path, **changes):
  return toy.config(
      tmp_path, use_tpu=True, platform__tpu='my-tpu', platform__tpu_zone='z',
      platform__gcp_project='p', train__num_shards=8,
      train__iterations_per_loop=20, **changes)


def _fake_resolver(calls):
  def make(tpu, zone, project):
    calls.append((tpu, zone, project))
    # What RunConfig reads of a resolver.
    return types.SimpleNamespace(
        master=lambda *args, **kwargs: 'grpc://1.2.3.4:8470',
        cluster_spec=lambda: None, get_master=lambda: 'grpc://1.2.3.4:8470',
        get_job_name=lambda: 'worker', task_type=None, task_id=None)
  return make


def test_tpu_estimator(tmp_path):
  calls = []
  config = _tpu_config(
      tmp_path, train__num_cores_per_replica=2, tpu_job_name='job',
      eval__eval_batch_size=16, predict__predict_batch_size=24,
      train__input_partition_dims=[[1, 2, 1, 1], None],
      train__train_batch_size=64)
  estimator = estimator_lib.build_estimator(
      config, toy.model_fn, make_resolver=_fake_resolver(calls))
  assert calls == [('my-tpu', 'z', 'p')]
  assert isinstance(estimator, tf.estimator.tpu.TPUEstimator)
  tpu_config = estimator.config.tpu_config
  assert tpu_config.iterations_per_loop == 20
  assert tpu_config.num_cores_per_replica == 2
  # NHWC as configured; the batch travels as HWCN.
  assert tpu_config.input_partition_dims == [[2, 1, 1, 1], None]
  assert tpu_config.tpu_job_name == 'job'
  assert tpu_config.per_host_input_for_training == (
      tf.estimator.tpu.InputPipelineConfig.PER_HOST_V2)
  assert estimator_lib.num_replicas(config) == 4
  with estimator._ctx.with_mode('infer') as context:
    assert context.global_batch_size == 16
  estimator = estimator_lib.build_estimator(
      config, toy.model_fn, 'predict', make_resolver=_fake_resolver(calls))
  with estimator._ctx.with_mode('infer') as context:
    assert context.global_batch_size == 24
  assert estimator_lib.with_batch_size(toy.input_fn, config,
                                       modes.TRAIN) is toy.input_fn


def test_partition_of_plain_layout(tmp_path):
  config = _tpu_config(tmp_path, train__transpose_input=False,
                       train__num_cores_per_replica=2,
                       train__input_partition_dims=[[1, 2, 1, 1], 'None'])
  assert estimator_lib.partition_dims(config.train) == [[1, 2, 1, 1], None]


def test_tpu_that_does_not_exist(tmp_path):
  def make(tpu, zone, project):
    raise ValueError('Please provide a TPU Name to connect to.')
  with pytest.raises(errors.SetupError, match='no TPU my-tpu: Please.*--tpu'):
    estimator_lib.build_estimator(_tpu_config(tmp_path), toy.model_fn,
                                  make_resolver=make)
