"""Sessions other than that of a job: to decode, hash and check a few values.

The threads of a session do not survive a fork: in a process that is forked from
one that had a session, a new session waits forever.
"""

import os
from typing import Any

from ops import tensorflow_later as tf

_pids = set()  # of processes that had one


def make(**options: Any) -> 'tf.Session':
  """A tf.Session, with its arguments."""
  _pids.add(os.getpid())
  return tf.Session(**options)


def had_one() -> bool:
  """Whether this process must not be forked for work with TensorFlow."""
  return os.getpid() in _pids
