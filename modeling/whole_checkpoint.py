"""The newest checkpoint of a folder that can be trusted.

A writer that was killed, a disk that was full or a copy that was cut short
leave files that look like a checkpoint. Every value is read once before one is
gone on from; of a damaged one its files are named, and the one before is taken.
"""

import os

import tensorflow.compat.v1 as tf

from modeling import checkpoint_checks
from modeling import checkpoint_files


def verify(prefix):
  """Reads all of a checkpoint.

  Args:
    prefix: prefix of the checkpoint.

  Raises:
    checkpoint_checks.BrokenCheckpointError: naming the file, or the values,
      that are damaged, missing or not finite.
  """
  contents = checkpoint_checks.read_contents(prefix)
  checkpoint_checks.check_files(contents)
  checkpoint_checks.check_values(contents)


def newest(folder):
  """The newest checkpoint of a folder that is whole.

  Args:
    folder: it need not exist.

  Returns:
    Prefix, or None where there is no checkpoint at all. What was passed over
    is told in warnings.

  Raises:
    checkpoint_checks.BrokenCheckpointError: if every one is damaged; in the
      words about the newest.
  """
  first_error = None
  for prefix in _candidates(folder):
    try:
      verify(prefix)
    except checkpoint_checks.BrokenCheckpointError as e:
      tf.logging.warning('A checkpoint is damaged and not used: %s', e)
      first_error = first_error or e
      continue
    if first_error:
      tf.logging.warning('The one before it is whole and is used: %s.', prefix)
    return prefix
  if first_error:
    raise checkpoint_checks.BrokenCheckpointError(
        'No checkpoint in %s is whole. %s' % (folder, first_error))
  return None


def _candidates(folder):
  """[prefix], the newest first, and then earlier steps only."""
  latest = checkpoint_files.latest(folder)
  if latest is None:
    return []
  named = checkpoint_files.newest_name(folder)
  if named and named != os.path.basename(latest):
    tf.logging.warning('%s names %s, which is not there: there is no %s.index.',
                       os.path.join(folder, 'checkpoint'), named, named)
  step = checkpoint_files.step_of(latest)
  return [latest] + [
      path for path in reversed(checkpoint_files.find_all(folder))
      if checkpoint_files.step_of(path) < step]
