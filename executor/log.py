"""What the console shows: lines of this code, and TensorFlow's warnings.

Without TensorFlow, so that it can be set up before that is loaded.
"""

import logging
import os
import sys
from typing import Any
import warnings

_FRAMEWORK = (os.sep + 'tensorflow', os.sep + 'absl' + os.sep)
# TensorFlow's message when it creates a session again, which it tries forever.
_LOST_SESSION = 'An error was raised'
_REASON = 300  # characters of its message
# Warnings without consequence. The second is about the losses that the model
# hands to the progress hook: a checkpoint's .meta file leaves them out.
_NOISE = ('is deprecated', 'Issue encountered when serializing')


def _is_no_noise(record):
  """False for the framework's own chatter; a filter of a logger.

  Chatter are warnings without consequence, such as deprecation notices, and
  records below a warning, except the loss of a session.
  """
  if any(words in str(record.msg) for words in _NOISE):
    return False
  return (record.levelno >= logging.WARNING
          or str(record.msg).startswith(_LOST_SESSION)
          or not any(part in record.pathname for part in _FRAMEWORK))


def _is_for_people(record):
  """As `_is_no_noise`; puts the loss of a session into words."""
  is_shown = _is_no_noise(record)
  if is_shown and str(record.msg).startswith(_LOST_SESSION):
    _reword_lost_session(record)
  return is_shown


def _reword_lost_session(record):
  """Turns a long informational message of TensorFlow into a short warning."""
  reason = ' '.join(str(record.args[0] if record.args else '').split())
  record.levelno, record.levelname = logging.WARNING, 'WARNING'
  record.msg = ('The connection to a worker was lost, or a file could not be '
                'reached; a new session resumes from the last checkpoint. The '
                'reason: %s')
  record.args = (reason[:_REASON] + ' ...' * (len(reason) > _REASON),)


def quiet_tensorflow() -> None:
  """Keeps TensorFlow's own lines from the console; call it before its import.

  What matters is also raised as an exception. The rest is about optimisations
  that did not apply, libraries that are not there, functions that are
  deprecated, and files that are read.
  """
  logging.getLogger('tensorflow').addFilter(_is_no_noise)
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  # NumPy's, about the source of TF 1.15.
  warnings.filterwarnings('ignore', category=FutureWarning,
                          module='(tensorflow|tensorboard)')
  warnings.filterwarnings('ignore', category=UserWarning,
                          module='tensorflow')


class _Handler(logging.StreamHandler):
  """Erases what a progress bar has drawn before it writes a line."""

  def emit(self, record):
    _clear(self.stream)
    super().emit(record)


_DRAWN: Any = {}  # {id of a stream: stream} with an unfinished line


def write_over(stream: Any, text: str) -> None:
  """Writes text over what `write_over` wrote last; '' erases it.

  Args:
    stream: a terminal.
    text: str, one line.
  """
  _clear(stream)
  if text:
    stream.write(text[:_columns(stream)])
    _DRAWN[id(stream)] = stream
  stream.flush()


def _clear(stream):
  if _DRAWN.pop(id(stream), None) is not None:
    stream.write('\r\x1b[K')


def _columns(stream):
  """How many characters fit on a line."""
  try:
    return max(20, os.get_terminal_size(stream.fileno()).columns - 1)
  except (OSError, ValueError):
    return 79


def set_up(verbose: bool = False) -> None:
  """Sends the log to stderr, one line each, with the time.

  Args:
    verbose: whether everything that TensorFlow logs is also shown.
  """
  handler = _Handler(sys.stderr)
  handler.setFormatter(logging.Formatter(
      '%(asctime)s %(levelname).1s %(message)s', '%Y-%m-%d %H:%M:%S'))
  if not verbose:
    handler.addFilter(_is_for_people)
    quiet_tensorflow()
  root = logging.getLogger()
  root.handlers[:] = [handler]
  root.setLevel(logging.INFO)
  # TensorFlow adds its own handler only if there is no other.
  framework = logging.getLogger('tensorflow')
  framework.handlers[:] = []
  framework.propagate = True
  if verbose:
    framework.removeFilter(_is_no_noise)
  framework.setLevel(logging.INFO)
