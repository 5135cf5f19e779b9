"""TPUs: how one is found, what it is asked to do, and its Estimator."""

import tensorflow.compat.v1 as tf

from dataloader import factory as dataloader_factory
from executor import errors
from executor import hooks
from ops import compat
from utils import fields
from utils import modes

LOCAL = 'local'  # --tpu of a TPU VM, whose chips are in the machine itself
# Height and width of HWCN, of NHWC: where the host turns the training batch.
_TRANSPOSED = (1, 2, 3, 0)
# Labels that are maps of the image, besides those of each level.
_MAPS = (fields.MASKS, fields.VALID_MASKS)
_ANSWER_SECONDS = 300  # for a TPU to list its cores
MAX_CORES_OF_A_HOST = 8  # those of a v2-8 or v3-8
NO_EVALUATION_ON_A_POD = (
    'A TPU Pod trains but does not evaluate or predict, and %s. Train with '
    '--mode=train, without --eval_after_training; evaluate with --mode=eval '
    'beside it on a TPU with one host, a GPU or a CPU (docs/pods.md).')


def find(platform, make_resolver=None):
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
  if platform.tpu == LOCAL and not compat.HAS_TPU_VMS:
    raise errors.SetupError(
        '--tpu=local is a TPU VM, which TensorFlow 1.15 cannot drive: use the '
        'environment of TensorFlow 2.15 (RUNTIME=tf2, with its TPU build), or '
        'name a TPU node.')
  make_resolver = (make_resolver or
                   tf.distribute.cluster_resolver.TPUClusterResolver)
  try:
    return make_resolver(platform.tpu, zone=platform.tpu_zone,
                         project=platform.gcp_project)
  except (ValueError, RuntimeError, ImportError) as e:
    raise errors.SetupError(
        'There is no TPU %s: %s Give its name or grpc:// address with --tpu '
        '(and --tpu_zone, --gcp_project), "local" on a TPU VM, or leave '
        '--use_tpu out.' % (platform.tpu or '(--tpu is not given)', e))


def check_cores(config, cluster, count_cores=None):
  """Compares --num_cores with the cores of the slice.

  Args:
    config: experiment.
    cluster: resolver of `find`.
    count_cores: (cluster) -> int, instead of asking the TPU.

  Raises:
    errors.SetupError: naming both numbers, or that there is no TPU.
  """
  try:
    found = (count_cores or _count_cores)(cluster)
  except (RuntimeError, ValueError, tf.errors.OpError) as e:
    raise errors.SetupError('The TPU %s does not answer: %s' % (
        config.platform.tpu, e))
  wanted = config.train.num_shards
  if not found:
    raise errors.SetupError(
        'TensorFlow finds no TPU core at %s. On a TPU VM it has to be the TPU '
        'build (docs/tpu.md), and no other process may hold the chips.'
        % config.platform.tpu)
  if found != wanted:
    raise errors.SetupError(
        '--num_cores is %s, and the TPU %s has %d cores. Give --num_cores=%d '
        '(train.num_shards), or name the slice that was meant.' % (
            wanted, config.platform.tpu, found, found))


def check_one_host(config, cluster):
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


def _count_cores(cluster):
  """The cores of all hosts of a slice."""
  hosts = cluster.cluster_spec()
  options = tf.ConfigProto(
      operation_timeout_in_ms=_ANSWER_SECONDS * 1000,
      cluster_def=hosts.as_cluster_def() if hosts else None)
  with tf.Graph().as_default(), tf.Session(cluster.master(),
                                           config=options) as session:
    return sum(d.device_type == 'TPU' for d in session.list_devices())


def partition_dims(config):
  """How the inputs of the training step are cut for spatial partitioning.

  Args:
    config: experiment; `train.input_partition_dims` is read, four ints (batch,
      height, width, channels) or None for images and for labels.

  Returns:
    None, or a list: dims of the images in the layout of the infeed; if given,
    dims of the labels as the nest that TPUEstimator asks for. Every core gets
    the whole of what has None.
  """
  if config.train.input_partition_dims is None:
    return None
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


def with_signals(model_fn):
  """A model_fn whose training leaves Ctrl-C to whoever handles it."""
  def keeping_model_fn(features, labels, mode, params):
    spec = model_fn(features, labels, mode, params)
    if mode != tf.estimator.ModeKeys.TRAIN:
      return spec
    return spec._replace(training_hooks=tuple(spec.training_hooks or ()) + (
        hooks.KeepSignalHandlers(),))

  return keeping_model_fn


def build_estimator(config, model_fn, mode, options, cluster):
  """Builds the Estimator; its batch sizes are those of all cores.

  Args:
    config: experiment.
    model_fn: of modeling.model_fn.make_model_fn.
    mode: of main.py.
    options: {argument of RunConfig: value}, those of every device.
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
          per_host_input_for_training=tpu.InputPipelineConfig.PER_HOST_V2),
      **options)
  return tpu.TPUEstimator(
      with_signals(model_fn), config=run_config, use_tpu=True, params={},
      train_batch_size=train.train_batch_size // train.accumulation_steps,
      eval_batch_size=config.eval.eval_batch_size,
      predict_batch_size=(config.predict.predict_batch_size
                          if mode == 'predict'
                          else config.eval.eval_batch_size))
