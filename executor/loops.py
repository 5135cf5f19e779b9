"""The loops of the modes train, eval and train_and_eval."""

import time

import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import estimator as estimator_lib
from executor import hooks
from executor import model_dir as model_dir_lib
from executor import workers as workers_lib

_POLL_SECONDS = 5
_REMIND_SECONDS = 300
_ATTEMPTS = 3  # at a checkpoint that cannot be read
_LINGER_SECONDS = 2
_RESTART_SECONDS = 300  # for a training to take an old finish mark away


def train(config, estimator, input_fn, max_steps=None, cluster=None):
  """Trains from the newest checkpoint in model_dir on.

  Args:
    config: experiment.
    estimator: of executor.estimator.
    input_fn: with the batch size of training.
    max_steps: int, where to stop; None: `train.total_steps`.
    cluster: executor.cluster.Cluster, if this is one of several workers.

  Returns:
    The step that was reached: less than `max_steps` where an evaluation asked
    for an early end.

  Raises:
    errors.Terminated: when a signal asked to stop; a checkpoint is written.
    errors.TrainingDiverged: at a loss or weight that is no finite number.
    errors.SetupError: when the checkpoint is of another model.
  """
  if max_steps is None:
    max_steps = config.train.total_steps
  start = checkpoints.latest(config.model_dir)
  if start and checkpoints.step_of(start) >= max_steps:
    tf.logging.info('%s is at step %d already: there is nothing to train.',
                    start, max_steps)
    return checkpoints.step_of(start)
  workers = workers_lib.Workers() if cluster else None
  is_chief = cluster is None or cluster.is_chief
  mark = early_stop.find_request(config)
  if start and mark:
    step = checkpoints.step_of(start)
    tf.logging.info('%s', early_stop.describe(config, mark, step))
    return step
  if mark and is_chief:  # It is about an earlier training in this folder.
    early_stop.clear(config.model_dir)
  early_end = early_stop.EarlyStopHook(config, workers=workers)
  progress = hooks.TrainingHook(
      config, config.train.log_every_steps,
      model_dir_lib.train_log_path(config.model_dir) if is_chief else None,
      workers=workers)
  with hooks.StopRequest(workers=workers) as stop:
    training_hooks = [progress, stop, early_end]
    if config.train.profile_every_n_steps and is_chief:
      folder = model_dir_lib.profile_dir(config.model_dir)
      tf.gfile.MakeDirs(folder)
      training_hooks.append(tf.train.ProfilerHook(
          save_steps=config.train.profile_every_n_steps, output_dir=folder))
    if start:
      tf.logging.info('Training goes on from %s.', start)
      if is_chief:
        checkpoints.make_known(start)
      training_hooks.append(checkpoints.FitHook(start))
    try:
      if cluster:
        _train_with_others(config, estimator, input_fn, training_hooks,
                           max_steps, workers, is_chief)
      else:
        estimator.train(input_fn, hooks=training_hooks, max_steps=max_steps,
                        saving_listeners=[hooks.FiniteWeights()])
    except errors.TrainingDiverged as e:
      _explain_divergence(config, e, is_chief)
  # The chief may still be writing the checkpoint of this step.
  step = (checkpoints.latest_step(config.model_dir) if is_chief
          else progress.step)
  if stop.signal_number is not None and step < max_steps:
    raise errors.Terminated(
        'Training was asked to stop and did so at step %d of %d; %s holds the '
        'checkpoint. The same command goes on from there.' % (
            step, config.train.total_steps, config.model_dir),
        stop.signal_number)
  if early_end.mark and step < max_steps:
    tf.logging.info('%s', early_stop.describe(config, early_end.mark, step))
  return step


def _train_with_others(config, estimator, input_fn, training_hooks, max_steps,
                       workers, is_chief):
  """Trains as one of several workers."""
  interval = estimator_lib.checkpoint_interval(config.train)
  saver = workers_lib.SharedSaver(
      workers, is_chief, config.model_dir, listeners=[hooks.FiniteWeights()],
      save_secs=interval.get('save_checkpoints_secs'),
      save_steps=interval.get('save_checkpoints_steps'))
  training_hooks = [workers_lib.SameStart(workers, config.model_dir), saver
                    ] + training_hooks
  # Of the two ways to start an Estimator, this one knows several workers; on
  # them, it evaluates nothing.
  try:
    tf.estimator.train_and_evaluate(
        estimator, tf.estimator.TrainSpec(input_fn, max_steps, training_hooks),
        tf.estimator.EvalSpec(input_fn))
  finally:
    # The others may still be fetching their part of the last sum from here.
    time.sleep(_LINGER_SECONDS)


def _explain_divergence(config, error, is_chief=True):
  """Raises the error again with what to do."""
  step = checkpoints.latest_step(config.model_dir)
  if is_chief:
    model_dir_lib.mark_finished(config.model_dir, step, 'diverged')
  raise errors.TrainingDiverged(
      '%s The last good checkpoint in %s is of step %d. Usual remedies: a '
      'lower train.learning_rate.init_learning_rate (%g; the batch has %d '
      'images), more train.learning_rate.warmup_steps (%d), '
      'train.gradient_clip_norm (%g).' % (
          error, config.model_dir, step,
          config.train.learning_rate.init_learning_rate,
          config.train.train_batch_size,
          config.train.learning_rate.warmup_steps,
          config.train.gradient_clip_norm))


def train_and_eval(config, estimator, input_fn, evaluation):
  """Trains, and evaluates every `eval.num_steps_per_eval` steps and last.

  A restart goes on from the step that was reached; an evaluation that was
  missed is made up for.

  Args:
    config: experiment.
    estimator: of executor.estimator.
    input_fn: with the batch size of training.
    evaluation: executor.evaluation.Evaluation, or a double of it.

  Returns:
    The step that was reached.
  """
  total, interval = config.train.total_steps, config.eval.num_steps_per_eval
  step = checkpoints.latest_step(config.model_dir)
  if step and (step % interval == 0 or step >= total):
    _evaluate_once(evaluation, checkpoints.latest(config.model_dir))
  while step < total:
    mark = early_stop.find_request(config)
    if step and mark:
      tf.logging.info('%s', early_stop.describe(config, mark, step))
      break
    goal = min((step // interval + 1) * interval, total)
    reached = train(config, estimator, input_fn, goal)
    if reached <= step:
      raise errors.JobError('The training made no step beyond %d; do the '
                            'training files hold records?' % step)
    step = reached
    _evaluate_once(evaluation, checkpoints.latest(config.model_dir))
  return step


def _evaluate_once(evaluation, path):
  if evaluation.is_done(path):
    tf.logging.info('%s is evaluated already.', path)
  else:
    evaluation.run(path)


class _Patience:
  """Waits for checkpoints, tells for what, and gives up in the end."""

  def __init__(self, config, sleep, clock):
    self._model_dir = config.model_dir
    self._timeout = config.eval.eval_timeout
    self._total_steps = config.train.total_steps
    self._sleep, self._clock = sleep, clock
    self._start = self._last_words = None

  def reset(self):
    """A checkpoint came."""
    self._start = None

  def wait(self):
    """Sleeps a little; raises errors.EvalTimeout when it was long enough."""
    now = self._clock()
    if self._start is None:
      self._start, self._last_words = now, now
      self._say('Waiting for a checkpoint')
    waited = now - self._start
    if self._timeout is not None and waited >= self._timeout:
      raise errors.EvalTimeout(
          'No new checkpoint in %s for %s (eval.eval_timeout). %s' % (
              self._model_dir, hooks.format_duration(self._timeout),
              sign_of_life(self._model_dir)))
    if now - self._last_words >= _REMIND_SECONDS:
      self._last_words = now
      self._say('Still waiting after %s' % hooks.format_duration(waited))
    pause = _POLL_SECONDS
    if self._timeout is not None:
      pause = min(pause, self._timeout - waited)
    self._sleep(pause)

  def _say(self, beginning):
    limit = ('without a limit (eval.eval_timeout)' if self._timeout is None
             else 'for %s at most' % hooks.format_duration(self._timeout))
    tf.logging.info(
        '%s in %s that is not evaluated, %s; the training ends at step %d. %s',
        beginning, self._model_dir, limit, self._total_steps,
        sign_of_life(self._model_dir))


def sign_of_life(model_dir):
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


def evaluate_continuously(config, evaluation, sleep=time.sleep,
                          clock=time.time):
  """Evaluates the checkpoints of a training beside it, until its end.

  Always the newest one, or all of them with `eval.eval_every_checkpoint`;
  none twice, and not the untrained one of step 0.

  Args:
    config: experiment.
    evaluation: executor.evaluation.Evaluation, or a double of it.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Raises:
    errors.EvalTimeout: when `eval.eval_timeout` passes without a new one.
    errors.TrainingDiverged: when the training said so and ended.
  """
  patience = _Patience(config, sleep, clock)
  skipped, job_start = set(), clock()
  while True:
    # Looked at first: a checkpoint may come between the two looks.
    finished = _has_ended(config.model_dir, job_start, clock())
    path = _next_checkpoint(config, evaluation, skipped)
    if path:
      patience.reset()
      start = clock()
      if not _evaluate_patiently(evaluation, path, sleep):
        skipped.add(path)
      if checkpoints.step_of(path) >= config.train.total_steps:
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

  A mark from before this job may be of a training that is being started again
  at this moment.
  """
  finished = model_dir_lib.read_finished(model_dir)
  return bool(finished) and (finished['time'] >= job_start
                             or now - job_start >= _RESTART_SECONDS)


def _next_checkpoint(config, evaluation, skipped):
  """Prefix of the next checkpoint to evaluate, or None."""
  if config.eval.eval_every_checkpoint:
    paths = checkpoints.find_all(config.model_dir)
  else:
    newest = checkpoints.latest(config.model_dir)
    paths = [newest] if newest else []
  for path in paths:
    try:
      if (checkpoints.step_of(path) and path not in skipped
          and not evaluation.is_done(path)):
        return path
    except tf.errors.NotFoundError:
      pass  # It was deleted meanwhile.
  return None


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


def wait_for_checkpoint(config, sleep=time.sleep, clock=time.time):
  """The newest checkpoint in model_dir, for a single evaluation.

  Args:
    config: experiment; with `eval.eval_timeout` a first one is waited for.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Returns:
    Checkpoint prefix.

  Raises:
    errors.SetupError: when there is none and no time to wait is set.
    errors.EvalTimeout: when none came in that time.
  """
  patience = _Patience(config, sleep, clock)
  while True:
    path = checkpoints.latest(config.model_dir)
    if path:
      return path
    if config.eval.eval_timeout is None:
      raise errors.SetupError(
          'There is no checkpoint in %s. Train first (--mode=train), or wait '
          'for one with eval.eval_timeout=SECONDS.' % config.model_dir)
    patience.wait()
