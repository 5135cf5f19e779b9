"""Builds the Estimator of a job, and its batches."""

import tensorflow.compat.v1 as tf

from executor import devices as devices_lib
from executor import errors
from utils import modes

# Height and width of HWCN, of NHWC: where the host turns the training batch.
_TRANSPOSED = (1, 2, 3, 0)


def num_replicas(config, devices=None):
  """Copies of the model in training; each gets its part of the batch.

  Args:
    config: experiment.
    devices: [device name] instead of all GPUs.

  Returns:
    int.
  """
  if config.use_tpu:
    return (config.train.num_shards or 1) // (
        config.train.num_cores_per_replica or 1)
  if devices is None:
    devices = devices_lib.gpu_names()
  return max(1, len(devices))


def replica_batch_size(config, replicas):
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


def build_estimator(config, model_fn, mode='train', devices=None,
                    make_resolver=None):
  """Builds the Estimator.

  Args:
    config: experiment.
    model_fn: of modeling.model_fn.make_model_fn.
    mode: of main.py; on a TPU, mode predict has another batch size than
      evaluation.
    devices: [device name] to replicate training on, instead of all GPUs.
    make_resolver: (tpu, zone=, project=) -> cluster resolver.

  Returns:
    tf.estimator.Estimator, or a TPUEstimator if `config.use_tpu`.
  """
  if config.use_tpu:
    return _build_tpu_estimator(config, model_fn, mode, make_resolver)
  return tf.estimator.Estimator(
      model_fn, model_dir=config.model_dir, params={},
      config=_run_config(config, devices))


def _run_config(config, devices):
  """RunConfig of CPU and GPUs."""
  if devices is None:
    devices = devices_lib.gpu_names()
  session_config = tf.ConfigProto(
      allow_soft_placement=True,
      isolate_session_state=config.isolate_session_state)
  strategy = None
  if len(devices) > 1:
    num_cpus = sum('cpu' in d.lower() for d in devices)
    if num_cpus:
      session_config.device_count['CPU'] = num_cpus
    strategy = tf.distribute.MirroredStrategy(devices)
  return tf.estimator.RunConfig(
      model_dir=config.model_dir, session_config=session_config,
      train_distribute=strategy,
      save_summary_steps=config.train.log_every_steps,
      # The progress hook reports instead.
      log_step_count_steps=None, **_common_options(config))


def _common_options(config):
  """Arguments that RunConfig has for every device."""
  train = config.train
  # Exactly one of the two may be given.
  if train.save_checkpoints_steps:
    interval = dict(save_checkpoints_steps=train.save_checkpoints_steps)
  else:
    interval = dict(save_checkpoints_secs=train.save_checkpoints_secs)
  return dict(tf_random_seed=train.seed,
              keep_checkpoint_max=train.keep_checkpoint_max, **interval)


def partition_dims(train):
  """How the inputs of the training step are cut for spatial partitioning.

  Args:
    train: section `train`.

  Returns:
    [None or [four ints]] in the layout of the infeed, or None.
  """
  if train.input_partition_dims is None:
    return None
  result = []
  for dims in train.input_partition_dims:
    if dims in (None, 'None'):
      result.append(None)
    elif train.transpose_input:
      result.append([dims[axis] for axis in _TRANSPOSED])
    else:
      result.append(list(dims))
  return result


def _build_tpu_estimator(config, model_fn, mode, make_resolver):
  """TPUEstimator; batch sizes are those of all cores."""
  tpu = tf.estimator.tpu
  make_resolver = (make_resolver or
                   tf.distribute.cluster_resolver.TPUClusterResolver)
  platform = config.platform
  try:
    cluster = make_resolver(platform.tpu, zone=platform.tpu_zone,
                            project=platform.gcp_project)
  except (ValueError, RuntimeError, ImportError) as e:
    raise errors.SetupError(
        'There is no TPU %s: %s Give its name or grpc:// address with --tpu '
        '(and --tpu_zone, --gcp_project), or leave --use_tpu out.'
        % (platform.tpu or '(--tpu is not given)', e))
  run_config = tpu.RunConfig(
      cluster=cluster, evaluation_master=platform.eval_master,
      model_dir=config.model_dir,
      session_config=tf.ConfigProto(
          isolate_session_state=config.isolate_session_state),
      log_step_count_steps=config.train.iterations_per_loop,
      tpu_config=tpu.TPUConfig(
          iterations_per_loop=config.train.iterations_per_loop,
          num_cores_per_replica=config.train.num_cores_per_replica,
          input_partition_dims=partition_dims(config.train),
          tpu_job_name=config.tpu_job_name,
          per_host_input_for_training=tpu.InputPipelineConfig.PER_HOST_V2),
      **_common_options(config))
  return tpu.TPUEstimator(
      model_fn, config=run_config, use_tpu=True, params={},
      train_batch_size=(config.train.train_batch_size
                        // config.train.accumulation_steps),
      eval_batch_size=config.eval.eval_batch_size,
      predict_batch_size=(config.predict.predict_batch_size
                          if mode == 'predict'
                          else config.eval.eval_batch_size))


def with_batch_size(input_fn, config, mode, replicas=1):
  """Gives an input function the batch size of its purpose.

  Args:
    input_fn: (params, input_context) -> dataset, of dataloader.factory.
    config: experiment.
    mode: of utils.modes: TRAIN, PREDICT_WITH_GT and EVAL (evaluation) or
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
