"""The loops of evaluation: beside a training run, and of one checkpoint."""

import time
from typing import Any, Callable, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import errors
from executor import followed
from executor import hooks
from executor import model_dir as model_dir_lib

_POLL_SECONDS = 5
_REMIND_SECONDS = 300
_ATTEMPTS = 3  # at a checkpoint that cannot be read
_RESTART_SECONDS = 300  # for a training run to take an old finish mark away


class _Patience:
  """Waits for what training writes, tells for what, and gives up in the end."""

  def __init__(self, config, sleep, clock, goal='a checkpoint'):
    self.config = config
    self._goal = goal
    self._sleep, self._clock = sleep, clock
    self._start = self._last_words = None

  def reset(self):
    """What was waited for came."""
    self._start = None

  def wait(self):
    """Sleeps a little; raises errors.EvalTimeout when it was long enough."""
    now = self._clock()
    if self._start is None:
      self._start, self._last_words = now, now
      self._say('Waiting for %s' % self._goal)
    waited = now - self._start
    timeout = self.config.eval.eval_timeout
    if timeout is not None and waited >= timeout:
      raise errors.EvalTimeout(
          'No new checkpoint in %s for %s (eval.eval_timeout). %s' % (
              self.config.model_dir, hooks.format_duration(timeout),
              sign_of_life(self.config.model_dir)))
    if now - self._last_words >= _REMIND_SECONDS:
      self._last_words = now
      self._say('Still waiting after %s for %s' % (
          hooks.format_duration(waited), self._goal))
    pause = _POLL_SECONDS
    if timeout is not None:
      pause = min(pause, timeout - waited)
    self._sleep(pause)

  def _say(self, beginning):
    timeout = self.config.eval.eval_timeout
    limit = ('without a limit (eval.eval_timeout)' if timeout is None
             else 'for %s at most' % hooks.format_duration(timeout))
    tf.logging.info('%s in %s that is not evaluated, %s; the training ends at '
                    'step %d. %s', beginning, self.config.model_dir, limit,
                    self.config.train.total_steps,
                    sign_of_life(self.config.model_dir))


class _PatienceForTraining(_Patience):
  """Before a training run has begun, nobody knows where it ends."""

  def _say(self, beginning):
    tf.logging.info(
        '%s in %s: there is neither params.yaml, which the evaluation takes '
        'its configuration from, nor a checkpoint.', beginning,
        self.config.model_dir)


def wait_for_training(config: base.Config,
                      sleep: Callable[[float], None] = time.sleep,
                      clock: Callable[[], float] = time.time) -> None:
  """Waits until there is a params.yaml or a checkpoint in model_dir.

  Args:
    config: experiment, as the flags alone make it.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Raises:
    errors.EvalTimeout: when `eval.eval_timeout` passes without either.
  """
  patience = _PatienceForTraining(config, sleep, clock, 'a training run')
  while not followed.has_begun(config.model_dir):
    patience.wait()


def sign_of_life(model_dir: str) -> str:
  """A sentence about when the training last wrote something."""
  written = []
  path = model_dir_lib.train_log_path(model_dir)
  if tf.gfile.Exists(path):
    written.append(tf.gfile.Stat(path).mtime_nsec / 1e9)
  newest = checkpoints.latest(model_dir)
  try:
    written += [checkpoints.time_of(newest)] if newest else []
  except tf.errors.NotFoundError:
    pass  # It was deleted in this very moment.
  if not written:
    return 'No training has written there yet.'
  return 'The training there last wrote %s ago.' % hooks.format_duration(
      max(0, time.time() - max(written)))


def evaluate_continuously(
    config: base.Config, evaluation: Any,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
    follow: Optional[Callable[[], base.Config]] = None) -> None:
  """Evaluates the checkpoints of a training run beside it, until its end.

  Always the newest one, or all of them with `eval.eval_every_checkpoint`;
  none twice, and not the untrained one of step 0.

  Args:
    config: experiment.
    evaluation: executor.evaluation.Evaluation, or a double of it.
    sleep: (seconds) -> None.
    clock: () -> seconds.
    follow: () -> experiment, the configuration as the training run has it by
      now; None: it stays.

  Raises:
    errors.EvalTimeout: when `eval.eval_timeout` passes without a new one.
    errors.TrainingDiverged: when the training said so and ended.
    errors.JobError: of `follow`.
  """
  patience = _Patience(config, sleep, clock)
  skipped, job_start = set(), clock()
  while True:
    # Looked at first: a checkpoint may come between the two looks.
    finished = _has_ended(config.model_dir, job_start, clock())
    path = _next_checkpoint(config, evaluation, skipped)
    if follow:
      # Behind the look: what was written before the checkpoint belongs to it.
      config = patience.config = follow()
      evaluation.take_over(config)
    if path:
      patience.reset()
      start = clock()
      if not _evaluate_patiently(evaluation, path, sleep):
        skipped.add(path)
      elif checkpoints.step_of(path) >= config.train.total_steps:
        break
      # Without a pause, evaluation would take all of a shared machine.
      if not finished:
        sleep(max(0, start + config.eval.min_eval_interval - clock()))
    elif (checkpoints.latest_step(config.model_dir)
          >= config.train.total_steps) or finished:
      break
    else:
      patience.wait()
  _report_end(config, skipped)


def _has_ended(model_dir, job_start, now):
  """Whether the training in a folder says that it ended.

  A mark from before this job may be of a training run that is being started
  again at this moment.
  """
  finished = model_dir_lib.read_finished(model_dir)
  return bool(finished) and (finished['time'] >= job_start
                             or now - job_start >= _RESTART_SECONDS)


def _next_checkpoint(config, evaluation, skipped):
  """Prefix of the next checkpoint to evaluate, or None."""
  if config.eval.eval_every_checkpoint:
    paths = checkpoints.find_all(config.model_dir)
  else:
    paths = _newest_of(config.model_dir, skipped)
  for path in paths:
    try:
      if (checkpoints.step_of(path) and path not in skipped
          and not evaluation.is_done(path)):
        return path
    except tf.errors.NotFoundError:
      pass  # It was deleted meanwhile.
  return None


def _newest_of(model_dir, skipped):
  """[the newest checkpoint that could be read], or nothing."""
  newest = checkpoints.latest(model_dir)
  if newest in skipped:  # It is damaged: the one before it has to do.
    step = checkpoints.step_of(newest)
    readable = [path for path in checkpoints.find_all(model_dir)
                if path not in skipped and checkpoints.step_of(path) < step]
    newest = readable[-1] if readable else None
  return [newest] if newest else []


def _evaluate_patiently(evaluation, path, sleep):
  """Evaluates; False if the checkpoint was deleted or cannot be read."""
  for attempt in range(1, _ATTEMPTS + 1):
    try:
      evaluation.run(path)
      return True
    except (tf.errors.OpError, ValueError, IndexError) as e:
      if not tf.gfile.Exists(path + '.index'):
        tf.logging.warning('%s was deleted before its evaluation ended; it is '
                           'left out.', path)
        return False
      if checkpoints.is_complete(path):
        raise  # Something else is wrong.
      tf.logging.warning('%s cannot be read (attempt %d of %d): %s', path,
                         attempt, _ATTEMPTS, str(e).split('\n')[0])
      sleep(_POLL_SECONDS)
  return False


def _report_end(config, skipped):
  """Says how it ended; raises if the training did not end well."""
  if skipped:
    tf.logging.warning('Checkpoints that could not be evaluated: %s.',
                       ', '.join(sorted(skipped)))
  finished = model_dir_lib.read_finished(config.model_dir)
  if finished and finished['state'] == 'diverged':
    raise errors.TrainingDiverged(
        'The training in %s diverged after step %d; no further checkpoint will '
        'come.' % (config.model_dir, finished['step']))
  tf.logging.info('The last checkpoint of the training is evaluated.')


def wait_for_checkpoint(config: base.Config,
                        sleep: Callable[[float], None] = time.sleep,
                        clock: Callable[[], float] = time.time) -> str:
  """The newest checkpoint in model_dir, for a single evaluation.

  Args:
    config: experiment; with `eval.eval_timeout` a first one is waited for.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Returns:
    Checkpoint prefix.

  Raises:
    errors.SetupError: when there is none and no time to wait is set, or when
      all that are there are damaged.
    errors.EvalTimeout: when none came in that time.
  """
  patience = _Patience(config, sleep, clock)
  while True:
    path = checkpoints.to_go_on_from(config.model_dir)
    if path:
      return path
    if config.eval.eval_timeout is None:
      raise errors.SetupError(
          'There is no checkpoint in %s. Train first (--mode=train), or wait '
          'for one with eval.eval_timeout=SECONDS.' % config.model_dir)
    patience.wait()
