"""Logs of a training run, in a folder that may be a bucket.

An error of TensorFlow within a hook makes its session begin again at the last
checkpoint. For the log of some steps that is too high a price: where a log
cannot be written, a part of it is missing.
"""

import tensorflow.compat.v1 as tf

_ERRORS = (tf.errors.OpError, OSError)
_TOLD = set()  # of which log a warning was given


def event_writer(folder: str) -> tf.summary.FileWriter:
  """The writer of TensorBoard events that all hooks of a training run share.

  Args:
    folder: model_dir.

  Returns:
    tf.summary.FileWriter; it gives a warning instead of an error.
  """
  return tolerant(tf.summary.FileWriterCache.get(folder))


def tolerant(writer: tf.summary.FileWriter) -> tf.summary.FileWriter:
  """Makes a tf.summary.FileWriter give warnings instead of errors."""
  events = writer.event_writer
  if not isinstance(events._ev_writer, _Tolerant):  # pylint: disable=protected-access
    inner = _Tolerant(events._ev_writer, events.get_logdir())  # pylint: disable=protected-access
    # Its thread would end with an error. With TensorFlow 1.15 the training run
    # then waits forever, with 2.15 the next event raises the error.
    events._ev_writer = events._worker._ev_writer = inner  # pylint: disable=protected-access
  return writer


class _Tolerant:
  """An EventsWriter of TensorFlow, of which errors are warnings."""

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
  if path in _TOLD:
    return
  _TOLD.add(path)
  tf.logging.warning(
      'A part of the log in %s is lost: %s The training run goes on; further '
      'errors of this kind are not told.', path,
      getattr(error, 'message', None) or error)
