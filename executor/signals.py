"""Signals end a job in an orderly way, from the first second of the process.

Python runs its handlers in the main thread, which may be inside of TensorFlow
for minutes: importing it, building a graph, or waiting for a worker or file
that never comes. Code there may also swallow the exception that a handler
raises. So the interpreter notifies a separate thread of every signal, which
ends the process if it has not ended by itself in time.

Without TensorFlow, so that it can be set up before that is loaded.
"""

import contextlib
import faulthandler
import os
import signal
import sys
import threading
from typing import Iterator, List

_ENDING = tuple(getattr(signal, name) for name in (
    'SIGTERM', 'SIGINT', 'SIGHUP') if hasattr(signal, name))
_GRACE_SECONDS = 30.  # to clean up, where nothing is to be saved

_grace: List[float] = [_GRACE_SECONDS]


def ending() -> List[int]:
  """[number] of the signals that end a job.

  One that is ignored remains ignored: `nohup` ignores SIGHUP.
  """
  return [number for number in _ENDING
          if number != getattr(signal, 'SIGHUP', None)
          or signal.getsignal(number) != signal.SIG_IGN]


def install() -> None:
  """Makes signals end this process, with exit code 128 + the signal."""
  for number in ending():
    signal.signal(number, _end)
  receiving, sending = os.pipe()
  os.set_blocking(sending, False)
  signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
  threading.Thread(target=_enforce, args=(receiving,), daemon=True,
                   name='signals').start()


@contextlib.contextmanager
def grace(seconds: float) -> Iterator[None]:
  """Gives a job more time between a signal and its end.

  Args:
    seconds: float, for a step and its checkpoint.
  """
  before, _grace[0] = _grace[0], seconds
  try:
    yield
  finally:
    _grace[0] = before


def _end(number, frame):
  """Raises SystemExit; a second signal ends the process at once."""
  del frame
  signal.signal(number, signal.SIG_DFL)
  sys.stderr.write('%s received: the job ends.\n' % signal.Signals(number).name)
  sys.exit(128 + number)


def _enforce(receiving):
  """Ends the process when a signal has not ended it within the grace."""
  while True:
    number = os.read(receiving, 1)[0]
    if number in _ENDING:
      break
  # What holds the main thread does not hold this one.
  threading.Event().wait(_grace[0])
  sys.stderr.write(
      '%s was received %g seconds ago, and the job has not ended since, so it '
      'is ended now. Its threads were here:\n' % (
          signal.Signals(number).name, _grace[0]))
  faulthandler.dump_traceback(all_threads=True)
  sys.stderr.flush()
  os._exit(128 + number)  # pylint: disable=protected-access
