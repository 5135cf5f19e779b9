"""TPUs: how one is found and checked, and its Estimator."""

import dataclasses
from typing import Any, Callable, Dict, Optional

import tensorflow.compat.v1 as tf

from configs import base
from dataloader import factory as dataloader_factory
from executor import errors
from executor import hooks
from executor import tpu_setup
from utils import fields
from utils import modes
from utils import tpu_names

LOCAL = tpu_names.LOCAL
# Height and width of HWCN, of NHWC: where the host turns the training batch.
_TRANSPOSED = (1, 2, 3, 0)
# Labels that are maps of the image, besides those of each level.
_MAPS = (fields.MASKS, fields.VALID_MASKS)
MAX_CORES_OF_A_HOST = 8  # those of a v2-8 or v3-8
NO_EVALUATION_ON_A_POD = (
    'A TPU Pod trains but does not evaluate or predict, and %s. Train with '
    '--mode=train, without --eval_after_training; evaluate alongside it with '
    '--mode=eval on a TPU with one host, a GPU or a CPU (docs/pods.md).')


def find(platform: base.Section,
         make_resolver: Optional[Callable[..., Any]] = None) -> Any:
  """Finds the TPU that the flags name.

  Args:
    platform: section `platform`.
    make_resolver: (tpu, zone=, project=) -> cluster resolver, instead of
      TensorFlow's.

  Returns:
    A cluster resolver.

  Raises:
    errors.SetupError: saying what to give.
  """
  if make_resolver is None:
    name = tpu_setup.check_name(platform)
    make_resolver = tf.distribute.cluster_resolver.TPUClusterResolver
    if name and name != LOCAL:
      tf.logging.info('Looking for the TPU %s.', name)
  return tpu_setup.resolve(platform, make_resolver)


def check_cores(config: base.Config, cluster: Any,
                count_cores: Optional[Callable[[Any], int]] = None) -> None:
  """Compares --num_cores with the cores of the slice.

  Args:
    config: experiment.
    cluster: resolver of `find`.
    count_cores: (cluster) -> int, instead of asking the TPU.

  Raises:
    errors.SetupError: naming both numbers, or that there is no TPU.
  """
  name = tpu_names.resolve(config.platform.tpu)[0]
  found = tpu_setup.count_cores(name, cluster, count_cores)
  wanted = config.train.num_shards
  if found != wanted:
    raise errors.SetupError(
        '--num_cores is %s, and the TPU %s has %d cores. Give --num_cores=%d '
        '(train.num_shards), or name the intended slice.' % (
            wanted, name, found, found))


def check_one_host(config: base.Config, cluster: Any) -> None:
  """Checks that a TPU can evaluate: its cores belong to one host.

  Args:
    config: experiment.
    cluster: resolver of `find`.

  Raises:
    errors.SetupError: for a Pod.
  """
  spec = cluster.cluster_spec()
  hosts = spec.num_tasks('worker') if spec and 'worker' in spec.jobs else 1
  if hosts > 1:
    raise errors.SetupError(NO_EVALUATION_ON_A_POD % (
        'the TPU %s has %d hosts' % (config.platform.tpu, hosts)))


def _check_evaluating_cores(config, cluster, key, count_cores):
  """Checks the batch `key` against the cores of a TPU that only evaluates."""
  found = tpu_setup.count_cores(config.platform.tpu, cluster, count_cores)
  if base.lookup(config, key) % found:
    raise errors.SetupError(
        '%s is %d, which cannot be divided among the %d cores of '
        '--eval_master=%s.' % (key, base.lookup(config, key), found,
                               config.platform.tpu))


def connect(config: base.Config, mode: str,
            make_resolver: Optional[Callable[..., Any]] = None,
            count_cores: Optional[Callable[[Any], int]] = None) -> Any:
  """Finds the TPU of a job and checks it, with log lines while it waits.

  Args:
    config: experiment.
    mode: that of main.py; evaluation and prediction go to --eval_master.
    make_resolver: see `find`.
    count_cores: see `check_cores`.

  Returns:
    A cluster resolver.

  Raises:
    errors.SetupError: saying what to give.
  """
  trains = mode in tpu_setup.TRAINING_MODES
  elsewhere = config.platform.eval_master  # where it evaluates, if it is set
  if elsewhere and not trains:
    config = dataclasses.replace(config, platform=dataclasses.replace(
        config.platform, tpu=elsewhere))
  cluster = find(config.platform, make_resolver)
  if elsewhere and not trains:
    key = ('predict.predict_batch_size' if mode == 'predict'
           else 'eval.eval_batch_size')
    _check_evaluating_cores(config, cluster, key, count_cores)
  else:
    check_cores(config, cluster, count_cores)
  if mode != 'train' and not (trains and elsewhere):
    check_one_host(config, cluster)
  name = tpu_names.resolve(config.platform.tpu)[0]
  if trains:
    tpu_setup.reset_node(name, cluster)
    tpu_setup.say_about_preemption(name)
  return cluster


def partition_dims(config: base.Config) -> Any:
  """How the inputs of the training step are divided for spatial partitioning.

  Args:
    config: experiment; `train.input_partition_dims` is read, four ints (batch,
      height, width, channels) or None for images and for labels.

  Returns:
    None, or a list: dims of the images in the layout of the infeed; if given,
    dims of the labels as the nest that TPUEstimator asks for. Tensors whose
    dims are None are passed to every core.
  """
  if config.train.input_partition_dims is None:
    return None
  tpu_setup.check_partition(config)
  result = [None if dims in (None, 'None') else list(dims)
            for dims in config.train.input_partition_dims]
  if result[0] and config.train.transpose_input:
    result[0] = [result[0][axis] for axis in _TRANSPOSED]
  if len(result) > 1 and result[1]:
    parser = dataloader_factory.build_parser(config, modes.TRAIN)
    result[1] = _dims_of_labels(parser.labels_spec(), result[1])
  return result


def _dims_of_labels(spec, dims, is_map=False):
  """The nest `spec` with `dims` for maps of the image that divide evenly."""
  if isinstance(spec, dict):
    return {name: _dims_of_labels(
        part, dims, is_map or isinstance(name, int) or name in _MAPS)
            for name, part in spec.items()}
  # Labels are not transposed; the batch goes first.
  fits = is_map and all(size % parts == 0 for size, parts in zip(
      spec.shape.as_list(), dims[1:]))
  return list(dims) if fits else None


def with_signals(model_fn: Callable[..., Any]) -> Callable[..., Any]:
  """A model_fn whose training leaves Ctrl-C to the handler that is set.

  Args:
    model_fn: (features, labels, mode, params) -> TPUEstimatorSpec.
  """
  def keeping_model_fn(features, labels, mode, params):
    spec = model_fn(features, labels, mode, params)
    if mode != tf.estimator.ModeKeys.TRAIN:
      return spec
    return spec._replace(training_hooks=tuple(spec.training_hooks or ()) + (
        hooks.KeepSignalHandlers(),))

  return keeping_model_fn


def build_estimator(config: base.Config, model_fn: Callable[..., Any],
                    mode: str, options: Dict[str, Any],
                    cluster: Any) -> tf.estimator.Estimator:
  """Builds the Estimator; its batch sizes are those of all cores.

  Args:
    config: experiment.
    model_fn: result of modeling.factory.build_model_fn.
    mode: that of main.py.
    options: {argument of RunConfig: value} that all devices have in common.
    cluster: resolver of `find`.

  Returns:
    tf.estimator.tpu.TPUEstimator.
  """
  tpu = tf.estimator.tpu
  train = config.train
  run_config = tpu.RunConfig(
      cluster=cluster,
      evaluation_master=config.platform.eval_master,
      model_dir=config.model_dir,
      session_config=tf.ConfigProto(
          isolate_session_state=config.isolate_session_state),
      # The progress hook reports instead.
      log_step_count_steps=None,
      save_summary_steps=train.log_every_steps,
      tpu_config=tpu.TPUConfig(
          iterations_per_loop=train.iterations_per_loop,
          num_cores_per_replica=train.num_cores_per_replica,
          input_partition_dims=partition_dims(config),
          tpu_job_name=config.tpu_job_name,
          experimental_host_call_every_n_steps=train.host_call_every_n_steps,
          per_host_input_for_training=tpu.InputPipelineConfig.PER_HOST_V2),
      **options)
  return tpu.TPUEstimator(
      with_signals(model_fn), config=run_config, use_tpu=True, params={},
      train_batch_size=train.train_batch_size // train.accumulation_steps,
      eval_batch_size=config.eval.eval_batch_size,
      predict_batch_size=(config.predict.predict_batch_size
                          if mode == 'predict'
                          else config.eval.eval_batch_size))
