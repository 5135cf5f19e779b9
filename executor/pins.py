"""Keeps a checkpoint while it is evaluated, even if training deletes it.

A folder next to the results holds links to its files, or copies where links are
not supported. The name of the folder identifies the process that holds it, so
that folders of killed processes can be told from those in use.
"""

import contextlib
import os
import re
import socket
import time
from typing import Iterator

import tensorflow.compat.v1 as tf

from modeling import storage
from utils import processes

_PREFIX = 'pinned.'
_NAME = re.compile(r'pinned\.(.*)\.(\d+)/?$')
_OWNER = 'owner'  # file that is as old as the pin
_OLD_SECONDS = 24 * 3600  # longer than an evaluation


class GoneError(Exception):
  """A checkpoint that was deleted before it could be held."""


@contextlib.contextmanager
def pinned(path: str, folder: str) -> Iterator[str]:
  """Holds a checkpoint; what killed evaluations held is removed.

  Args:
    path: checkpoint prefix.
    folder: where to hold it, in the same file system; it need not exist.

  Yields:
    Prefix of the checkpoint that is held. It may be a mixture, or incomplete,
    if another process was writing the files at that moment.

  Raises:
    GoneError: if it was deleted.
  """
  target = os.path.join(folder, '%s%s.%d' % (_PREFIX, socket.gethostname(),
                                             os.getpid()))
  remove_left(folder)
  tf.gfile.MakeDirs(target)
  try:
    with tf.gfile.GFile(os.path.join(target, _OWNER), 'w') as f:
      f.write(path)
    try:
      for source in tf.gfile.Glob(path + '.data-*') + [path + '.index']:
        _hold(source, os.path.join(target, os.path.basename(source)))
    except (tf.errors.NotFoundError, FileNotFoundError):
      raise GoneError('%s was deleted before its evaluation began.' % path)
    yield os.path.join(target, os.path.basename(path))
  finally:
    _remove(target)


def remove_left(folder: str) -> None:
  """Removes the folders of killed evaluations.

  Args:
    folder: the argument of `pinned`; it need not exist.
  """
  if not tf.gfile.IsDirectory(folder):
    return
  for name in tf.gfile.ListDirectory(folder):
    found = _NAME.match(name)
    path = os.path.join(folder, name.rstrip('/'))
    if found and not _is_in_use(path, found.group(1), int(found.group(2))):
      _remove(path)


def _hold(source, target):
  if not storage.is_remote(source):
    try:
      os.link(source, target)
      return
    except FileNotFoundError:
      raise
    except OSError:  # Some mounted buckets have no links.
      pass
  tf.gfile.Copy(source, target, overwrite=True)


def _is_in_use(path, host, pid):
  """Whether the process that holds a folder may still be running."""
  if host == socket.gethostname():
    return pid != os.getpid() and processes.lives(pid)
  try:
    written = tf.gfile.Stat(os.path.join(path, _OWNER)).mtime_nsec / 1e9
  except tf.errors.NotFoundError:
    return False
  return abs(time.time() - written) < _OLD_SECONDS


def _remove(path):
  if tf.gfile.IsDirectory(path):
    # Another evaluation may remove what a killed one left at this moment.
    with contextlib.suppress(tf.errors.NotFoundError):
      tf.gfile.DeleteRecursively(path)
