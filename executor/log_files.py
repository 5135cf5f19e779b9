"""Logs of a training run, in a folder that may be a bucket.

A TensorFlow error within a hook makes the session restart from the last
checkpoint, which is too high a price for the log of some steps. Where a log
cannot be written, that part of it is missing.
"""

import tensorflow.compat.v1 as tf

_ERRORS = (tf.errors.OpError, OSError)
_WARNED = set()  # logs about which a warning was given


def event_writer(folder: str) -> tf.summary.FileWriter:
  """The writer of TensorBoard events that all hooks of a training run share.

  Args:
    folder: model_dir.

  Returns:
    tf.summary.FileWriter; it gives a warning instead of an error.
  """
  cache = tf.summary.FileWriterCache
  with cache._lock:
    if folder not in cache._cache:
      # The cache would begin the file with the default graph; see graph_file.
      cache._cache[folder] = tf.summary.FileWriter(folder)
  return tolerant(cache.get(folder))


def tolerant(writer: tf.summary.FileWriter) -> tf.summary.FileWriter:
  """Makes a tf.summary.FileWriter give warnings instead of errors."""
  events = writer.event_writer
  if not isinstance(events._ev_writer, _Tolerant):  # pylint: disable=protected-access
    inner = _Tolerant(events._ev_writer, events.get_logdir())  # pylint: disable=protected-access
    # An error would end its thread. With TensorFlow 1.15 the training run would
    # then wait forever; with 2.15 the next event would raise the error.
    events._ev_writer = events._worker._ev_writer = inner  # pylint: disable=protected-access
  return writer


class _Tolerant:
  """An EventsWriter of TensorFlow that warns instead of raising errors."""

  def __init__(self, writer, folder):
    self._writer, self._folder = writer, folder

  def __getattr__(self, name):
    method = getattr(self._writer, name)

    def call(*args):
      try:
        return method(*args)
      except _ERRORS as e:
        _warn(self._folder, e)
        return None

    return call


def _warn(path, error):
  if path in _WARNED:
    return
  _WARNED.add(path)
  tf.logging.warning(
      'A part of the log in %s is lost: %s Training continues; further errors '
      'of this kind are not reported.', path,
      getattr(error, 'message', None) or error)
