"""One training run at a time in a folder.

Two of them would write checkpoints of the same names, and each would continue
from whatever the other left. The file `training.lock` names the process that
trains there, which refreshes it every half minute, so that the lock of a killed
process can be told from that of a slow one. The thread that refreshes it also
writes the status of the folder: on a bucket that takes seconds, for which no
step should wait.
"""

import contextlib
import os
import socket
import threading
import time
from typing import Any, Callable, Iterator, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from executor import errors
from modeling import storage
from utils import processes


class Kind(NamedTuple):
  """What a process does alone.

  Attributes:
    name: name of the lock file.
    what: the holder, for messages.
    why: what would happen without it, and what to do.
  """
  name: str
  what: str
  why: str


TRAINING = Kind('training.lock', 'a training run',
                'two would mix their checkpoints. Use another --model_dir, or '
                'end that run first.')
EVALUATION = Kind('evaluation.lock', 'an evaluation',
                  'two would evaluate every checkpoint twice. Use another '
                  'eval.suffix, or end that job first.')
_REFRESH_SECONDS = 30
_STALE_SECONDS = 300  # ten refreshes of a machine that answers slowly


def path_in(model_dir, kind=TRAINING):
  """The lock file of a folder."""
  return os.path.join(model_dir, kind.name)


@contextlib.contextmanager
def held(model_dir: str, clock: Callable[[], float] = time.time,
         kind: Kind = TRAINING,
         on_beat: Optional[Callable[[], Any]] = None) -> Iterator[None]:
  """Holds the lock of a folder.

  Args:
    model_dir: folder; it is created if it does not exist, and removed again if
      nothing was written to it.
    clock: () -> seconds since 1970.
    kind: Kind of the lock.
    on_beat: called after each refresh, in the thread that refreshes; its
      errors become warnings.

  Yields:
    Nothing.

  Raises:
    errors.SetupError: if another process holds it, or nothing can be written.
  """
  is_new = not tf.gfile.IsDirectory(model_dir)
  path, owner = path_in(model_dir, kind), _this_process()
  with _explained(model_dir):
    tf.gfile.MakeDirs(model_dir)
    _take(path, owner, clock, kind)
  stop = threading.Event()
  heart = threading.Thread(target=_keep_fresh, daemon=True, name='run lock',
                           args=(path, owner, clock, stop, on_beat))
  heart.start()
  try:
    yield
  finally:
    stop.set()
    heart.join()
    _release(path, owner, model_dir if is_new else None)


def read(model_dir, kind=TRAINING):
  """{'host', 'pid', 'since', 'time'} of the holder of a lock, or None."""
  return _read(path_in(model_dir, kind))


def is_alive(model_dir, now):
  """Whether the process that holds the lock of a folder may still be running.

  Args:
    model_dir: folder of the lock.
    now: seconds since 1970.
  """
  other = read(model_dir)
  return other is not None and (
      other['pid'] == os.getpid() and other['host'] == socket.gethostname()
      or _is_alive(other, _this_process(), now))


def _this_process():
  return {'host': socket.gethostname(), 'pid': os.getpid(),
          'started': processes.start_of(os.getpid())}


def _take(path, owner, clock, kind):
  """Writes the lock unless a running process holds it."""
  if not _create(path, owner, clock):
    other = _read(path)
    if other is not None and _is_alive(other, owner, clock()):
      raise errors.SetupError(
          '%s: %s on %s (process %s) has written to this folder since %s, and '
          '%s'
          % (path, kind.what, other['host'], other['pid'],
             _text(other['since']), kind.why))
    if other is not None:
      tf.logging.warning(
          '%s is taken over: it belongs to %s on %s (process %s) that ended '
          'without removing it; its last sign of life was at %s.', path,
          kind.what, other['host'], other['pid'], _text(other['time']))
    _write(path, owner, clock(), clock())


def _create(path, owner, clock):
  """Writes the lock where there is none; False if there is one."""
  if tf.gfile.Exists(path):
    return False
  if storage.is_remote(path):  # A bucket has no way to do both at once.
    _write(path, owner, clock(), clock())
    return True
  mine = '%s.%d' % (path, owner['pid'])
  _write(mine, owner, clock(), clock())
  try:
    os.link(mine, path)  # It appears whole, and for one process alone.
  except FileExistsError:
    return False
  except OSError:  # Some mounted buckets have no links.
    _write(path, owner, clock(), clock())
  finally:
    os.remove(mine)
  return True


def _write(path, owner, since, now):
  storage.write_json(path, dict(owner, since=since, time=now))


def _read(path):
  """The content of a lock; None if a killed process left it incomplete."""
  try:
    content = storage.read_json(path)
    return content if isinstance(content, dict) and {
        'host', 'pid', 'since', 'time'} <= set(content) else None
  except (ValueError, tf.errors.NotFoundError):
    return None


def _is_alive(other, owner, now):
  """Whether the process that wrote a lock may still be running."""
  if other['host'] != owner['host']:
    return now - other['time'] < _STALE_SECONDS
  if other['pid'] == owner['pid']:
    return False  # This process: an earlier job of it was cut short.
  return processes.lives(other['pid'], other.get('started'))


def _keep_fresh(path, owner, clock, stop, on_beat):
  since = clock()
  while not stop.wait(_REFRESH_SECONDS):
    try:
      # A folder that was deleted is not made again for its lock.
      if storage.is_remote(path) or os.path.isdir(os.path.dirname(path)):
        _write(path, owner, since, clock())
    except (OSError, tf.errors.OpError):
      pass  # Training reports that itself when it cannot save.
    try:
      if on_beat:
        on_beat()
    except Exception as e:  # The lock has to stay fresh.  # pylint: disable=broad-except
      tf.logging.warning('%s: %s', type(e).__name__, str(e).split('\n')[0])


def _release(path, owner, new_folder):
  """Removes the lock if it is still ours, and a folder made for it alone."""
  try:
    if not tf.gfile.Exists(path):
      return  # Somebody deleted it, perhaps with the folder.
    content = _read(path)
    if content is None or (content['host'], content['pid']) == (
        owner['host'], owner['pid']):
      tf.gfile.Remove(path)
    if new_folder and not tf.gfile.ListDirectory(new_folder):
      tf.gfile.DeleteRecursively(new_folder)
  except (OSError, tf.errors.OpError) as e:
    tf.logging.warning('%s could not be removed: %s', path, e)


@contextlib.contextmanager
def _explained(model_dir):
  """Explains errors of a folder that cannot be written."""
  try:
    yield
  except (OSError, tf.errors.OpError) as e:
    raise errors.SetupError(
        '--model_dir %s cannot be written to: %s. Training needs free space '
        'and permission to write there.' % (
            model_dir, getattr(e, 'strerror', None)
            or str(e).split('\n')[0]))


def _text(seconds):
  return time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(seconds))
