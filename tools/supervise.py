"""Runs a command, and restarts it after failures that a restart can resolve.

  python -m tools.supervise -- python main.py --mode=train --model_dir=/runs/a

A training run that is started again resumes from its last checkpoint. Before
each restart it waits, twice as long as the time before; after a run that has
lasted for --healthy_seconds, the waiting time starts over. The last lines of
the failed run are kept in --output.

It gives up when there were --max_restarts failures in a row, and at once where
a restart cannot help: exit code 2 (wrong flags, configuration or data) and 4
(the training run diverged). SIGTERM, SIGHUP and Ctrl-C go to the command, which
is not started again.

Exit codes: that of the last run of the command; 128 + the signal where one
killed it.
"""

import argparse
import collections
import os
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Deque, Optional, Sequence

from tools.common import numbers
from utils import files
from utils import processes

_LINES = 500  # kept of the output
_LONGEST_WAIT = 600.  # seconds
# What no restart can mend, and why.
_FINAL = {
    2: 'it was asked for something that cannot be done',
    4: 'it diverged, and would again',
    126: 'the command cannot be executed',
    127: 'there is no such command',
    128 + signal.SIGINT: 'it was interrupted'}
_KILLED = 128 + 9  # SIGKILL, of which Windows has no name
_OF_MEMORY = (
    'It was killed. If that was the kernel, because the memory of the machine '
    'ran out (`dmesg` tells), it will again: what needs less is a smaller '
    'train.train_batch_size, train.accumulation_steps (the same batch in '
    'parts), train.recompute_activations, smaller images, and a smaller '
    'train.shuffle_buffer_bytes.')


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.supervise', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--max_restarts', type=numbers.whole(0), default=10,
                      help='failures in a row before it gives up (default: '
                           '%(default)s)')
  parser.add_argument('--wait', type=numbers.positive, default=10.,
                      metavar='SECONDS',
                      help='before the first restart (default: %(default)s)')
  parser.add_argument('--healthy_seconds', type=numbers.positive, default=600.,
                      help='a run of this length resets the count '
                           '(default: %(default)s)')
  parser.add_argument('--output', default='supervised.log',
                      help='file of the last lines of the last failed run '
                           '(default: %(default)s)')
  parser.add_argument('command', nargs=argparse.REMAINDER,
                      help='after --')
  arguments = parser.parse_args(argv)
  if arguments.command[:1] == ['--']:
    del arguments.command[0]
  if not arguments.command:
    parser.error('there is no command; give it after --')
  return arguments


class _Run:
  """One run of the command; signals of this process go to it."""

  def __init__(self):
    self.process: Optional[subprocess.Popen] = None
    self.is_ending = False

  def receive(self, number: int, frame: Any) -> None:
    del frame
    self.is_ending = True
    if self.process is not None and self.process.poll() is None:
      processes.send_signal(self.process, number)

  def run(self, command: Sequence[str], lines: Deque[bytes]) -> int:
    """Runs the command, shows its output and keeps the last lines."""
    try:
      self.process = subprocess.Popen(
          command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
          # Of its own group: Ctrl-C comes from here, once.
          preexec_fn=os.setsid)
    except OSError as e:
      lines.append(('%s: %s\n' % (command[0], e.strerror)).encode())
      sys.stderr.write('supervise: %s: %s\n' % (command[0], e.strerror))
      return 127
    for line in self.process.stdout or ():
      lines.append(line)
      sys.stdout.buffer.write(line)
      sys.stdout.buffer.flush()
    code = self.process.wait()
    return 128 - code if code < 0 else code


def supervise(arguments: argparse.Namespace,
              sleep: Callable[[float], None] = time.sleep,
              clock: Callable[[], float] = time.monotonic) -> int:
  """Runs the command to its end, or to the end of patience.

  Args:
    arguments: namespace of `parse_arguments`.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Returns:
    The exit code.
  """
  current = _Run()
  for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
    if signal.getsignal(number) != signal.SIG_IGN:
      signal.signal(number, current.receive)
  failures = 0
  while True:
    begin, lines = clock(), collections.deque(maxlen=_LINES)
    code = current.run(arguments.command, lines)
    if code == 0 or current.is_ending:
      return code
    files.write_atomically(arguments.output, b''.join(lines))
    failures = 1 if clock() - begin >= arguments.healthy_seconds else (
        failures + 1)
    reason = _why_not_again(code, failures, arguments)
    if reason:
      _say('gives up: %s. The last lines are in %s.', reason, arguments.output)
      return code
    seconds = min(arguments.wait * 2. ** (failures - 1), _LONGEST_WAIT)
    _say('the command ended with exit code %d; restart %d of %d in %g s.', code,
         failures, arguments.max_restarts, seconds)
    if code == _KILLED:
      _say('%s', _OF_MEMORY)
    _wait(seconds, current, sleep, clock)
    if current.is_ending:
      return code


def _why_not_again(code, failures, arguments):
  """Why the command is not started again, or ''."""
  if code in _FINAL:
    return 'exit code %d, %s; a restart cannot mend that' % (code, _FINAL[code])
  if failures > arguments.max_restarts:
    return ('the command failed %d times in a row (--max_restarts), at last '
            'with exit code %d' % (failures, code))
  return ''


def _wait(seconds, current, sleep, clock):
  """Sleeps, but not through a signal."""
  end = clock() + seconds
  while clock() < end and not current.is_ending:
    sleep(min(1., seconds))


def _say(text, *values):
  sys.stderr.write('supervise: ' + text % values + '\n')
  sys.stderr.flush()


def main(argv: Optional[Sequence[str]] = None) -> int:
  return supervise(parse_arguments(argv))


if __name__ == '__main__':
  sys.exit(main())
