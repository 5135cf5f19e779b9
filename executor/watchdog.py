"""Ends a job that makes no progress, and reports what it waits for.

A worker that never comes, storage that stops answering, a TPU that is gone:
each leaves TensorFlow waiting forever, in C++, out of reach of exceptions. A
thread watches the clock. Without progress for too long, it probes what the job
depends on (its folders, the other workers), prints which of them do not answer
and the stack of every thread, and ends the process.
"""

import contextlib
import faulthandler
import os
import socket
import sys
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

import tensorflow.compat.v1 as tf

from executor import errors

_PROBE_SECONDS = 20.  # for an answer of what the job depends on
_POLL_SECONDS = 1.
_WORKER_POLL_SECONDS = 10.
_LOST_AFTER = 6  # polls in a row that a worker did not answer
_LOSS_SECONDS = 15.  # until a worker that failed no longer answers

# What is watched at present, by this process: Watchdog or None.
_current: List[Optional['Watchdog']] = [None]


class Watchdog:
  """Ends the process when there is no progress.

  Attributes:
    doing: what the job does at present, for the message.
    is_paused: whether another watchdog watches a part of the job.
  """

  def __init__(self, seconds: Optional[float],
               probes: Dict[str, Callable[[], Any]],
               end: Callable[[str], None],
               clock: Callable[[], float] = time.monotonic) -> None:
    """Keeps what to watch.

    Args:
      seconds: float, the longest time without progress; None: unlimited.
      probes: {what is probed: function that raises, or does not return, where
        that does not answer}.
      end: (message) -> ends the process.
      clock: () -> seconds.
    """
    self.seconds = seconds
    self.doing = 'the start of the job'
    self._probes = probes
    self._end = end
    self._clock = clock
    self._last = clock()
    self._busy = _cpu_seconds()
    self.is_paused = False

  def beat(self, doing: str) -> None:
    """Notes progress.

    Args:
      doing: what the job does from now on, such as 'step 7'.
    """
    self._last, self.doing, self._busy = self._clock(), doing, _cpu_seconds()

  def check(self) -> None:
    """Ends the process if there was no progress for too long."""
    silence = self._clock() - self._last
    if self.is_paused or self.seconds is None or silence < self.seconds:
      return
    cores = (_cpu_seconds() - self._busy) / max(silence, 1e-3)
    self._end('There has been no progress for %d s, since %s began '
              '(train.stall_timeout, eval.stall_timeout): the job ends with '
              'exit code %d. In this time it used %.2f cores%s. %s' % (
                  silence, self.doing, errors.Stalled.exit_code, cores,
                  ': it waits' if cores < .1 else '', self.findings()))

  def findings(self) -> str:
    """Sentences about what answers and what does not."""
    if not self._probes:
      return 'It can only be waiting for the device.'
    silent = list(filter(None, (
        _asked(name, probe) for name, probe in self._probes.items())))
    if not silent:
      return ('%s answer, so it waits for the device or for the records that '
              'are read.' % ', '.join(self._probes))
    return 'No answer: %s.' % '; '.join(silent)


def _cpu_seconds():
  times = os.times()
  return times.user + times.system


def _asked(name, probe):
  """'' if a probe returns; else the name with the reason."""
  result = []

  def ask():
    try:
      probe()
      result.append('')
    except Exception as e:  # Whatever it is, it is the reason.  # pylint: disable=broad-except
      result.append('%s (%s)' % (name, str(e).split('\n')[0][:200]))

  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(_PROBE_SECONDS)
  return result[0] if result else '%s (nothing within %d s)' % (
      name, _PROBE_SECONDS)


def beat(doing: str) -> None:
  """Reports progress to the watchdog of this process, if there is one.

  Args:
    doing: what the job does from now on, such as 'step 7'.
  """
  if _current[0] is not None:
    _current[0].beat(doing)


@contextlib.contextmanager
def watching(seconds: Optional[float], folders: Dict[str, str],
             workers: Sequence[str] = (),
             me: Optional[int] = None) -> Iterator[None]:
  """Watches the job within the block; an outer watchdog pauses meanwhile.

  Args:
    seconds: float, the longest time without progress; None: unlimited.
    folders: {key or flag: folder or file}, which the job reads or writes.
    workers: ['host:port'], all workers of TF_CONFIG.
    me: int, index of this worker.
  """
  others = _others(workers, me)
  probes: Dict[str, Callable[[], Any]] = {
      '%s (%s)' % (key, path): _stat_of(path)
      for key, path in folders.items() if path}
  probes.update({name: _connection_to(address)
                 for name, address in others.items()})
  dog = Watchdog(seconds, probes, _end_process)
  stop = threading.Event()
  threads = [threading.Thread(target=_watch, args=(dog, stop), daemon=True,
                              name='watchdog')]
  if others:
    threads.append(threading.Thread(
        target=_watch_workers, args=(others, stop), daemon=True,
        name='watchdog of workers'))
  before, _current[0] = _current[0], dog
  if before:
    before.is_paused = True
  for thread in threads:
    thread.start()
  try:
    yield
  finally:
    stop.set()
    _current[0] = before
    if before:
      before.beat(before.doing)
      before.is_paused = False


def lost_workers(workers: Sequence[str], me: int) -> List[str]:
  """Which workers are gone, with the reasons; asks some seconds for a first.

  Args:
    workers: ['host:port'] of all workers of TF_CONFIG.
    me: index of this one.
  """
  end = time.monotonic() + _LOSS_SECONDS
  while True:
    lost = list(filter(None, (_asked(name, _connection_to(address)) for
                              name, address in _others(workers, me).items())))
    if lost or time.monotonic() >= end:
      return lost
    time.sleep(_POLL_SECONDS)


def lost_message(names: str, since: str = '') -> str:
  """The sentence about workers that are gone; `since` says since when."""
  return ('Lost: %s %s. Without it no step can be made: the job ends with exit '
          'code %d. The last lines of that worker say why.' % (
              names, since or 'does not answer', errors.Stalled.exit_code))


def _others(workers, me):
  """{name of a worker: its address} without the one of index `me`."""
  return {'worker %d (%s)' % (i, address): address
          for i, address in enumerate(workers) if i != me}


def _stat_of(path):
  return lambda: tf.gfile.Stat(path)


def _connection_to(address):
  host, _, port = address.rpartition(':')

  def connect():
    socket.create_connection((host.strip('[]'), int(port)),
                             timeout=_PROBE_SECONDS / 2).close()
  return connect


def _watch(dog, stop):
  while not stop.wait(_POLL_SECONDS):
    dog.check()


def _watch_workers(others, stop):
  """Ends the process when a worker that answered before no longer does."""
  missed = {name: None for name in others}  # None: it has not come yet.
  while not stop.wait(_WORKER_POLL_SECONDS):
    for name, address in others.items():
      reason = _asked(name, _connection_to(address))
      missed[name] = _next_missed(missed[name], reason)
      if missed[name] == _LOST_AFTER:
        _end_process(lost_message(reason, 'has not answered for %d s' % (
            _LOST_AFTER * _WORKER_POLL_SECONDS)))


def _next_missed(missed, reason):
  """The count of polls in a row without an answer; None before the first."""
  if not reason:
    return 0
  return None if missed is None else missed + 1


def _end_process(message):
  sys.stderr.write('Error: %s\nThe threads of this process are here:\n'
                   % message)
  sys.stderr.flush()
  faulthandler.dump_traceback(all_threads=True)
  sys.stderr.flush()
  os._exit(errors.Stalled.exit_code)  # pylint: disable=protected-access
