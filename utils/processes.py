"""Other processes of this machine: whether one lives, and signals to it."""

import contextlib
import os
import subprocess
from typing import Any, Optional


def start_of(pid: int) -> Optional[str]:
  """What tells a process from a later one of its number; None if unknown."""
  try:
    with open('/proc/%d/stat' % pid, encoding='utf-8', errors='replace') as f:
      return f.read().rpartition(')')[2].split()[19]
  except (OSError, IndexError):
    return None


def lives(pid: int, started: Optional[str] = None) -> bool:
  """Whether a process lives, of whatever user.

  One of another user refuses signals, and that tells that it is there. Numbers
  are given again: where the start of the process is known, then and now, it
  decides, and everybody may read it. Where it is not (no Linux, or a /proc that
  hides the processes of others), a process of this number counts as the one
  that was meant: nothing of it is taken from it.

  Args:
    pid: number of the process on this machine.
    started: `start_of` it, as it was noted; None: nobody noted it.
  """
  try:
    os.kill(pid, 0)
  except PermissionError:
    pass
  except (OSError, OverflowError):
    return False
  now = start_of(pid)
  return started is None or now is None or started == now


def send_signal(process: 'subprocess.Popen[Any]', number: int) -> None:
  """Sends a signal to a process of this one, unless it has ended.

  A handler of signals may run between the end of a process and the note about
  it in `process`; Python 3.7 then raises an error.

  Args:
    process: subprocess.Popen.
    number: of the signal.
  """
  with contextlib.suppress(ProcessLookupError):
    process.send_signal(number)
