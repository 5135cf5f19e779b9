"""Atomic writing of files, and reading them wherever they are."""

import contextlib
import functools
import hashlib
import importlib
import io
import os
import tempfile
from typing import IO, Iterator, Union

from utils import unfinished


@contextlib.contextmanager
def atomic_path(path: str) -> Iterator[str]:
  """Yields a temporary path; on success it replaces `path` in one step.

  A reader sees the old file or the whole new one, never a part of it. What
  killed processes left unfinished in its folder is removed by the first call.
  """
  folder = os.path.dirname(os.path.abspath(path))
  os.makedirs(folder, exist_ok=True)
  _remove_left(folder)
  handle, temporary = tempfile.mkstemp(prefix=unfinished.prefix(path),
                                       dir=folder)
  os.close(handle)
  try:
    yield temporary
    # mkstemp makes private files; give this one the usual permissions.
    umask = os.umask(0)
    os.umask(umask)
    os.chmod(temporary, 0o666 & ~umask)
    os.replace(temporary, path)
  finally:
    if os.path.exists(temporary):
      os.remove(temporary)


@functools.lru_cache(maxsize=None)  # A listing at every write would be slow.
def _remove_left(folder):
  """Removes the unfinished files of processes that are gone, once a folder."""
  for name in os.listdir(folder):
    path = os.path.join(folder, name)
    # Another process may do the same at this moment, or may not be allowed to.
    with contextlib.suppress(OSError):
      if (unfinished.is_left(name, lambda: os.path.getmtime(path))  # noqa: B023
          and not os.path.isdir(path)):
        os.remove(path)


def write_atomically(path: str, content: Union[str, bytes]) -> None:
  """Writes text or bytes to `path` so that no reader sees a part of it."""
  with atomic_path(path) as temporary:
    with open(temporary, 'wb' if isinstance(content, bytes) else 'w') as f:
      f.write(content)


def sha256(path: str) -> str:
  """The digest of a file, wherever it is, as 64 hexadecimal digits."""
  digest = hashlib.sha256()
  with open_anywhere(path, 'rb') as f:
    for part in iter(lambda: f.read(2 ** 20), b''):
      digest.update(part)
  return digest.hexdigest()


def is_remote(path: str) -> bool:
  """Whether plain Python cannot open the path, such as gs://..."""
  return '://' in path


def path_within(folder: str, name: str) -> str:
  """The path of a file that data names, if it lies in the folder it should.

  Args:
    folder: the folder that a person gave; of a bucket too.
    name: a relative name, or an absolute path, from data that is not trusted.

  Returns:
    The path. Links inside the folder may lead elsewhere: who made it made them.

  Raises:
    OSError: if the name leads out of the folder.
  """
  path = os.path.join(folder, name) if not is_remote(name) else name
  has_parents = '..' in name.replace('\\', '/').split('/')
  if is_remote(path):
    is_inside = not has_parents and path.startswith(folder.rstrip('/') + '/')
  else:
    is_inside = _contains(os.path.realpath(folder), os.path.realpath(path)) or (
        not has_parents
        and _contains(os.path.abspath(folder), os.path.abspath(path)))
  if not is_inside:
    raise OSError('%s leads out of the folder %s; only files in it are read.'
                  % (name, folder))
  return path


def _contains(folder, path):
  """Whether an absolute path lies in an absolute folder."""
  return path.startswith(os.path.join(folder, ''))


def open_anywhere(path: str, mode: str = 'rb') -> IO[bytes]:
  """Opens a local file, or the content of one in a bucket, to be read.

  Args:
    path: the path of the file.
    mode: 'rb'.

  Returns:
    Binary file.

  Raises:
    OSError: if it cannot be read.
  """
  if not is_remote(path):
    return open(path, mode)
  # It knows buckets, and is slow to load for all else.
  tf = importlib.import_module('tensorflow.compat.v1')
  try:
    with tf.gfile.GFile(path, mode) as f:
      return io.BytesIO(f.read())
  except tf.errors.OpError as e:
    raise OSError('%s cannot be read: %s' % (path, e.message))
