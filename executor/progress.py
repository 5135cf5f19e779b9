"""How far a job is: a line every few seconds, and on a terminal a bar."""

import sys
import time
from typing import Any, Callable, List, Optional

import tensorflow.compat.v1 as tf

from executor import log
from ops import compat
from utils import processors

_REDRAW_SECONDS = .5
_WIDTH = 24  # characters of the bar


class Bar:
  """One line on a terminal that is drawn again and again; elsewhere nothing."""

  def __init__(self, stream: Any = None,
               clock: Callable[[], float] = time.time) -> None:
    """Keeps the stream; None: stderr."""
    self._stream = stream or sys.stderr
    self._clock = clock
    self._drawn: Optional[float] = None
    self._is_terminal = bool(getattr(self._stream, 'isatty', lambda: False)())

  def show(self, text: str, share: Optional[float] = None) -> None:
    """Draws it, unless that was done a moment ago.

    Args:
      text: one line.
      share: how much of the job is done, 0 to 1; None: unknown.
    """
    now = self._clock()
    if not self._is_terminal or (
        self._drawn is not None and now - self._drawn < _REDRAW_SECONDS):
      return
    self._drawn = now
    if share is not None:
      filled = int(round(_WIDTH * min(1., share)))
      text = '[%s%s] %s' % ('#' * filled, '.' * (_WIDTH - filled), text)
    log.write_over(self._stream, text)

  def end(self) -> None:
    """Erases it."""
    if self._drawn is not None:
      log.write_over(self._stream, '')
      self._drawn = None


class Rhythm:
  """Decides when a line is due: at once, then at an interval."""

  def __init__(self, seconds: float) -> None:
    """Keeps the interval, in seconds."""
    self._seconds = seconds
    self._last: Optional[float] = None

  def is_due(self, now: float) -> bool:
    """Whether to write a line now; `now` are seconds."""
    if self._last is not None and now - self._last < self._seconds:
      return False
    self._last = now
    return True


def input_wait() -> Optional[tf.Tensor]:
  """Seconds that a call waits for its batch, as a tensor to fetch with it.

  Returns:
    float64 []; None where the graph has no iterator (a TPU's is elsewhere), and
    on one core, where it cannot be told: the one thread that runs operations
    comes back to the clock after much of the step, when the batch was there
    all along.
  """
  if processors.available() < 2:
    return None
  fetched: List[tf.Operation] = [
      op for op in tf.get_default_graph().get_operations()
      if op.type == compat.NEXT_BATCH
      and op._get_control_flow_context() is None]  # pylint: disable=protected-access
  if not fetched:
    return None
  with tf.device('/cpu:0'):
    start = tf.timestamp()
    with tf.control_dependencies(fetched):
      return tf.timestamp() - start
