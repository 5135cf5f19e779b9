"""TensorFlow's errors of a device as sentences."""

import errno
import logging

import pytest
import tensorflow.compat.v1 as tf

from executor import errors
from executor import failures
from executor import log
from tests.executor import toy


@pytest.mark.parametrize('error', [
    tf.errors.ResourceExhaustedError(
        None, None, 'Ran out of memory in memory space hbm. Used 20.61G of '
        '15.48G hbm. Exceeded hbm capacity by 5.13G.'),
    tf.errors.InvalidArgumentError(
        None, None, 'Compilation failure: Ran out of memory in memory space '
        'hbm.'),
    tf.errors.InternalError(None, None, 'Failed to allocate: out of memory')])
def test_memory_of_a_tpu(tmp_path, error):
  config = toy.config(tmp_path, use_tpu=True, train__train_batch_size=64)
  with pytest.raises(errors.JobError) as e:
    with failures.explained_errors(config):
      raise error
  assert e.value.exit_code == 1
  for part in ('memory of the TPU', 'train.train_batch_size is 64',
               'train.recompute_activations', 'tools.tpu_check',
               '--precision=bfloat16', error.message[:30]):
    assert part in str(e.value), part


def test_memory_of_a_gpu(tmp_path):
  error = tf.errors.ResourceExhaustedError(
      None, None, 'OOM when allocating tensor with shape[64,256,200,336]')
  text = failures.explain(error, toy.config(tmp_path))
  assert 'memory of the device' in text and '[64,256,200,336]' in text
  assert 'tpu' not in text.lower() and 'num_classes' not in text
  text = failures.explain(error, toy.config(
      tmp_path, architecture__num_classes=10**6))
  assert 'fewer classes (architecture.num_classes is 1000000)' in text


@pytest.mark.parametrize('message', [
    'Compilation failure: Detected unsupported operations when trying to '
    'compile graph cluster on XLA_TPU_JIT: Where',
    'XLA compilation requires that operator arguments that represent shapes be '
    'constant'])
def test_compilation(tmp_path, message):
  error = tf.errors.InvalidArgumentError(None, None, message)
  text = failures.explain(error, toy.config(tmp_path, use_tpu=True))
  assert 'could not compile' in text and message[:40] in text
  assert 'tools.tpu_check' in text
  assert 'train.use_xla=false' in failures.explain(error, toy.config(tmp_path))


def test_other_errors_stay_what_they_are(tmp_path):
  error = tf.errors.InvalidArgumentError(None, None, 'Incompatible shapes')
  with pytest.raises(tf.errors.InvalidArgumentError):
    with failures.explained_errors(toy.config(tmp_path)):
      raise error


def _record(message, *args):
  return logging.LogRecord('tensorflow', logging.INFO,
                           '/x/tensorflow/monitored_session.py', 1, message,
                           args, None)


def test_a_lost_session_is_a_warning_with_its_reason():
  record = _record('An error was raised. This may be due to a preemption in a '
                   'connected worker. Error: %s', 'Socket closed\n' + 'x' * 500)
  assert log._is_for_people(record)
  assert record.levelno == logging.WARNING
  text = record.getMessage()
  assert 'Socket closed' in text and 'last checkpoint' in text
  assert len(text) < 600
  assert not log._is_for_people(_record('Graph was finalized.'))


@pytest.mark.parametrize('error', [
    # TensorFlow has one code for memory and disks.
    tf.errors.ResourceExhaustedError(None, None, 'x/part-0; No space left on '
                                     'device'),
    # TF 2.15 puts where the operation was made first, TF 1.15 last.
    tf.errors.ResourceExhaustedError(
        None, None, "Graph execution error:\n\nDetected at node 'save/SaveV2' "
        "defined at (most recent call last):\n%s\nNode: 'save/SaveV2'\nx/part-0"
        '; No space left on device\n\t [[{{node save/SaveV2}}]]\nHint: Hm.' % (
            50 * '    File "main.py", line 1, in <module>\n')),
    tf.errors.ResourceExhaustedError(
        None, None, 'x/part-0; No space left on device\n\t [[node save/SaveV2 '
        '(defined at ops.py:1748) ]]\nHint: Hm.'),
    OSError(errno.ENOSPC, 'No space left on device', 'x/params.yaml')])
def test_a_full_disk(tmp_path, error):
  path = toy.save_checkpoint(tmp_path, 3, w=[0.])
  with pytest.raises(errors.JobError) as e:
    with failures.explained_errors(toy.config(tmp_path)):
      raise error
  text = str(e.value)
  assert text.startswith('A disk is full') and 'memory' not in text
  for part in ('File "', 'node', 'Hint'):
    assert part not in text, text
  assert 'No space left on device' in text
  assert path in text and 'train.keep_checkpoint_max' in text


def test_a_disk_that_can_only_be_read(tmp_path):
  error = tf.errors.PermissionDeniedError(None, None, 'x; Read-only file '
                                          'system')
  text = failures.explain(error, toy.config(tmp_path))
  assert text.startswith('A disk can only be read')
  assert 'There is no checkpoint yet.' in text
