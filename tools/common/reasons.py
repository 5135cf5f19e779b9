"""The reason of an error, for the person who started a command."""

from ops import tensorflow_later as tf

_NO_ROOM = ('No space left on device', 'Disk quota exceeded')


def of(error: Exception) -> str:
  """What went wrong, in one sentence for errors of files.

  Args:
    error: of Python or TensorFlow, whose errors of a session in TF 2.15 begin
      with where an operation was made.

  Returns:
    str; of a full disk also what to do.
  """
  text = str(error)
  if isinstance(error, tf.errors.OpError):
    from ops import compat
    text = compat.error_reason(error.message or text)
  if any(words in text for words in _NO_ROOM):
    return ('A disk is full: %s. Make room, and start the same command again.'
            % text)
  return text
