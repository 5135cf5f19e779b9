"""What can be known to fail is told before any graph is built."""

import tensorflow.compat.v1 as tf

from configs import base
from evaluation import factory as evaluation_factory
from executor import checkpoints
from executor import errors
from executor import estimator as estimator_lib
from executor import evaluation
from executor import model_dir as model_dir_lib
from executor import precision
from executor import prediction
from executor import tpu
from executor import tpu_setup
from modeling.training import warm_start


def check(config, mode, with_eval=False, checkpoint_path=None, cluster=None):
  """Checks a job.

  The record files are checked by the input functions, when they are made.

  Args:
    config: experiment.
    mode: 'train', 'eval', 'train_and_eval' or 'predict'.
    with_eval: whether mode train ends with an evaluation.
    checkpoint_path: the checkpoint of a single evaluation or prediction.
    cluster: executor.cluster.Cluster, if this is one of several workers.

  Raises:
    errors.SetupError: saying which key or flag is to change.
  """
  _check_model_dir(config, mode, checkpoint_path)
  tpu_setup.check_places(config, mode, with_eval)
  if config.use_tpu and mode == 'train':
    tpu_setup.check_partition(config)
  if mode in ('train', 'train_and_eval'):
    _check_training(config, cluster)
  if mode != 'train' or with_eval:
    precision.check_evaluation(config)
    # The cores of another TPU are counted when it is found.
    if config.use_tpu and not config.platform.eval_master:
      _check_evaluation_on_tpu(config, mode)
  if mode in ('eval', 'train_and_eval') or with_eval:
    _check_evaluation(config)
  if mode == 'predict' and not prediction.file_pattern(config):
    raise errors.SetupError(
        'Mode predict needs record files: set predict.predict_file_pattern or '
        'eval.eval_file_pattern.')
  if mode != 'train' or with_eval:
    _check_detections(config)


def _check_model_dir(config, mode, checkpoint_path):
  if not config.model_dir:
    raise errors.SetupError('--model_dir is not given: the folder of '
                            'checkpoints and results.')
  if mode in ('eval', 'predict') and checkpoint_path:
    if not tf.train.checkpoint_exists(checkpoint_path):
      raise errors.SetupError(
          '--checkpoint_path: there is no checkpoint %s (such as '
          '.../model.ckpt-1000, without .index).' % checkpoint_path)
    return
  model_dir_lib.check_same_model(
      config, is_training=mode in ('train', 'train_and_eval'))


def _check_training(config, cluster):
  estimator_lib.replica_batch_size(
      config, estimator_lib.num_replicas(config, cluster=cluster))
  precision.check(config)
  if not checkpoints.latest(config.model_dir):
    as_setup_error(warm_start.first_step, config.train.checkpoint,
                   config.train.total_steps)


def _check_evaluation_on_tpu(config, mode):
  """TPUEstimator would find these after training, or after a long start."""
  cores = config.train.num_shards or tpu.MAX_CORES_OF_A_HOST
  if cores > tpu.MAX_CORES_OF_A_HOST:
    raise errors.SetupError(tpu.NO_EVALUATION_ON_A_POD % (
        'train.num_shards (--num_cores) is %d' % cores))
  key = ('predict.predict_batch_size' if mode == 'predict'
         else 'eval.eval_batch_size')
  size = base.lookup(config, key)
  if size % cores:
    raise errors.SetupError(
        '%s is %d, which cannot be divided among the %d cores of the TPU '
        '(--num_cores): choose %d or %d.' % (
            key, size, cores, max(1, size // cores) * cores,
            (size // cores + 1) * cores))


def _check_evaluation(config):
  section = config.eval
  if evaluation.uses_json_file(section):
    _check_file('eval.val_json_file', section.val_json_file)
  if section.label_map:
    _check_file('eval.label_map', section.label_map)
  if section.type == 'customized':
    as_setup_error(evaluation_factory.build_customized_evaluator, config)
  else:
    as_setup_error(evaluation_factory.build_evaluator, section)
  if section.type in evaluation.MASK_TYPES and not getattr(
      config.architecture, 'include_mask', True):
    raise errors.SetupError(
        'eval.type is %r, but architecture.include_mask is false: the model '
        'gives no masks to evaluate. Set eval.type to box.' % section.type)


def _check_file(key, path):
  if not tf.gfile.Exists(path) or tf.gfile.IsDirectory(path):
    raise errors.SetupError('%s: there is no file %s.' % (key, path))


def _check_detections(config):
  section = getattr(config, 'postprocess', None)  # only detectors have it
  if section and not section.apply_nms:
    raise errors.SetupError(
        'postprocess.apply_nms is false: the model gives raw boxes, and '
        'detections are needed. Set it to true.')


def as_setup_error(function, *args, **kwargs):
  """Calls a function whose ValueError is about the configuration."""
  try:
    return function(*args, **kwargs)
  except ValueError as e:
    raise errors.SetupError(str(e))
