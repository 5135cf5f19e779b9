"""Signals to other processes."""

import os
import signal
import subprocess
import sys

from utils import processes


def test_a_signal_to_a_process_that_has_just_ended():
  """It was waited for, and its object does not know it yet."""
  process = subprocess.Popen([sys.executable, '-c', ''])
  os.waitpid(process.pid, 0)
  processes.send_signal(process, signal.SIGTERM)


def test_a_signal_to_a_process_that_runs():
  process = subprocess.Popen([sys.executable, '-c', 'input()'],
                             stdin=subprocess.PIPE)
  processes.send_signal(process, signal.SIGKILL)
  assert process.wait() == -signal.SIGKILL
  process.stdin.close()
