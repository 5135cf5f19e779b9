"""Files that appear together, and work spread over processes."""

import multiprocessing
import os

import tensorflow.compat.v1 as tf

from dataloader import file_patterns


class StagedFiles:
  """Collects files under temporary names; `commit` gives them their own.

  A context manager: what was not committed is removed. Works on buckets, where
  a rename is a copy.
  """

  def __init__(self, prefix):
    self._folder, self._base = os.path.split(prefix)
    self._staged = []  # [(temporary path, final path)]

  def __enter__(self):
    if self._folder:
      tf.gfile.MakeDirs(self._folder)
    # Left by a run that was killed.
    for path in file_patterns.glob(
        os.path.join(self._folder, '.%s-*.tmp' % self._base)):
      tf.gfile.Remove(path)
    return self

  def __exit__(self, *unused_error):
    for temporary, _ in self._staged:
      if tf.gfile.Exists(temporary):
        tf.gfile.Remove(temporary)

  def stage(self, path):
    """A temporary path, which becomes `path`."""
    # Starting with a dot, so that no pattern of a reader matches it.
    temporary = os.path.join(self._folder,
                             '.%s.tmp' % os.path.basename(path))
    self._staged.append((temporary, path))
    return temporary

  def write(self, path, text):
    """Stages a file of this content."""
    with tf.gfile.Open(self.stage(path), 'w') as f:
      f.write(text)

  def commit(self):
    """Renames everything, in the order in which it was staged."""
    for temporary, path in self._staged:
      tf.gfile.Rename(temporary, path, overwrite=True)
    self._staged = []


_FUNCTION = None


def _keep(function):
  """Keeps the function in a worker, instead of sending it with every task."""
  global _FUNCTION
  _FUNCTION = function


def _call(task):
  return _FUNCTION(task)


def map_in_processes(function, tasks, num_processes=None):
  """`map` over processes, in order.

  Args:
    function: of one argument. It need not be picklable.
    tasks: list.
    num_processes: int; None: one per core; 1: in this process.

  Yields:
    function(task), for each task.
  """
  num_processes = min(num_processes or os.cpu_count(), max(len(tasks), 1))
  if num_processes == 1:
    for task in tasks:
      yield function(task)
    return
  # A forked worker inherits the function and starts without importing
  # TensorFlow again.
  context = multiprocessing.get_context('fork')
  with context.Pool(num_processes, _keep, (function,)) as pool:
    for result in pool.imap(_call, tasks, chunksize=8):
      yield result
