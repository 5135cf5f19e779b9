"""A log that cannot be written is a warning, once."""

import logging
import os

import pytest
import tensorflow.compat.v1 as tf

from executor import estimator as estimator_lib
from executor import log_files
from executor import loops
from tests.executor import toy
from utils import modes

_UNAVAILABLE = tf.errors.UnavailableError(None, None, 'the bucket is busy')


@pytest.fixture(autouse=True)
def _nothing_told(fresh_graph, monkeypatch):
  del fresh_graph  # It sets the level, too.
  tf.logging.set_verbosity(tf.logging.WARN)
  monkeypatch.setattr(log_files, '_WARNED', set())


def _fail(*unused, **also_unused):
  raise _UNAVAILABLE


def _warnings(caplog):
  return [r.getMessage() for r in caplog.records
          if r.levelno == logging.WARNING and 'is lost' in r.getMessage()]


class _Broken:
  """An EventsWriter that fails for a while."""

  def __init__(self, writer):
    self._writer = writer
    self.is_broken = True

  def __getattr__(self, name):
    return _fail if self.is_broken else getattr(self._writer, name)


def _events(folder):
  return [(e.step, v.simple_value) for name in sorted(os.listdir(folder))
          if name.startswith('events') for e in tf.train.summary_iterator(
              os.path.join(folder, name)) for v in e.summary.value]


def test_events_that_cannot_be_written(tmp_path, caplog):
  """Many more than the queue holds: nothing waits for the dead thread."""
  writer = tf.summary.FileWriter(str(tmp_path), max_queue=2)
  events = writer.event_writer
  broken = _Broken(events._ev_writer)
  events._ev_writer = events._worker._ev_writer = broken
  log_files.tolerant(log_files.tolerant(writer))
  value = tf.Summary(value=[tf.Summary.Value(tag='x', simple_value=5.)])
  for step in range(20):
    writer.add_summary(value, step)
  writer.flush()
  broken.is_broken = False
  writer.add_summary(value, 20)
  writer.close()
  assert _events(str(tmp_path)) == [(20, 5.)]
  assert len(_warnings(caplog)) == 1


def _parts(config):
  return estimator_lib.build_estimator(config, toy.model_fn), (
      estimator_lib.with_batch_size(toy.input_fn, config, modes.TRAIN))


def test_training_shares_a_writer_that_goes_on(tmp_path):
  seen = []

  class Look(tf.train.SessionRunHook):
    def after_create_session(self, session, coord):
      writer = tf.summary.FileWriterCache.get(str(tmp_path))
      seen.append(writer.event_writer._ev_writer)

  config = toy.config(tmp_path, train__total_steps=1)
  estimator, input_fn = _parts(config)
  train = estimator.train
  estimator.train = lambda fn, hooks, **more: train(
      fn, hooks=hooks + [Look()], **more)
  loops.train(config, estimator, input_fn)
  assert isinstance(seen[0], log_files._Tolerant)
