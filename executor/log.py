"""What a person sees on the console: our lines, and TensorFlow's warnings.

Without TensorFlow, so that it can be set up before that is loaded.
"""

import logging
import os
import sys
import warnings

_FRAMEWORK = (os.sep + 'tensorflow', os.sep + 'absl' + os.sep)
# Where TensorFlow makes a session again, and tries forever.
_LOST_SESSION = 'An error was raised'
_REASON = 300  # characters of its message
# Warnings without consequence. The second is about the losses that the model
# hands to the progress hook: a checkpoint's .meta file leaves them out.
_NOISE = ('is deprecated', 'Issue encountered when serializing')


def _is_for_people(record):
  """False for the framework's own chatter and deprecation notices."""
  if any(words in str(record.msg) for words in _NOISE):
    return False
  if str(record.msg).startswith(_LOST_SESSION):
    _tell_of_lost_session(record)
    return True
  return record.levelno >= logging.WARNING or not any(
      part in record.pathname for part in _FRAMEWORK)


def _tell_of_lost_session(record):
  """Makes a warning of what TensorFlow says in passing, and at length."""
  reason = ' '.join(str(record.args[0] if record.args else '').split())
  record.levelno, record.levelname = logging.WARNING, 'WARNING'
  record.msg = ('The connection to a worker was lost, or a file could not be '
                'reached; the session is made again and resumes from the last '
                'checkpoint. The reason: %s')
  record.args = (reason[:_REASON] + ' ...' * (len(reason) > _REASON),)


def set_up(verbose: bool = False) -> None:
  """Sends the log to stderr, one line each, with the time.

  Args:
    verbose: whether everything that TensorFlow logs is shown too.
  """
  handler = logging.StreamHandler(sys.stderr)
  handler.setFormatter(logging.Formatter(
      '%(asctime)s %(levelname).1s %(message)s', '%Y-%m-%d %H:%M:%S'))
  if not verbose:
    handler.addFilter(_is_for_people)
    # What matters comes as an exception too. The rest is about optimisations
    # that did not apply and libraries that are not there.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    # NumPy's, about the source of TF 1.15.
    warnings.filterwarnings('ignore', category=FutureWarning,
                            module='(tensorflow|tensorboard)')
    warnings.filterwarnings('ignore', category=UserWarning,
                            module='tensorflow')
  root = logging.getLogger()
  root.handlers[:] = [handler]
  root.setLevel(logging.INFO)
  # TensorFlow adds a handler of its own only if nobody else has.
  framework = logging.getLogger('tensorflow')
  framework.handlers[:] = []
  framework.propagate = True
  framework.setLevel(logging.INFO)
