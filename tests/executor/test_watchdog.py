"""Jobs in which nothing moves, on a clock of the test."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest
import tensorflow.compat.v1 as tf

from executor import cluster
from executor import errors as errors_lib
from executor import loops
from executor import usage
from executor import watchdog
from tests.executor import toy


class _Clock:
  now = 0.

  def __call__(self):
    return self.now


@pytest.fixture(name='clock')
def _clock():
  return _Clock()


def _dog(clock, messages, probes=(), seconds=10.):
  return watchdog.Watchdog(seconds, dict(probes), messages.append, clock)


def test_ends_only_when_nothing_moves(clock):
  messages = []
  dog = _dog(clock, messages)
  for clock.now in (9., 18.):
    dog.check()
    dog.beat('step %d' % clock.now)
  clock.now = 27.9
  dog.check()
  assert not messages
  clock.now = 28.
  dog.is_paused = True
  dog.check()
  dog.is_paused = False
  assert not messages
  dog.check()
  assert 'for 10 s, since step 18 began' in messages[0]
  assert 'exit code 6' in messages[0]


def test_never_ends_without_a_limit(clock):
  messages = []
  dog = _dog(clock, messages, seconds=None)
  clock.now = 1e9
  dog.check()
  assert not messages


def test_names_what_does_not_answer(clock):
  with socket.socket() as listening:
    listening.bind(('127.0.0.1', 0))
    listening.listen(9)
    answers = watchdog._connection_to(
        '127.0.0.1:%d' % listening.getsockname()[1])
    answers()
    dog = _dog(clock, [], {'worker 0': answers})
    assert 'worker 0 answer, so it waits for the device' in dog.findings()
  dog = _dog(clock, [], {'worker 0': answers,
                         'folder': watchdog._stat_of('/nowhere')})
  found = dog.findings()
  assert 'worker 0 (' in found and 'refused' in found and 'folder (' in found


def test_names_what_never_answers(clock, monkeypatch, tmp_path):
  monkeypatch.setattr(watchdog, '_PROBE_SECONDS', .1)
  fifo = str(tmp_path / 'fifo')
  os.mkfifo(fifo)
  dog = _dog(clock, [], {'hangs': lambda: open(fifo)})
  assert dog.findings() == 'No answer: hangs (nothing within 0 s).'
  os.close(os.open(fifo, os.O_WRONLY))


def test_a_worker_is_lost_only_after_it_was_there():
  missed = None
  for reason, expected in [('no', None), ('no', None), ('', 0), ('no', 1),
                           ('no', 2), ('', 0), ('no', 1)]:
    missed = watchdog._next_missed(missed, reason)
    assert missed == expected


@pytest.mark.parametrize('is_there', [False, True])
def test_an_error_of_a_lost_worker_names_it(tmp_path, monkeypatch, is_there):
  """Whatever TensorFlow says; one of workers that all answer stays."""
  monkeypatch.setattr(watchdog, '_LOSS_SECONDS', .1)
  monkeypatch.setattr(watchdog, '_POLL_SECONDS', .01)
  monkeypatch.setattr(loops, '_LINGER_SECONDS', 0)

  def fail(*unused):
    raise tf.errors.UnavailableError(None, None, 'Connection reset by peer')

  monkeypatch.setattr(tf.estimator, 'train_and_evaluate', fail)
  listening = socket.socket()
  listening.bind(('127.0.0.1', 0))
  if is_there:
    listening.listen(128)  # More than it is asked: nobody accepts here.
  address = '127.0.0.1:%d' % listening.getsockname()[1]
  with contextlib.closing(listening), pytest.raises(
      tf.errors.UnavailableError if is_there else errors_lib.Stalled) as e:
    loops.train(toy.config(tmp_path), None, lambda: None,
                cluster=cluster.Cluster(['127.0.0.1:1', address], 0))
  if not is_there:
    assert str(e.value).startswith('Lost: worker 1 (%s)' % address)
    assert 'exit code 6' in str(e.value)


@pytest.mark.one_runtime('tf1')
def test_a_process_that_waits_ends():
  code = ('import time\nfrom executor import watchdog\n'
          'watchdog._POLL_SECONDS = .1\n'
          'with watchdog.watching(.5, {"--model_dir": "/nowhere"}):\n'
          '  watchdog.beat("step 7")\n  time.sleep(600)')
  result = subprocess.run([sys.executable, '-c', code], capture_output=True)
  errors = result.stderr.decode()
  assert result.returncode == 6, errors
  assert 'since step 7 began' in errors
  assert 'No answer: --model_dir (/nowhere)' in errors
  assert 'in <module>' in errors  # Where it was.


def test_growth():
  now = usage.of_process()
  assert now['memory_gib'] > .01 and now['threads'] >= 1
  assert now['open_files'] >= 3
  growth = usage.Growth()
  def told(files):
    return growth.complaints({'memory_gib': 1., 'threads': 9,
                              'open_files': files})
  assert [told(n) for n in (5, 50, 5, 5, 5)] == [[]] * 5  # Filling buffers.
  assert [len(told(n)) for n in (100, 300, 301, 400, 601, 700)] == [
      0, 0, 1, 0, 0, 1]


def test_memory_of_a_machine_without_proc(monkeypatch):
  """The most that there was, and no more is told of."""
  def refuse(*unused, **unused_names):
    raise FileNotFoundError('/proc/self/status')

  with monkeypatch.context() as patch:
    patch.setattr('builtins.open', refuse)
    used, text = usage.of_process(), usage.text()
  assert set(used) == {'memory_gib'} and used['memory_gib'] > .01
  assert text == ', memory %.2g GiB' % used['memory_gib']
  growth = usage.Growth()
  assert [len(growth.complaints({'memory_gib': gib}))
          for gib in (1., 1., 1., 1., 1., 1., 3.)] == [0] * 6 + [1]
  monkeypatch.setattr(usage, 'resource', None)
  monkeypatch.setattr('builtins.open', refuse)
  assert usage.of_process() == {} and usage.text() == ''
