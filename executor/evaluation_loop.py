"""The loops of evaluation: alongside a training run, and of one checkpoint."""

import contextlib
import time
from typing import Any, Callable, Iterator, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import errors
from executor import followed
from executor import hooks
from executor import model_dir as model_dir_lib
from executor import pins
from executor import run_lock
from modeling import checkpoint_checks
from modeling import checkpoint_files

_POLL_SECONDS = 5
_REMIND_SECONDS = 300
_ATTEMPTS = 3  # at a checkpoint that cannot be read, and does not change
# Temporary errors of buckets and network file systems.
_PASSING = (tf.errors.UnavailableError, tf.errors.AbortedError,
            tf.errors.DeadlineExceededError)
_LOCK_SECONDS = 600  # longer than the lock of a killed job counts
_RESTART_SECONDS = 300  # for a training run to remove an old finish mark


class _Patience:
  """Waits for what training writes, logs that, and gives up at a time limit."""

  def __init__(self, config, sleep, clock, voice=None, tries=None,
               goal='a checkpoint'):
    self.config = config
    self._goal = goal
    self._voice, self._tries = voice, tries
    self._sleep, self._clock = sleep, clock
    self._start = self._last_words = None

  def reset(self):
    """Starts the waiting time again, after what was awaited has come."""
    self._start = None

  def wait(self):
    """Sleeps a little; raises errors.EvalTimeout at the time limit."""
    now = self._clock()
    if self._start is None:
      self._start, self._last_words = now, now
      self._say('Waiting for %s' % self._goal)
    waited = now - self._start
    timeout = self.config.eval.eval_timeout
    self._tell('waiting', self._goal)
    if timeout is not None and waited >= timeout:
      how = 'No new checkpoint in %s for %s (eval.eval_timeout). %s' % (
          self.config.model_dir, hooks.format_duration(timeout),
          sign_of_life(self.config.model_dir))
      self._tell('ended', how)
      raise errors.EvalTimeout(how)
    if now - self._last_words >= _REMIND_SECONDS:
      self._last_words = now
      self._say('Still waiting after %s for %s' % (
          hooks.format_duration(waited), self._goal))
    pause = _POLL_SECONDS
    if timeout is not None:
      pause = min(pause, timeout - waited)
    self._sleep(pause)

  def _tell(self, state, doing):
    if self._voice:
      problems = self._tries.problems() if self._tries else ()
      self._voice.say(state, doing, problems)

  def _say(self, beginning):
    timeout = self.config.eval.eval_timeout
    limit = ('without a limit (eval.eval_timeout)' if timeout is None
             else 'for %s at most' % hooks.format_duration(timeout))
    tf.logging.info('%s in %s that is not evaluated, %s; the training run ends '
                    'at step %d. %s', beginning, self.config.model_dir, limit,
                    self.config.train.total_steps,
                    sign_of_life(self.config.model_dir))


class _PatienceForTraining(_Patience):
  """For a training run that has not begun, whose last step is unknown."""

  def _say(self, beginning):
    tf.logging.info(
        '%s in %s: there is neither params.yaml, which the evaluation takes '
        'its configuration from, nor a checkpoint.', beginning,
        self.config.model_dir)


def wait_for_training(config: base.Config,
                      sleep: Callable[[float], None] = time.sleep,
                      clock: Callable[[], float] = time.monotonic) -> None:
  """Waits until there is a params.yaml or a checkpoint in model_dir.

  Args:
    config: experiment, as the flags alone make it.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Raises:
    errors.EvalTimeout: when `eval.eval_timeout` passes without either.
  """
  patience = _PatienceForTraining(config, sleep, clock, goal='a training run')
  while not followed.has_begun(config.model_dir):
    patience.wait()


def sign_of_life(model_dir: str) -> str:
  """A sentence about when training last wrote something."""
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
    return 'No training run has written there yet.'
  return 'The training run there last wrote %s ago.' % hooks.format_duration(
      max(0, time.time() - max(written)))


def evaluate_continuously(
    config: base.Config, evaluation: Any,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    follow: Optional[Callable[[], base.Config]] = None) -> None:
  """Evaluates the checkpoints of a training run alongside it, until its end.

  Always the newest one, or all of them with `eval.eval_every_checkpoint`;
  none twice, and not the untrained one of step 0. One that cannot be read is
  tried again for as long as its files change, and then left out until they
  change again.

  Args:
    config: experiment.
    evaluation: executor.evaluation.Evaluation, or a double of it.
    sleep: (seconds) -> None.
    clock: () -> seconds, monotonic.
    follow: () -> experiment, the configuration as the training run has it by
      now; None: it stays.

  Raises:
    errors.EvalTimeout: when `eval.eval_timeout` passes without a new one.
    errors.TrainingDiverged: when the training run diverged.
    errors.NotEvaluated: when the last checkpoint cannot be read.
    errors.JobError: as `follow` raises it.
  """
  pins.remove_left(model_dir_lib.eval_dir(config))
  tries = _Tries()
  patience = _Patience(config, sleep, clock, evaluation.voice, tries)
  end = _EndOfTraining(config.model_dir, clock)
  while True:
    # Looked at first: a checkpoint may come between the two looks.
    has_ended = end.is_there()
    path = _next_checkpoint(config, evaluation, tries)
    if follow:
      # After the look: what was written before the checkpoint belongs to it.
      config = patience.config = follow()
      evaluation.take_over(config)
    is_last = (checkpoints.latest_step(config.model_dir)
               >= config.train.total_steps) or has_ended
    if path:
      patience.reset()
      start = clock()
      if not _evaluate(evaluation, path, tries):
        sleep(_POLL_SECONDS)
      # Without a pause, evaluation would take all of a shared machine.
      elif not is_last:
        sleep(max(0, start + config.eval.min_eval_interval - clock()))
    elif is_last:
      break
    else:
      patience.wait()
  _report_end(config, evaluation, tries)


@contextlib.contextmanager
def alone(config: base.Config,
          sleep: Callable[[float], None] = time.sleep) -> Iterator[None]:
  """Holds the lock of the results folder: two jobs would do everything twice.

  The lock of a job that was killed on another machine counts for some minutes;
  this waits for them to pass.

  Args:
    config: experiment.
    sleep: (seconds) -> None.

  Yields:
    Nothing.

  Raises:
    errors.SetupError: when another job keeps the lock.
  """
  folder, kind = model_dir_lib.eval_dir(config), run_lock.EVALUATION
  first = run_lock.read(folder, kind)
  with contextlib.ExitStack() as stack:
    for seconds in range(_LOCK_SECONDS, -1, -_POLL_SECONDS):
      if not seconds and run_lock.read(folder, kind) == first:
        # A running job refreshes it, whatever the clocks of machines say.
        tf.gfile.Remove(run_lock.path_in(folder, kind))
      try:
        stack.enter_context(run_lock.held(folder, kind=kind))
        break
      except errors.SetupError as e:
        if not seconds:
          raise
        if seconds % _REMIND_SECONDS == 0:
          tf.logging.warning('%s Waiting for %d s at most.', e, seconds)
        sleep(_POLL_SECONDS)
    yield


class _Tries:
  """Which checkpoints could not be read, and the state of their files then."""

  def __init__(self):
    self._failed = {}  # {path: (what was there, how often, why)}

  def is_left(self, path):
    """Whether to try again: too few attempts so far, or other files by now."""
    there, count, _ = self._failed.get(path, (None, 0, ''))
    return count < _ATTEMPTS or _what_is_there(path) != there

  def failed(self, path, reason):
    """Notes a failure, and logs it."""
    there, count, _ = self._failed.get(path, (None, 0, ''))
    what = _what_is_there(path)
    count = count + 1 if what == there else 1
    self._failed[path] = (what, count, reason)
    tf.logging.warning(
        '%s cannot be read (attempt %d of %d while its files stay as they '
        'are): %s', path, count, _ATTEMPTS, reason)

  def succeeded(self, path):
    self._failed.pop(path, None)

  def problems(self):
    """Sentences about those that still exist."""
    return tuple('%s cannot be read: %s' % (path, self._failed[path][2])
                 for path in sorted(self._failed)
                 if tf.gfile.Exists(path + '.index'))


def _what_is_there(path):
  """The state of the files of a checkpoint, to see whether they change."""
  try:
    return ([(name, tf.gfile.Stat(name).length)
             for name in sorted(tf.gfile.Glob(path + '.*'))],
            checkpoints.fingerprint(path))
  except tf.errors.NotFoundError:
    return None


class _EndOfTraining:
  """Looks for the mark of the end of a training run."""

  def __init__(self, model_dir, clock):
    self._model_dir, self._clock = model_dir, clock
    self._start = clock()
    # It may be of a training run that is being started again at this moment.
    self._old_mark = model_dir_lib.read_finished(model_dir)

  def is_there(self):
    mark = model_dir_lib.read_finished(self._model_dir)
    return mark is not None and (
        mark != self._old_mark
        or self._clock() - self._start >= _RESTART_SECONDS)


def _next_checkpoint(config, evaluation, tries):
  """Prefix of the next checkpoint to evaluate, or None."""
  if config.eval.eval_every_checkpoint:
    paths = checkpoints.find_all(config.model_dir)
  else:
    paths = _newest_of(config.model_dir, tries)
  for path in paths:
    try:
      if (checkpoints.step_of(path) and not evaluation.is_done(path)
          and tries.is_left(path)):
        return path
    except tf.errors.NotFoundError:
      pass  # It was deleted meanwhile.
  return None


def _newest_of(model_dir, tries):
  """[the newest checkpoint that could be read], or nothing."""
  newest = checkpoints.latest(model_dir)
  if newest and not tries.is_left(newest):  # The one before it has to do.
    step = checkpoints.step_of(newest)
    readable = [path for path in checkpoints.find_all(model_dir)
                if checkpoints.step_of(path) < step and tries.is_left(path)]
    newest = readable[-1] if readable else None
  return [newest] if newest else []


def _evaluate(evaluation, path, tries):
  """Evaluates; False if the checkpoint was deleted or cannot be read."""
  try:
    evaluation.run(path)
  except pins.GoneError as e:
    tf.logging.warning('%s It is left out.', e)
    return False
  except (checkpoint_checks.BrokenCheckpointError,) + _PASSING as e:
    tries.failed(path, str(e).split('\n')[0])
    return False
  tries.succeeded(path)
  return True


def _report_end(config, evaluation, tries):
  """Reports the end; raises an error unless all went well."""
  for problem in tries.problems():
    tf.logging.warning('Not evaluated: %s', problem)
  finished = model_dir_lib.read_finished(config.model_dir)
  last = checkpoints.latest(config.model_dir)
  step = checkpoints.step_of(last) if last else 0
  if finished and finished['state'] == 'diverged':
    how = ('The training run in %s diverged after step %d; no further '
           'checkpoint will come.' % (config.model_dir, finished['step']))
    error = errors.TrainingDiverged(how)
  elif finished and finished['step'] > step or not last or not _is_done(
      evaluation, last):
    how = ('The training run in %s has ended at step %d, and its last '
           'checkpoint (%s) could not be evaluated.' % (
               config.model_dir, finished['step'] if finished else step,
               last or 'there is none'))
    error = errors.NotEvaluated(how)
  else:
    how, error = 'The last checkpoint of the training run is evaluated.', None
  evaluation.voice.say('ended', how, tries.problems())
  if error:
    raise error
  tf.logging.info('%s', how)


def _is_done(evaluation, path):
  try:
    return evaluation.is_done(path)
  except tf.errors.NotFoundError:
    return False


def wait_for_checkpoint(config: base.Config,
                        sleep: Callable[[float], None] = time.sleep,
                        clock: Callable[[], float] = time.monotonic) -> str:
  """The newest checkpoint in model_dir, for a single evaluation.

  Args:
    config: experiment; with `eval.eval_timeout` it waits for the first one.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Returns:
    Checkpoint prefix.

  Raises:
    errors.SetupError: when there is none and `eval.eval_timeout` is not set, or
      when all are damaged.
    errors.EvalTimeout: when none came in that time.
  """
  patience = _Patience(config, sleep, clock)
  while True:
    path = checkpoints.to_go_on_from(config.model_dir)
    if path:
      return path
    if config.eval.eval_timeout is None:
      raise errors.SetupError(nothing_there(config.model_dir))
    patience.wait()


def nothing_there(model_dir: str) -> str:
  """The message about a model_dir without a checkpoint."""
  return (
      'There is no checkpoint in %s%s. Train first (--mode=train), or wait for '
      'one with eval.eval_timeout=SECONDS.%s' % (
          model_dir, '' if tf.gfile.IsDirectory(model_dir)
          else ', which does not exist',
          checkpoint_files.hint_about(model_dir)))
