"""What the workers of a training run on several hosts decide together.

Gradients are averaged with collective operations, which wait for all workers:
one that stops, fails or saves by itself would leave the others waiting. So
between two steps the workers average small vectors, and each of them sees the
same NaN, the same request to stop and the same time to save, at the same step.
"""

import os
import tempfile
from typing import Optional, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from executor import errors
from modeling.training import training_variables
from ops import replicas

_ROUNDING = 1e-5  # of a mean in float32, of its size


class Workers:
  """Averages and votes over the workers."""

  def __init__(self) -> None:
    """Serves one call of training; `prepare` adds the operations."""
    self._operations = {}  # {size: (placeholder, its mean over the workers)}

  def prepare(self, size: int = 1) -> None:
    """Adds the operations for vectors of a size to the graph, in `begin`."""
    if size in self._operations:
      return
    values = tf.placeholder(tf.float32, [size])
    strategy = tf.distribute.get_strategy()

    results = strategy.extended.call_for_each_replica(
        replicas.mean, args=(values,))
    mean = strategy.experimental_local_results(results)[0]
    self._operations[size] = values, mean

  def mean(self, session: tf.Session, values: Sequence[float]) -> np.ndarray:
    """The mean of a vector over the workers; all of them have to call it.

    Args:
      session: tf.Session.
      values: [float] of a size that was prepared.

    Returns:
      float32 array; NaN where the value of any worker is.
    """
    placeholder, mean = self._operations[len(values)]
    return session.run(mean, {placeholder: np.asarray(values, np.float32)})

  def any(self, session: tf.Session, vote: bool) -> bool:
    """Whether any worker votes yes; all of them have to call it.

    Args:
      session: tf.Session.
      vote: bool, of this worker.
    """
    return bool(self.mean(session, [float(vote)])[0] > 0)


class Alone:
  """What Workers is for several, where one process does everything."""

  def prepare(self, size: int = 1) -> None:
    """Nothing to prepare."""

  def mean(self, session: tf.Session,
           values: Sequence[float]) -> Sequence[float]:
    """The values."""
    del session
    return values

  def any(self, session: tf.Session, vote: bool) -> bool:
    """The vote."""
    del session
    return vote


class SameStart(tf.train.SessionRunHook):
  """Checks that all workers start from the same step."""

  def __init__(self, workers: Workers, model_dir: str) -> None:
    """Keeps the workers, and the folder for the message."""
    self._workers = workers
    self._model_dir = model_dir

  def begin(self) -> None:
    self._workers.prepare()
    self._read_step = training_variables.read_step()

  def after_create_session(self, session: tf.Session,
                           coord: tf.train.Coordinator) -> None:
    del coord
    step = float(session.run(self._read_step))
    mean = float(self._workers.mean(session, [step])[0])
    # All workers have to stop, also one whose step happens to be the mean.
    if self._workers.any(session, abs(step - mean) > .01 + _ROUNDING * step):
      raise errors.SetupError(
          'The workers start from different checkpoints: this one from step '
          '%d of %s, the mean is %g. --model_dir has to be one folder that all '
          'workers share.' % (step, self._model_dir, mean))


class SharedSaver(tf.train.CheckpointSaverHook):
  """Saves at the same step on all workers; the chief's files are kept.

  Saving reads the moving statistics of all workers with collective operations,
  so that every worker has to take part; the others write to a temporary folder.
  The clock of the chief decides when a checkpoint is due.
  """

  def __init__(
      self, workers: Workers, is_chief: bool, model_dir: str,
      save_secs: Optional[float] = None, save_steps: Optional[int] = None,
      listeners: Optional[Sequence[tf.train.CheckpointSaverListener]] = None
  ) -> None:
    """Makes the saver.

    Args:
      workers: Workers.
      is_chief: bool.
      model_dir: where the chief writes.
      save_secs: float, or
      save_steps: int, the interval.
      listeners: [tf.train.CheckpointSaverListener], on all workers.
    """
    self._temporary = None
    if not is_chief:
      self._temporary = tempfile.TemporaryDirectory()
      model_dir = os.path.join(self._temporary.name, 'checkpoints')
    super().__init__(model_dir, save_secs=save_secs, save_steps=save_steps,
                     listeners=listeners)
    self._workers = workers
    self._is_chief = is_chief

  def begin(self) -> None:
    super().begin()
    self._workers.prepare()

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    session = run_context.session
    step = session.run(self._global_step_tensor)
    is_due = self._is_chief and self._timer.should_trigger_for_step(step)
    if self._workers.any(session, is_due):
      self._timer.update_last_triggered_step(step)
      self._save(session, step)

  def end(self, session: tf.Session) -> None:
    super().end(session)
    if self._temporary:
      self._temporary.cleanup()
