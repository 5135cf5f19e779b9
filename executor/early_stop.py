"""Early stopping of a training run that no longer improves.

An evaluation, in this process or another one, leaves a mark in model_dir; the
training run looks for it, and ends with a checkpoint.
"""

import os
import time
from typing import Any, Callable, Dict, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import failures
from executor import workers as workers_lib
from modeling import storage

_POLL_SECONDS = 10  # between looks at the file, which may lie in a bucket
_TYPES = {'metric': str, 'step': int, 'best_step': int,
          'best_value': (int, float), 'evaluations': int}


def mark_path(model_dir: str) -> str:
  """The file of the mark."""
  return os.path.join(model_dir, 'early_stop.json')


def request(config: base.Config, step: int, best_step: int, best_value: float,
            evaluations: int) -> None:
  """Leaves the mark.

  Args:
    config: experiment.
    step: int, step of the last evaluation.
    best_step: int, step of the best evaluation.
    best_value: float, its value of `eval.best_metric`.
    evaluations: int, number of evaluations since then.
  """
  tf.logging.info(
      'No better %s than %.4g of step %d in %d evaluations '
      '(eval.early_stop_patience): the training run is asked to end.',
      config.eval.best_metric, best_value, best_step, evaluations)
  storage.write_json(mark_path(config.model_dir), {
      'metric': config.eval.best_metric, 'step': step, 'best_step': best_step,
      'best_value': best_value, 'evaluations': evaluations,
      'suffix': config.eval.suffix, 'time': time.time()})


def read(model_dir: str) -> Optional[Dict[str, Any]]:
  """The dictionary of `request`; None where it is missing or damaged."""
  return storage.read_record(mark_path(model_dir), **_TYPES)


def find_request(config: base.Config,
                 step: Optional[int] = None) -> Optional[Dict[str, Any]]:
  """The mark that a training run has to obey.

  Args:
    config: experiment.
    step: int, current step of the training run; a mark of a later step belongs
      to another training run that had reached it. None: any mark.

  Returns:
    The dictionary of `request`; None without one, without
    `eval.early_stop_patience`, or if that has become greater.
  """
  patience = config.eval.early_stop_patience
  mark = None if patience is None else read(config.model_dir)
  obeys = (mark and mark['metric'] == config.eval.best_metric
           and mark['evaluations'] >= patience
           and (step is None or mark['step'] <= step))
  return mark if obeys else None


def forget_after(model_dir: str, step: int) -> None:
  """Removes the mark of a training run that had reached a later step.

  Args:
    model_dir: folder of the mark.
    step: int, from which training continues; 0 for a new training run.
  """
  mark = read(model_dir)
  if mark and mark['step'] > step:
    clear(model_dir)


def clear(model_dir: str) -> None:
  """Removes the mark."""
  if tf.gfile.Exists(mark_path(model_dir)):
    tf.gfile.Remove(mark_path(model_dir))


def describe(config: base.Config, mark: Dict[str, Any], step: int) -> str:
  """A sentence about a training run that ended early, and how to resume it.

  Args:
    config: experiment.
    mark: result of `find_request`.
    step: int, step at which it ended.
  """
  return (
      'The training run ended early at step %d of %d: no better %s than %.4g '
      'of step %d in %d evaluations. A greater eval.early_stop_patience, or '
      'null, continues from here; so does the same command without %s.' % (
          step, config.train.total_steps, mark['metric'], mark['best_value'],
          mark['best_step'], mark['evaluations'],
          mark_path(config.model_dir)))


class EarlyStopHook(tf.train.SessionRunHook):
  """Ends the training run after a step when there is a mark."""

  def __init__(self, config: base.Config,
               clock: Callable[[], float] = time.time,
               workers: Optional[workers_lib.Workers] = None) -> None:
    """Keeps what it looks for.

    Args:
      config: experiment.
      clock: () -> seconds.
      workers: executor.workers.Workers, which end at the same step although
        they see the mark at different times; None: there is one.
    """
    self._config = config
    self._clock = clock
    self._workers = workers or workers_lib.Alone()
    self._next_look = 0.
    self.mark: Optional[Dict[str, Any]] = None

  def begin(self) -> None:
    self._workers.prepare()

  def after_run(self, run_context: tf.train.SessionRunContext,
                run_values: tf.train.SessionRunValues) -> None:
    del run_values
    now = self._clock()
    if now >= self._next_look:
      self._next_look = now + _POLL_SECONDS
      with failures.survived('It is not known whether to end early'):
        self.mark = find_request(self._config)
    if self._workers.any(run_context.session, self.mark is not None):
      with failures.survived('Another worker ends early; why is not known'):
        self.mark = self.mark or find_request(self._config)
      run_context.request_stop()
