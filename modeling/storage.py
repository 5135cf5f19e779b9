"""Files and folders of a job, on this machine or in a bucket."""

import contextlib
import functools
import json
import os
import tempfile
import time
from typing import Any, Dict, Iterator, List, Optional

import tensorflow.compat.v1 as tf

from utils import files
from utils import unfinished

is_remote = files.is_remote
_TAIL = 2**16  # bytes: more than most lines of a log


@contextlib.contextmanager
def output_path(path: str) -> Iterator[str]:
  """Yields a local path to write to; then `path` is replaced in one step."""
  if not is_remote(path):
    with files.atomic_path(path) as temporary:
      yield temporary
    return
  # Before the work: what cannot be written should fail now.
  tf.gfile.MakeDirs(os.path.dirname(path))
  with tempfile.TemporaryDirectory() as folder:
    local = os.path.join(folder, os.path.basename(path))
    yield local
    tf.gfile.Copy(local, path, overwrite=True)


@contextlib.contextmanager
def input_path(path: str) -> Iterator[str]:
  """Yields a local path with the content of `path`."""
  if not is_remote(path):
    yield path
    return
  with tempfile.TemporaryDirectory() as folder:
    local = os.path.join(folder, os.path.basename(path))
    tf.gfile.Copy(path, local)
    yield local


@contextlib.contextmanager
def replaced_folder(folder: str) -> Iterator[str]:
  """Yields a sibling to write to, which then takes the place of the folder.

  The old folder stays until the new one is complete, and a failure leaves
  nothing behind. What a killed process left is removed; if it was killed
  between taking the old folder away and putting the new one there, the old one
  is put back first.

  Args:
    folder: it may be there.
  """
  parent = os.path.dirname(folder)
  temporary, old = (os.path.join(parent, unfinished.prefix(folder) + ending)
                    for ending in ('new', 'old'))
  if parent:
    tf.gfile.MakeDirs(parent)
  restore_folder(folder)
  try:
    yield temporary
    if tf.gfile.Exists(folder):
      tf.gfile.Rename(folder, old)
    try:
      tf.gfile.Rename(temporary, folder)
    except tf.errors.OpError:
      if tf.gfile.Exists(old):
        tf.gfile.Rename(old, folder)
      raise
  finally:
    for path in (temporary, old):
      # Whatever happened, one complete folder stays.
      if tf.gfile.Exists(path) and (
          path == temporary or tf.gfile.Exists(folder)):
        tf.gfile.DeleteRecursively(path)


def restore_folder(folder: str) -> None:
  """Cleans up after processes that were killed in `replaced_folder`.

  Args:
    folder: the argument of `replaced_folder`.
  """
  parent = os.path.dirname(folder)
  if not tf.gfile.IsDirectory(parent or '.'):
    return
  names = [one.rstrip('/') for one in tf.gfile.ListDirectory(parent or '.')
           if unfinished.is_of(one, folder)]
  left = [path for path in (os.path.join(parent, name) for name in names)
          if unfinished.is_left(os.path.basename(path),
                                functools.partial(_time_of, path))]
  for path in left:
    if path.endswith('.old') and not tf.gfile.Exists(folder):
      tf.gfile.Rename(path, folder)
      tf.logging.warning(
          '%s was being replaced by a process that was killed; it is there '
          'again as it was before.', folder)
    else:
      tf.gfile.DeleteRecursively(path)


def _time_of(path):
  try:
    return tf.gfile.Stat(path).mtime_nsec / 1e9
  except tf.errors.OpError:  # Whoever wrote it is done, or a bucket has none.
    return time.time()


def write_json(path: str, value: Any) -> None:
  """Writes one JSON value."""
  with output_path(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write(json.dumps(value, indent=1, allow_nan=False) + '\n')


def read_json(path: str) -> Any:
  """The value of a file of `write_json`; None where there is no file."""
  if not tf.gfile.Exists(path):
    return None
  with tf.gfile.GFile(path) as f:
    return json.loads(f.read())


def read_record(path: str, **types: Any) -> Optional[Dict[str, Any]]:
  """The dictionary of a file of `write_json`, for jobs that outlive its damage.

  Args:
    path: the path of the file.
    **types: by key what its value has to be, for isinstance.

  Returns:
    The dictionary; None where there is no file, or where it is damaged, which a
    warning tells once.
  """
  try:
    value = read_json(path)
  except ValueError as e:
    _tell_of_damage(path, str(e))
    return None
  except tf.errors.NotFoundError:  # It was removed between two looks.
    return None
  if value is None and not tf.gfile.Exists(path):
    return None
  bad = ['no record'] if not isinstance(value, dict) else [
      'its %s is %r' % (key, value.get(key))
      for key, kind in types.items() if not isinstance(value.get(key), kind)]
  if bad:
    _tell_of_damage(path, ', '.join(bad))
    return None
  return value


@functools.lru_cache(maxsize=None)
def _tell_of_damage(path, reason):
  """Warns once for each damage."""
  tf.logging.warning('%s is damaged and not used: %s.', path, reason)


def append_json_line(path: str, value: Any) -> None:
  """Adds a line to a log of JSON lines, making the folder if need be."""
  tf.gfile.MakeDirs(os.path.dirname(path))
  line = json.dumps(value, allow_nan=False) + '\n'
  if _ends_within_a_line(path):
    line = '\n' + line
  with tf.gfile.GFile(path, 'a') as f:
    f.write(line)


def _ends_within_a_line(path):
  """Whether the last writer was killed while it wrote."""
  if not tf.gfile.Exists(path):
    return False
  with tf.gfile.GFile(path, 'rb') as f:
    size = f.size()
    if not size:
      return False
    f.seek(size - 1)
    return f.read(1) != b'\n'


def read_json_lines(path: str) -> List[Any]:
  """Reads a log of JSON lines.

  Args:
    path: the path of the log; it need not exist.

  Returns:
    [value]; a line that is cut off (the writer was killed), or damaged, is left
    out.
  """
  if not tf.gfile.Exists(path):
    return []
  with tf.gfile.GFile(path, 'rb') as f:
    return _values_of(f)


def last_json_line(path: str) -> Any:
  """The last value of a log of JSON lines, which is not read as a whole.

  Args:
    path: the path of the log; it need not exist.

  Returns:
    The value; None where there is none near the end.
  """
  if not tf.gfile.Exists(path):
    return None
  with tf.gfile.GFile(path, 'rb') as f:
    f.seek(max(0, f.size() - _TAIL))
    values = _values_of(f.read().split(b'\n'))
  return values[-1] if values else None


def _values_of(lines):
  """The values of the bytes of lines, as far as they can be read."""
  values = []
  for line in lines:
    try:
      values.append(json.loads(line.decode('utf-8')))
    except ValueError:
      pass
  return values
