"""Explains TensorFlow's errors of a running job."""

import contextlib
import errno
import re
from typing import Any, Iterator, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import errors
from executor import memory
from ops import compat

# TPUEstimator checks the weights after each loop of steps, in these words.
_NAN_OF_TPU = re.compile(r'Gradient for (\S+?)(?::\d+)? is NaN')
_MEMORY = re.compile(r'ran out of memory|resource exhausted|out of memory|'
                     r'OOM when allocating|exceeded hbm capacity|'
                     r'attempting to reserve|attempting to allocate',
                     re.IGNORECASE)
_COMPILATION = re.compile(
    r'compilation (failure|failed|error)|failed to compile|'
    r'XLA compilation|unsupported on \S*(XLA|TPU)|'
    r'No registered .* OpKernel for XLA_\S+ devices', re.IGNORECASE)
_NO_ROOM = re.compile(r'No space left on device|Disk quota exceeded')
_READ_ONLY = re.compile(r'Read-only file system')
_ERRORS_OF_DISKS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_SHOWN = 400  # characters of TensorFlow's message


@contextlib.contextmanager
def explained_divergence(progress: Any) -> Iterator[None]:
  """Raises errors.TrainingDiverged for TensorFlow's errors about a NaN.

  Our own check of the losses comes first on a CPU and GPUs. On a TPU the
  weights are checked before any hook, as soon as a loop of steps has ended.

  Args:
    progress: has `step`, the last one that is known to be good, and
      `steps_per_call`.
  """
  try:
    yield
  except tf.train.NanLossDuringTrainingError:
    raise errors.TrainingDiverged(
        'Training diverged at step %d: the loss is not finite.'
        % progress.step, progress.step)
  except tf.errors.InvalidArgumentError as e:
    found = _NAN_OF_TPU.search(e.message)
    if not found:
      raise
    first, last = progress.step + 1, progress.step + progress.steps_per_call
    raise errors.TrainingDiverged(
        'Training diverged %s: %s is not finite.' % (
            'at step %d' % last if first == last
            else 'between the steps %d and %d' % (first, last),
            found.group(1)), last)


@contextlib.contextmanager
def explained_errors(config: base.Config) -> Iterator[None]:
  """Raises errors.JobError for errors of the device: memory, compilation, disk.

  Args:
    config: experiment.
  """
  try:
    yield
  except OSError as e:
    if e.errno not in _ERRORS_OF_DISKS:
      raise
    raise errors.JobError(_explain_disk(str(e), config)) from e
  except tf.errors.OpError as e:
    explanation = explain(e, config)
    if explanation is None:
      raise
    raise errors.JobError(explanation) from e


def explain(error: tf.errors.OpError, config: base.Config) -> Optional[str]:
  """The message about an error of the device.

  Args:
    error: tf.errors.OpError.
    config: experiment.

  Returns:
    str, or None where TensorFlow's message is all that is known.
  """
  message = error.message or ''
  if _NO_ROOM.search(message) or _READ_ONLY.search(message):
    return _explain_disk(message, config)
  # TPUs report a program that is too large as an error of the compiler.
  if (_MEMORY.search(message)
      or isinstance(error, tf.errors.ResourceExhaustedError)):
    return _explain_memory(message, config)
  if _COMPILATION.search(message):
    return ('XLA could not compile the graph%s: %s\n'
            '`python -m tools.tpu_check` compiles the same step without a TPU '
            'and names the operation; %s.' % (
                ' for the TPU' if config.use_tpu else '', _shortened(message),
                'docs/tpu_check.md describes it' if config.use_tpu
                else 'train.use_xla=false trains without XLA'))
  return None


def _explain_disk(message, config):
  folder = config.model_dir
  last = checkpoints.latest(folder)
  return '%s, and the job writes to %s: %s\n%s %s' % (
      'A disk can only be read' if _READ_ONLY.search(message)
      else 'A disk is full', folder,
      _shortened(compat.error_reason(message)),
      'The last checkpoint, %s, is not touched.' % last if last
      else 'There is no checkpoint yet.',
      'Make room there (train.keep_checkpoint_max keeps fewer checkpoints), or '
      'copy the folder; the same command then resumes.')


def _explain_memory(message, config):
  train = config.train
  sizes = ('train.train_batch_size is %d in %d part(s), '
           'eval.eval_batch_size %d, predict.predict_batch_size %d' % (
               train.train_batch_size, train.accumulation_steps,
               config.eval.eval_batch_size, config.predict.predict_batch_size))
  remedies = ['a smaller batch', 'train.accumulation_steps (the same batch in '
              'parts)', 'train.recompute_activations', 'smaller images']
  classes = config.architecture.num_classes
  if classes >= memory.MANY_CLASSES:
    remedies.append('fewer classes (architecture.num_classes is %d)' % classes)
  if config.use_tpu:
    remedies.append('spatial partitioning; `python -m tools.tpu_check` reports '
                    'what fits')
    if not config.architecture.use_bfloat16:
      remedies.append('--precision=bfloat16')
  return 'The memory of the %s is not sufficient (%s). Remedies: %s.\n%s' % (
      'TPU' if config.use_tpu else 'device', sizes, ', '.join(remedies),
      _shortened(message))


def _shortened(message):
  """The beginning of a message, on one line."""
  text = ' '.join(compat.without_trace(message).split())
  return text if len(text) <= _SHOWN else text[:_SHOWN] + ' ...'


@contextlib.contextmanager
def survived(what: str) -> Iterator[None]:
  """Turns a failed access to a file into a warning.

  Inside a session hook, some of these errors (Aborted, Unavailable, as buckets
  give them) would be taken for the loss of a worker, and training would restart
  from the last checkpoint.

  Args:
    what: str, the beginning of the sentence, such as 'No line was written'.
  """
  try:
    yield
  except (tf.errors.OpError, OSError) as e:
    tf.logging.warning('%s (%s). Training continues.', what, _shortened(
        getattr(e, 'message', None) or str(e)))
