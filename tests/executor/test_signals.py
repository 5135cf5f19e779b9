"""Signals to processes that are busy with something else."""

import signal
import subprocess
import sys

import pytest

# What runs the tests may ignore SIGHUP, as nohup does; children inherit it.
# A call of C code says that it is ready from a thread, a moment after it has
# begun: Python would handle a signal from just before it only at its end.
_BEGIN = '''
import ctypes, signal, threading, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)
from executor import signals
signals.install()
signals._grace[0] = .5
def ready_soon():
  threading.Timer(.5, print, ["ready"], {"flush": True}).start()
def sleep():
  ready_soon()
  time.sleep(60)
'''
# A loop that swallows whatever is raised, as some code of TensorFlow does.
_SWALLOWS = '''
while True:
  try:
    sleep()
  except:
    pass
'''
# C code that does not come back: a mutex that is locked twice. No handler of
# Python runs in the meantime.
_HOLDS = '''
ready_soon()
mutex = ctypes.create_string_buffer(64)
for _ in range(2):
  ctypes.CDLL(None).pthread_mutex_lock(mutex)
'''


@pytest.mark.parametrize('number, rest, words', [
    (signal.SIGTERM, 'sleep()', b'SIGTERM received: the job ends'),
    (signal.SIGINT, 'sleep()', b'SIGINT received: the job ends'),
    (signal.SIGHUP, 'sleep()', b'SIGHUP received: the job ends'),
    (signal.SIGTERM, _SWALLOWS, b'has not ended since'),
    (signal.SIGTERM, _HOLDS, b'has not ended since')])
def test_ends_within_the_grace(number, rest, words):
  process = subprocess.Popen([sys.executable, '-c', _BEGIN + rest],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
  assert process.stdout.readline() == b'ready\n'
  process.send_signal(number)
  errors = process.communicate()[1]
  assert process.returncode == 128 + number
  assert words in errors and b'KeyboardInterrupt' not in errors
