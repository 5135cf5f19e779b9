"""Tests of executor/progress.py and the lines of the training hook."""

import io
import logging
import re
import time

import tensorflow.compat.v1 as tf

from executor import estimator as estimator_lib
from executor import hooks
from executor import log
from executor import progress
from tests.executor import toy
from utils import processors


class _Terminal(io.StringIO):
  def isatty(self):
    return True


def test_bar_on_a_terminal_only():
  terminal, seconds = _Terminal(), iter([0., .1, 5.])
  bar = progress.Bar(terminal, lambda: next(seconds))
  for share in (.5, .6, 1.):
    bar.show('Step 1 of 2', share)
  bar.end()
  first, last, end = terminal.getvalue().split('\r\x1b[K')
  assert first == '[%s%s] Step 1 of 2' % ('#' * 12, '.' * 12)  # not .6
  assert last == '[%s] Step 1 of 2' % ('#' * 24) and end == ''
  file = io.StringIO()
  progress.Bar(file).show('Step 1 of 2')
  assert file.getvalue() == ''


def test_lines_of_the_log_take_the_bar_away():
  terminal = _Terminal()
  handler = log._Handler(terminal)
  progress.Bar(terminal).show('bar')
  handler.emit(logging.LogRecord('a', logging.INFO, 'a', 1, 'line', (), None))
  assert terminal.getvalue() == 'bar\r\x1b[Kline\n'


def test_rhythm():
  rhythm = progress.Rhythm(10.)
  assert [now for now in (0., 4., 11., 20., 21.) if rhythm.is_due(now)] == [
      0., 11., 21.]


def _train(tmp_path, input_fn, seconds_of_step, **changes):
  """Trains the toy by a clock that only steps move."""
  config = toy.config(tmp_path, **changes)
  now = [0.]
  def clock():
    now[0] += seconds_of_step
    return now[0]
  hook = hooks.TrainingHook(config, config.train.log_every_steps,
                            str(tmp_path / 'log.jsonl'), clock)
  hook._bar = progress.Bar(io.StringIO())  # It has a clock of its own.
  estimator_lib.build_estimator(config, toy.model_fn).train(
      lambda: input_fn({'batch_size': 4}), hooks=[hook],
      max_steps=config.train.total_steps)


def _lines(caplog):
  return [r.getMessage() for r in caplog.records
          if r.getMessage().startswith('Step ')]


def test_lines_come_by_time(tmp_path, caplog):
  """The first at once, whatever train.log_every_steps is, and the last."""
  tf.logging.set_verbosity(tf.logging.INFO)
  with caplog.at_level('INFO'):
    _train(tmp_path, toy.input_fn, 4., train__log_every_seconds=10.,
           train__log_every_steps=100)
  lines = _lines(caplog)
  assert [line.split(' (')[0] for line in lines] == [
      'Step 1 of 6', 'Step 4 of 6', 'Step 6 of 6']
  assert ' 0.25 steps/s, 1 images/s,' in lines[1] and '8 s left' in lines[1]
  assert re.search(r'memory [\d.]+ GiB', lines[2]) and 'left' not in lines[2]


def test_wait_for_data_is_not_told_on_one_core(tmp_path, caplog, monkeypatch):
  """There it read 99 % with batches that were always ready."""
  monkeypatch.setattr(processors, 'available', lambda: 1)
  tf.logging.set_verbosity(tf.logging.INFO)
  with caplog.at_level('INFO'):
    _train(tmp_path, toy.input_fn, 1.)
  lines = _lines(caplog)
  assert 'steps/s' in lines[1] and 'waiting' not in '\n'.join(lines)


def test_wait_for_data_is_measured(tmp_path, caplog, monkeypatch):
  """A slow pipeline is what most of the time goes to."""
  def slow_input_fn(params):
    def wait(x, y):
      time.sleep(.05)
      return x, y
    return toy.input_fn(params).map(
        lambda x, y: tuple(tf.py_func(wait, [x, y], [tf.float32] * 2))).map(
            lambda x, y: (tf.ensure_shape(x, [4, 2]),
                          tf.ensure_shape(y, [4, 2])))
  monkeypatch.setattr(processors, 'available', lambda: 2)
  tf.logging.set_verbosity(tf.logging.INFO)
  with caplog.at_level('INFO'):
    # By this clock a step takes as long as each batch does, at least.
    _train(tmp_path, slow_input_fn, .05)
  shares = [int(n) for n in re.findall(r'(\d+) % of the time waiting for data',
                                       '\n'.join(_lines(caplog)))]
  assert shares and min(shares[1:]) > 50
