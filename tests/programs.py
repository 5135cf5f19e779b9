"""Processes of the project that are stopped, killed and started again."""

import os
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_WAIT = 1800  # seconds for a process to come somewhere, on a busy machine
_LOOK_SECONDS = .005  # Some moments are short.


class Program:
  """A program, with whatever processes it starts, and what it prints."""

  def __init__(self, log, *arguments):
    """Starts it.

    Args:
      log: path of the file to which its output is added.
      *arguments: of Python: 'main.py' or '-m', 'tools.x', and flags.
    """
    self._log, self._arguments = str(log), list(arguments)
    self._process = None
    self.start()

  def start(self):
    """Starts it, after it has ended again."""
    with open(self._log, 'a') as output:
      self._process = subprocess.Popen(
          [sys.executable] + self._arguments, cwd=ROOT, stdout=output,
          stderr=subprocess.STDOUT, start_new_session=True)

  @property
  def text(self):
    """All it printed."""
    with open(self._log, encoding='utf-8', errors='replace') as f:
      return f.read()

  def wait(self):
    """Waits for its end; returns the exit code."""
    return self._process.wait()

  def end(self):
    """Waits for its end, which has to be a good one; what it printed."""
    assert self.wait() == 0, self.text
    return self.text

  def has_ended(self):
    return self._process.poll() is not None

  def wait_for(self, is_time):
    """Waits for a moment; False if the program ends before.

    Args:
      is_time: () -> bool.
    """
    end = time.monotonic() + _WAIT
    while not is_time():
      if self.has_ended():
        return False
      if time.monotonic() > end:
        self.kill()
        raise AssertionError('It did not get so far:\n' + self.text)
      time.sleep(_LOOK_SECONDS)
    return True

  def stop(self, number):
    """Sends a signal to it alone; returns the exit code."""
    self._process.send_signal(number)
    return self.wait()

  def kill(self):
    """Kills it and its children; False if it had ended."""
    if self.has_ended():
      return False
    try:
      os.killpg(self._process.pid, signal.SIGKILL)
    except ProcessLookupError:
      pass
    return self.wait() == -signal.SIGKILL

  def kill_when(self, is_time, seconds=0.):
    """Kills it some seconds after a moment; False if it had ended.

    Args:
      is_time: () -> bool.
      seconds: float.
    """
    if not self.wait_for(is_time):
      return False
    time.sleep(seconds)
    return self.kill()
