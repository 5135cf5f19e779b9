"""Builds the Estimator of a job, and its batches."""

from typing import Any, Callable, Dict, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import base
from executor import cluster as cluster_lib
from executor import devices as devices_lib
from executor import errors
from executor import precision
from executor import tpu as tpu_lib
from utils import modes


def num_replicas(config: base.Config, devices: Optional[Sequence[str]] = None,
                 cluster: Optional[cluster_lib.Cluster] = None) -> int:
  """Copies of the model in training; each gets its part of the batch.

  Args:
    config: experiment.
    devices: [device name] instead of all GPUs.
    cluster: executor.cluster.Cluster; all its workers have the same number of
      GPUs.

  Returns:
    int.
  """
  if config.use_tpu:
    return (config.train.num_shards or 1) // (
        config.train.num_cores_per_replica or 1)
  if devices is None:
    devices = devices_lib.gpu_names()
  num_workers = cluster.num_workers if cluster else 1
  return num_workers * max(1, len(devices))


def replica_batch_size(config: base.Config, replicas: int) -> int:
  """The part of `train.train_batch_size` that a replica gets at once.

  Raises:
    errors.SetupError: if the batch cannot be divided.
  """
  size, parts = config.train.train_batch_size, config.train.accumulation_steps
  divisor = replicas * parts
  if size % divisor:
    raise errors.SetupError(
        'train.train_batch_size is %d, which cannot be divided among %d '
        'replicas%s: it is the batch of all devices together. Choose %d or %d.'
        % (size, replicas, (' in %d parts (train.accumulation_steps)' % parts
                            if parts > 1 else ''),
           max(1, size // divisor) * divisor,
           (size // divisor + 1) * divisor))
  return size // divisor


def build_estimator(
    config: base.Config, model_fn: Callable[..., Any], mode: str = 'train',
    devices: Optional[Sequence[str]] = None,
    cluster: Optional[cluster_lib.Cluster] = None) -> tf.estimator.Estimator:
  """Builds the Estimator.

  Args:
    config: experiment.
    model_fn: result of modeling.factory.build_model_fn.
    mode: that of main.py; on a TPU, mode predict has another batch size than
      evaluation.
    devices: [device name] to replicate training on, instead of all GPUs.
    cluster: executor.cluster.Cluster to train in as one of the workers; None:
      this process does everything.

  Returns:
    tf.estimator.Estimator, or a TPUEstimator if `config.use_tpu`.
  """
  if config.use_tpu:
    return _build_tpu_estimator(config, model_fn, mode)
  run_config = (_cluster_run_config(config) if cluster
                else _local_run_config(config, devices))
  return tf.estimator.Estimator(model_fn, model_dir=config.model_dir,
                                params={}, config=run_config)


def _build_tpu_estimator(config, model_fn, mode):
  tpu = tpu_lib.connect(config, mode)
  return tpu_lib.build_estimator(
      config, model_fn, mode,
      dict(_common_options(config.train), **checkpoint_interval(config.train)),
      tpu)


def _local_run_config(config, devices):
  """RunConfig of one host: its CPU, its GPU or all its GPUs."""
  if devices is None:
    devices = devices_lib.gpu_names()
  session_config = precision.session_config(config)
  strategy = None
  if len(devices) > 1:
    num_cpus = sum('cpu' in d.lower() for d in devices)
    if num_cpus:
      session_config.device_count['CPU'] = num_cpus
    strategy = tf.distribute.MirroredStrategy(devices)
  with cluster_lib.hidden():
    return _run_config(config, session_config, strategy,
                       **checkpoint_interval(config.train))


def _cluster_run_config(config):
  """RunConfig of one of several hosts; TensorFlow reads TF_CONFIG."""
  strategy = tf.distribute.experimental.MultiWorkerMirroredStrategy()
  # Estimator would save at other steps on each worker, by its own clock, and
  # wait forever; workers.SharedSaver saves instead.
  return _run_config(
      config, precision.session_config(config), strategy,
      save_checkpoints_secs=None, save_checkpoints_steps=None)


def _run_config(config, session_config, strategy, **interval):
  return tf.estimator.RunConfig(
      model_dir=config.model_dir, session_config=session_config,
      train_distribute=strategy,
      # hooks.SummaryHook and hooks.TrainingHook report them instead. Workers
      # other than the chief would leave folders of events in model_dir.
      save_summary_steps=None, log_step_count_steps=None,
      **_common_options(config.train), **interval)


def _common_options(train):
  """Arguments that RunConfig has for every device."""
  return dict(tf_random_seed=train.seed,
              keep_checkpoint_max=train.keep_checkpoint_max)


def checkpoint_interval(train: base.Section) -> Dict[str, Any]:
  """How often training saves, as arguments of RunConfig.

  Args:
    train: section `train`.

  Returns:
    {name: number} with one of the two names.
  """
  if train.save_checkpoints_steps:
    return {'save_checkpoints_steps': train.save_checkpoints_steps}
  return {'save_checkpoints_secs': train.save_checkpoints_secs}


def with_batch_size(input_fn: Callable[..., Any], config: base.Config,
                    mode: str, replicas: int = 1) -> Callable[..., Any]:
  """Gives an input function the batch size of its purpose.

  Args:
    input_fn: (params, input_context) -> dataset, of dataloader.factory.
    config: experiment.
    mode: one of utils.modes: TRAIN, PREDICT_WITH_GT and EVAL (evaluation) or
      PREDICT.
    replicas: int, copies of the model; 1 outside of training.

  Returns:
    An input function for Estimator. TPUEstimator sets `params['batch_size']`
    itself, so for a TPU it is `input_fn`.
  """
  if config.use_tpu:
    return input_fn
  if mode == modes.TRAIN:
    batch_size = replica_batch_size(config, replicas)
  elif mode == modes.PREDICT:
    batch_size = config.predict.predict_batch_size
  else:
    batch_size = config.eval.eval_batch_size

  def sized_input_fn(params, input_context=None):
    return input_fn(dict(params or {}, batch_size=batch_size), input_context)

  return sized_input_fn
