"""Restarts, and their end."""

import signal
import sys

import pytest

from configs import base
from tests.executor import toy
from tools import supervise

# Ends with the code in the file, and counts its runs there.
_COMMAND = ('import sys; f = open(sys.argv[1], "r+"); codes = f.read().split();'
            'f.seek(0); f.truncate(); f.write(" ".join(codes[1:]));'
            'f.close(); print("run", codes[0]); sys.exit(int(codes[0]))')


@pytest.fixture(name='handlers', autouse=True)
def _handlers():
  before = {n: signal.getsignal(n) for n in (
      signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
  yield
  for number, handler in before.items():
    signal.signal(number, handler)


class _Time:
  """A clock that sleeping moves."""

  def __init__(self):
    self.now, self.waits = 0., []

  def clock(self):
    return self.now

  def sleep(self, seconds):
    self.now += seconds
    self.waits.append(seconds)


def _run(folder, codes, *flags):
  (folder / 'codes').write_text(codes)
  time = _Time()
  code = supervise.supervise(supervise.parse_arguments(
      ['--wait=1', '--output=%s' % (folder / 'log')] + list(flags)
      + ['--', sys.executable, '-c', _COMMAND, str(folder / 'codes')]),
                             time.sleep, time.clock)
  return code, (folder / 'codes').read_text(), time.now


def test_restarts_with_growing_waits_until_it_ends_well(tmp_path, capfd):
  code, rest, waited = _run(tmp_path, '7 1 6 0 9')
  assert (code, rest, waited) == (0, '9', 1 + 2 + 4)
  assert (tmp_path / 'log').read_text() == 'run 6\n'
  assert 'restart 3 of 10 in 4 s' in capfd.readouterr().err


@pytest.mark.one_runtime('tf1')
def test_a_command_that_was_killed_may_have_lacked_memory(tmp_path, capfd):
  slept = []
  code = supervise.supervise(supervise.parse_arguments(
      ['--max_restarts=1', '--output=%s' % (tmp_path / 'log'), '--',
       sys.executable, '-c', 'import os; os.kill(os.getpid(), 9)']),
                             slept.append, lambda: sum(slept))
  assert code == 137
  told = capfd.readouterr().err
  for key in ('train_batch_size', 'accumulation_steps',
              'recompute_activations', 'shuffle_buffer_bytes'):
    assert base.flatten(toy.config('')).keys() >= {'train.' + key}
    assert told.count('train.' + key) == 1, told


@pytest.mark.parametrize('codes, expected, words', [
    ('1 2 7', (2, '7', 1), 'exit code 2, .*a restart cannot mend that'),
    ('4 7', (4, '7', 0), 'diverged'),
    ('1 1 1 7', (1, '7', 3), 'failed 3 times in a row')])
def test_gives_up(tmp_path, capfd, codes, expected, words):
  import re
  assert _run(tmp_path, codes, '--max_restarts=2') == expected
  assert re.search('gives up: .*' + words, capfd.readouterr().err)


def test_no_such_command(tmp_path, capfd):
  assert supervise.main(['--output=%s' % (tmp_path / 'log'), '--',
                         'no-such-command']) == 127
  assert 'no such command' in capfd.readouterr().err


def test_a_signal_goes_to_the_command_and_ends_it(tmp_path):
  """Which is not started again, whatever it ends with."""
  child = ('import os, signal, sys, time;'
           'signal.signal(signal.SIGTERM, lambda *_: sys.exit(7));'
           'os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)')
  assert supervise.main(['--output=%s' % (tmp_path / 'log'), '--',
                         sys.executable, '-c', child]) == 7
