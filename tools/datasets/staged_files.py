"""Files that appear together, and work spread over processes."""

import collections
from concurrent import futures
from concurrent.futures import process
import multiprocessing
import os
import signal
from typing import Any, Callable, Iterator, Optional, Sequence

from dataloader import file_patterns
from dataloader import sessions
from ops import tensorflow_later as tf
from utils import processors


class StagedFiles:
  """Collects files under temporary names; `commit` gives them their own.

  A context manager: what was not committed is removed. Works on buckets, where
  a rename is a copy.
  """

  def __init__(self, prefix: str) -> None:
    self._folder, self._base = os.path.split(prefix)
    self._staged = []  # [(temporary path, final path)]

  def __enter__(self):
    if self._folder:
      tf.gfile.MakeDirs(self._folder)
    # Left by a run that was killed.
    for path in file_patterns.glob(
        file_patterns.escape(self._temporary('')[:-len('.tmp')]) + '*.tmp'):
      tf.gfile.Remove(path)
    return self

  def __exit__(self, *unused_error):
    for temporary, _ in self._staged:
      if tf.gfile.Exists(temporary):
        tf.gfile.Remove(temporary)

  def _temporary(self, suffix):
    """Temporary path of prefix + suffix.

    The dot in front and the end keep it from the patterns of readers; the
    separator keeps it from the files of a prefix that begins with this one.
    """
    return os.path.join(self._folder, '.%s~%s.tmp' % (self._base, suffix))

  def stage(self, path: str) -> str:
    """A temporary path, which becomes `path`; that begins with the prefix."""
    temporary = self._temporary(os.path.basename(path)[len(self._base):])
    self._staged.append((temporary, path))
    return temporary

  def write(self, path: str, text: str) -> None:
    """Stages a file of this content."""
    with tf.gfile.Open(self.stage(path), 'w') as f:
      f.write(text)

  def commit(self) -> None:
    """Renames everything, in the order in which it was staged."""
    for temporary, path in self._staged:
      tf.gfile.Rename(temporary, path, overwrite=True)
    self._staged = []


_AHEAD = 16  # tasks given to each process before their results are needed
_FUNCTION = None


def _keep(function):
  """Keeps the function in a worker, instead of sending it with every task."""
  global _FUNCTION
  _FUNCTION = function
  # Ctrl-C goes to the whole group; the parent process ends its workers.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _call(task):
  return _FUNCTION(task)


def _make_pool(function, num_workers):
  """An executor whose `_call` calls the function.

  A forked worker inherits the function and starts without importing TensorFlow
  again. Where that must not be forked, threads do the work: decoding, most of
  it, runs outside of Python.
  """
  global _FUNCTION
  if sessions.had_one():
    _FUNCTION = function
    return futures.ThreadPoolExecutor(num_workers)
  return futures.ProcessPoolExecutor(
      num_workers, multiprocessing.get_context('fork'), _keep, (function,))


def map_in_processes(function: Callable[[Any], Any], tasks: Sequence[Any],
                     num_processes: Optional[int] = None) -> Iterator[Any]:
  """`map` over processes, in order; over threads after a session of this one.

  Args:
    function: takes one argument. It need not be picklable.
    tasks: list.
    num_processes: int; None: one per core; 1: in this process.

  Yields:
    function(task), for each task.

  Raises:
    ChildProcessError: if a process died.
  """
  num_processes = min(num_processes or processors.available(),
                      max(len(tasks), 1))
  if num_processes == 1:
    for task in tasks:
      yield function(task)
    return
  pending = collections.deque()
  with _make_pool(function, num_processes) as pool:
    try:
      for task in tasks:
        pending.append(pool.submit(_call, task))
        # Results that wait for their turn take memory.
        if len(pending) == _AHEAD * num_processes:
          yield pending.popleft().result()
      while pending:
        yield pending.popleft().result()
    except process.BrokenProcessPool:
      raise ChildProcessError(
          'A worker process died, perhaps for lack of memory. Fewer processes '
          'need less: --num_processes.')
    finally:
      for future in pending:
        future.cancel()
