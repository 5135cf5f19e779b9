"""Finds what will fail in a job before any graph is built, all at once.

`problems` runs every check of a job: of the keys against each other
(`configs/`), and against the mode, the devices and the files of `model_dir`
(`_CHECKS`). All that has to be changed is reported in one list.
"""

import typing

import tensorflow.compat.v1 as tf

from configs import base
from dataloader import file_patterns
from evaluation import factory as evaluation_factory
from executor import checkpoints
from executor import errors
from executor import estimator as estimator_lib
from executor import evaluation
from executor import evaluation_loop
from executor import model_dir as model_dir_lib
from executor import precision
from executor import prediction
from executor import tpu
from executor import tpu_setup
from executor import tracking
from modeling import whole_checkpoint
from modeling.training import warm_start
from utils import label_map


class Job(typing.NamedTuple):
  """The request for a job, which the checks read."""
  config: typing.Any  # experiment
  mode: str  # that of main.py
  with_eval: bool = False  # whether mode train ends with an evaluation
  checkpoint_path: typing.Optional[str] = None  # of a single evaluation
  cluster: typing.Any = None  # executor.cluster.Cluster, of several workers
  once: bool = False  # whether one checkpoint is evaluated or predicted with

  @property
  def trains(self):
    return self.mode in tpu_setup.TRAINING_MODES

  @property
  def predicts(self):
    """Whether the job predicts, in an evaluation or in mode predict."""
    return self.mode != 'train' or self.with_eval

  @property
  def evaluates(self):
    return self.predicts and self.mode != 'predict'


def problems(job):
  """All problems of a job.

  Args:
    job: Job.

  Returns:
    [sentence], each naming the key or flag to change. Contradictions between
    keys come first.
  """
  found = list(job.config.problems(job.trains))
  for applies, check_job in _CHECKS:
    if applies(job):
      found += problems_of(check_job, job)
  return found


def file_problems(job):
  """[sentence] about patterns of records that match no file.

  Args:
    job: Job.
  """
  patterns = []
  if job.trains:
    patterns.append((job.config.train.train_file_pattern,
                     'train.train_file_pattern'))
  if job.evaluates:
    patterns.append((job.config.eval.eval_file_pattern,
                     'eval.eval_file_pattern'))
  return [sentence for pattern, key in patterns
          for sentence in problems_of(file_patterns.expand, pattern, key)]


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
    errors.SetupError: with all `problems`.
  """
  refuse(problems(Job(config, mode, with_eval, checkpoint_path, cluster)))


def refuse(found):
  """Raises errors.SetupError if there is any problem, naming each once.

  Args:
    found: [sentence].
  """
  if found:
    raise errors.SetupError(*dict.fromkeys(found))


def problems_of(function, *args):
  """[sentence] of the error that a function raises; empty if it raises none.

  Args:
    function: raises errors.SetupError, or ValueError about the configuration.
    *args: its arguments.
  """
  try:
    function(*args)
  except (errors.SetupError, ValueError) as e:
    return list(getattr(e, 'problems', [str(e)]))
  return []


def _check_model_dir(job):
  if not job.config.model_dir:
    raise errors.SetupError('--model_dir is not given: the folder of '
                            'checkpoints and results.')
  path = job.checkpoint_path
  if job.mode in ('eval', 'predict') and path:
    if not tf.train.checkpoint_exists(path):
      raise errors.SetupError(
          '--checkpoint_path: there is no checkpoint %s (such as '
          '.../model.ckpt-1000, without .index).' % path)
    whole_checkpoint.verify(path)
    return
  if (job.once and job.config.eval.eval_timeout is None
      and not checkpoints.latest(job.config.model_dir)):
    raise errors.SetupError(
        evaluation_loop.nothing_there(job.config.model_dir))
  model_dir_lib.check_same_model(job.config, is_training=job.trains)


def _check_places(job):
  tpu_setup.check_places(job.config, job.mode, job.with_eval)


def _check_batch(job):
  estimator_lib.replica_batch_size(job.config, estimator_lib.num_replicas(
      job.config, cluster=job.cluster))


def _check_warm_start(job):
  train = job.config.train
  if not checkpoints.latest(job.config.model_dir):
    warm_start.first_step(train.checkpoint, train.total_steps)


def _check_evaluation_on_tpu(config, mode):
  """Checks what TPUEstimator would only find after training or a long start."""
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


def _check_json_file(job):
  section = job.config.eval
  if evaluation.uses_json_file(section):
    _check_file('eval.val_json_file', section.val_json_file)


def _check_evaluator(job):
  if job.config.eval.label_map:  # which an evaluator reads
    _check_file('eval.label_map', job.config.eval.label_map)
  if job.config.eval.type == 'customized':
    evaluation_factory.build_customized_evaluator(job.config)
  else:
    evaluation_factory.build_evaluator(job.config.eval)


def _check_class_names(job):
  path, num_classes = (job.config.eval.label_map,
                       job.config.architecture.num_classes)
  if not tf.gfile.Exists(path):
    return  # A job that needs it reports that.
  beyond = sorted(i for i in label_map.read_label_map(path)
                  if i >= num_classes)
  if beyond:
    raise errors.SetupError(
        'eval.label_map: %s names class(es) beyond those of the model: %s. '
        'architecture.num_classes is %d, which includes class 0 (the '
        'background of detectors). Set it to %d, or use another file.' % (
            path, ', '.join(map(str, beyond[:5])) + (
                ' and %d more' % (len(beyond) - 5) if len(beyond) > 5 else ''),
            num_classes, beyond[-1] + 1))


def _check_masks(job):
  section = job.config.eval
  if section.type in evaluation.MASK_TYPES and not getattr(
      job.config.architecture, 'include_mask', True):
    raise errors.SetupError(
        'eval.type is %r, but architecture.include_mask is false: the model '
        'has no masks to evaluate. Set eval.type to box.' % section.type)


def _check_file(key, path):
  if not tf.gfile.Exists(path) or tf.gfile.IsDirectory(path):
    raise errors.SetupError('%s: there is no file %s.' % (key, path))


def _check_pattern(job):
  if not prediction.file_pattern(job.config):
    raise errors.SetupError(
        'Mode predict needs record files: set predict.predict_file_pattern or '
        'eval.eval_file_pattern.')


def _check_detections(job):
  # Only detectors have it.
  section = getattr(job.config, 'postprocess', None)
  if section and not section.apply_nms:
    raise errors.SetupError(
        'postprocess.apply_nms is false: the model returns raw boxes, but '
        'detections are needed. Set it to true.')


def as_setup_error(function, *args, **kwargs):
  """Calls a function whose ValueError is about the configuration."""
  try:
    return function(*args, **kwargs)
  except ValueError as e:
    raise errors.SetupError(str(e))


# (whether the check applies, the check), both functions of a Job. A check
# raises errors.SetupError, or ValueError about the configuration.
_CHECKS = (
    (lambda job: True, _check_model_dir),
    (lambda job: True, _check_places),
    (lambda job: job.config.use_tpu and job.mode == 'train',
     lambda job: tpu_setup.check_partition(job.config)),
    (lambda job: job.trains, _check_batch),
    (lambda job: job.trains, lambda job: precision.check(job.config)),
    (lambda job: job.trains, lambda job: tracking.check(job.config)),
    (lambda job: job.trains and job.config.model_dir, _check_warm_start),
    (lambda job: job.predicts,
     lambda job: precision.check_evaluation(job.config)),
    # The cores of another TPU are counted when it is found.
    (lambda job: (job.predicts and job.config.use_tpu
                  and not job.config.platform.eval_master),
     lambda job: _check_evaluation_on_tpu(job.config, job.mode)),
    (lambda job: job.evaluates, _check_json_file),
    (lambda job: job.evaluates, _check_evaluator),
    (lambda job: job.config.eval.label_map, _check_class_names),
    (lambda job: job.evaluates, _check_masks),
    (lambda job: job.mode == 'predict', _check_pattern),
    (lambda job: job.predicts, _check_detections),
)
