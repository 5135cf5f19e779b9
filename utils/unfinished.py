"""Names of unfinished files and folders, which tell whose they are.

Whoever writes a file at once writes it under another name first, and renames
it. A process that is killed leaves the unfinished one behind: its name says
which process that was, so that the next one that writes there can remove it.
"""

import os
import re
import socket
import time
from typing import Callable

from utils import processes

_NAME = re.compile(r'\.(?P<of>.+)\.(?P<host>[^.]*)\.(?P<pid>\d+)'
                   r'-(?P<start>\d*)\.\w+/?$', re.DOTALL)
_OLD_SECONDS = 24 * 3600  # longer than a file of another host takes, by far
_MAX_LETTERS = 64  # of the name and of the host: a file may have 255


def prefix(path: str) -> str:
  """The beginning of a name for what becomes `path`; its end is up to you.

  Args:
    path: of a file or folder, without a slash at its end.

  Returns:
    Name without a folder, with a point at its end.
  """
  pid = os.getpid()
  return '.%s.%s.%d-%s.' % (_shortened(path), _host(), pid,
                            processes.start_of(pid) or '')


def is_of(name: str, path: str) -> bool:
  """Whether a name is that of an unfinished file for `path`.

  Args:
    name: of a file or folder, without its folder.
    path: as for `prefix`.
  """
  found = _NAME.match(name)
  return found is not None and found.group('of') == _shortened(path)


def is_left(name: str, written: Callable[[], float]) -> bool:
  """Whether a name is that of an unfinished file whose writer is gone.

  Args:
    name: of a file or folder, without its folder.
    written: () -> when it was changed last, seconds since 1970; asked for files
      of other hosts only, which count as left after a day.
  """
  found = _NAME.match(name)
  if not found:
    return False
  if found.group('host') == _host():
    return not processes.lives(int(found.group('pid')),
                               found.group('start') or None)
  return abs(time.time() - written()) > _OLD_SECONDS


def _shortened(path):
  return os.path.basename(path)[:_MAX_LETTERS]


def _host():
  """Where pids are counted: containers may share a name, but not their pids."""
  try:
    namespace = os.readlink('/proc/self/ns/pid')
  except OSError:
    namespace = ''
  return re.sub(r'[^\w-]', '', '%s-%s' % (
      socket.gethostname()[:_MAX_LETTERS], namespace.replace('pid:', '')))
