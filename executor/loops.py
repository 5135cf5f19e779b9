"""The loops of the modes train and train_and_eval."""

import time
import typing

import tensorflow.compat.v1 as tf

from executor import beginning
from executor import checkpoints
from executor import divergence
from executor import early_stop
from executor import errors
from executor import estimator as estimator_lib
from executor import failures
from executor import graph_file
from executor import hooks
from executor import input_images
from executor import model_dir as model_dir_lib
from executor import presence
from executor import room
from executor import tracking
from executor import watchdog
from executor import workers as workers_lib
from modeling.training import warm_start

_LINGER_SECONDS = 2
# What TensorFlow says, of one worker or another, when one is gone.
_LOSSES = (tf.errors.UnavailableError, tf.errors.AbortedError,
           tf.errors.CancelledError, tf.errors.InternalError,
           tf.errors.UnknownError, tf.errors.DeadlineExceededError)


class _OwnHooks(typing.NamedTuple):
  """What every training run has, and `train` asks afterwards."""
  progress: hooks.TrainingHook  # the step that was reached
  stop: hooks.StopRequest  # whether a signal came; a context manager
  early_end: early_stop.EarlyStopHook  # whether an evaluation asked to end


def train(config, estimator, input_fn, max_steps=None, cluster=None,
          then_evaluates=False, make_hooks=(), start=None, guard=None,
          describe_batch=None):
  """Trains from the newest checkpoint in model_dir.

  Args:
    config: experiment.
    estimator: from executor.estimator.
    input_fn: with the batch size of training.
    max_steps: int, where to stop; None: `train.total_steps`.
    cluster: executor.cluster.Cluster, if this is one of several workers.
    then_evaluates: whether the job continues after `train.total_steps`, so that
      a signal at the last step, or while its checkpoint is written, ends it.
    make_hooks: functions (experiment) -> tf.train.SessionRunHook. Each is
      called once for every start of training, on every worker; its hook runs
      after the built-in ones, and its errors end the run.
    start: prefix of the newest checkpoint, where the caller has verified it
      already; None: it is found and verified here.
    guard: divergence.Guard; while it may go back, a divergence does not end the
      job.
    describe_batch: (step) -> sentences about its batch, for the error.

  Returns:
    The step that was reached: less than `max_steps` where an evaluation asked
    for an early end.

  Raises:
    errors.Terminated: when a signal asked it to stop; a checkpoint is written.
    errors.TrainingDiverged: at a loss or weight that is not finite.
    errors.SetupError: when the checkpoint is of another model.
  """
  if max_steps is None:
    max_steps = config.train.total_steps
  start = start or checkpoints.to_go_on_from(config.model_dir)
  if start and _is_over(config, start, max_steps):
    return checkpoints.step_of(start)
  workers = workers_lib.Workers() if cluster else None
  is_chief = cluster is None or cluster.is_chief
  tracker = (tracking.TrackingHook(config)
             if config.train.tracking and is_chief else None)
  own = _make_own_hooks(config, workers, is_chief, tracker)
  with own.stop, graph_file.written_once(config.train.write_graph):
    all_hooks = (list(own) + ([tracker] if tracker else [])
                 + _hooks_of_start(config, start, is_chief)
                 + [make(config) for make in make_hooks])
    try:
      with failures.explained_divergence(own.progress):
        if cluster:
          _train_with_others(config, estimator, input_fn, all_hooks, max_steps,
                             workers, cluster)
        else:
          estimator.train(input_fn, hooks=all_hooks, max_steps=max_steps,
                          saving_listeners=_listeners(config))
    except errors.TrainingDiverged as e:
      _explain_divergence(config, e, is_chief, guard, describe_batch)
  return _step_at_the_end(config, own, max_steps, is_chief, then_evaluates)


def _is_over(config, start, max_steps):
  """Whether the checkpoint `start` is the last one; logs that."""
  step = checkpoints.step_of(start)
  if step >= max_steps:
    tf.logging.info('%s is at step %d already: there is nothing to train.',
                    start, max_steps)
    for note in model_dir_lib.notes_of_nothing_to_do(config):
      tf.logging.warning('%s', note)
    return True
  mark = early_stop.find_request(config, step)
  if mark:
    tf.logging.info('%s', early_stop.describe(config, mark, step))
  return bool(mark)


def _make_own_hooks(config, workers, is_chief, tracker=None):
  """_OwnHooks of one start; tracker: tracking.TrackingHook, or None."""
  log_path = (model_dir_lib.train_log_path(config.model_dir) if is_chief
              else None)
  return _OwnHooks(
      hooks.TrainingHook(config, config.train.log_every_steps, log_path,
                         workers=workers,
                         on_record=tracker.log if tracker else None),
      hooks.StopRequest(workers=workers, seconds=config.train.stop_timeout),
      early_stop.EarlyStopHook(config, workers=workers))


def _hooks_of_start(config, start, is_chief):
  """Hooks that depend on the configuration, or on there being a checkpoint."""
  found = _hooks_of_chief(config) if is_chief else []
  if start:
    tf.logging.info('Training resumes from %s.', start)
    if is_chief:
      checkpoints.make_known(start)
    found.append(checkpoints.FitHook(start))
  elif is_chief:
    checkpoints.clear_state(config.model_dir)
  return found


def _hooks_of_chief(config):
  """Hooks that write into model_dir what the configuration asks for."""
  train, found = config.train, []
  if train.profile_every_n_steps:
    folder = model_dir_lib.profile_dir(config.model_dir)
    tf.gfile.MakeDirs(folder)
    found.append(hooks.profile_hook(config, folder))
  if train.histograms_every_n_steps:
    found.append(hooks.HistogramHook(train.histograms_every_n_steps,
                                     config.model_dir))
  if train.image_summaries_every_n_steps:
    found.append(input_images.InputImagesHook(config))
  if not config.use_tpu:  # A TPU has its host calls.
    found.append(hooks.SummaryHook(train.log_every_steps, config.model_dir))
  return found


def _step_at_the_end(config, own, max_steps, is_chief, then_evaluates):
  """The step that was reached; raises errors.Terminated after a signal."""
  # The chief may still be writing the checkpoint of this step.
  step = (checkpoints.latest_step(config.model_dir) if is_chief
          else own.progress.step)
  if own.stop.signal_number is not None and (
      step < config.train.total_steps or then_evaluates):
    _end_by_signal(config, step, is_chief)
  if own.early_end.mark and step < max_steps:
    tf.logging.info('%s', early_stop.describe(config, own.early_end.mark, step))
  return step


def _end_by_signal(config, step, is_chief):
  """Raises errors.Terminated."""
  total_steps = config.train.total_steps
  if is_chief and step >= total_steps:  # Only evaluation is missing.
    model_dir_lib.mark_finished(config.model_dir, step, 'finished')
  raise errors.Terminated(
      'Training was asked to stop and did so at step %d of %d; %s holds the '
      'checkpoint. The same command resumes from there.' % (
          step, total_steps, config.model_dir))


def _listeners(config, is_chief=True):
  """Listeners for the saving of checkpoints."""
  return [hooks.FiniteWeights()] + ([
      presence.Presence(config.model_dir), beginning.Beginning(config),
      room.RoomForCheckpoints(config)] if is_chief else [])


def _train_with_others(config, estimator, input_fn, training_hooks, max_steps,
                       workers, cluster):
  """Trains as one of several workers."""
  interval = estimator_lib.checkpoint_interval(config.train)
  is_chief = cluster.is_chief
  saver = workers_lib.SharedSaver(
      workers, is_chief, config.model_dir,
      listeners=_listeners(config, is_chief),
      save_secs=interval.get('save_checkpoints_secs'),
      save_steps=interval.get('save_checkpoints_steps'))
  training_hooks = [workers_lib.SameStart(workers, config.model_dir), saver
                    ] + training_hooks
  # Estimator.train does not support several workers; this function does, and on
  # workers it evaluates nothing.
  try:
    tf.estimator.train_and_evaluate(
        estimator, tf.estimator.TrainSpec(input_fn, max_steps, training_hooks),
        tf.estimator.EvalSpec(input_fn))
  except _LOSSES as e:
    # Where TensorFlow does not make the session again, which waits for all.
    lost = watchdog.lost_workers(cluster.workers, cluster.index)
    if not lost:
      raise
    raise errors.Stalled(watchdog.lost_message('; '.join(lost))) from e
  finally:
    # The others may still be fetching their part of the last sum from here.
    time.sleep(_LINGER_SECONDS)


def _explain_divergence(config, error, is_chief=True, guard=None,
                        describe_batch=None):
  """Raises the error again, with advice."""
  if is_chief:
    # A step is saved before its loss is checked.
    divergence.set_aside(config.model_dir, error.step,
                         'it was saved at the step that diverged')
  step = checkpoints.latest_step(config.model_dir)
  if is_chief and not (guard and guard.may_go_back):
    model_dir_lib.mark_finished(config.model_dir, step, 'diverged')
  raise errors.TrainingDiverged(
      '%s%s The last good checkpoint in %s is of step %d. Usual remedies: a '
      'lower train.learning_rate.init_learning_rate (%g; the batch has %d '
      'images), more train.learning_rate.warmup_steps (%d), '
      'train.gradient_clip_norm (%g).' % (
          error, describe_batch(error.step) if describe_batch else '',
          config.model_dir, step,
          config.train.learning_rate.init_learning_rate,
          config.train.train_batch_size,
          config.train.learning_rate.warmup_steps,
          config.train.gradient_clip_norm), error.step)


def train_and_eval(config, estimator, input_fn, evaluation, make_hooks=(),
                   guard=None, describe_batch=None):
  """Trains, and evaluates every `eval.num_steps_per_eval` steps and last.

  With `eval.eval_every_checkpoint`, also the checkpoints that were saved in
  between. A restart continues from the step that was reached, and makes up for
  an evaluation that was missed.

  Args:
    config: experiment.
    estimator: from executor.estimator.
    input_fn: with the batch size of training.
    evaluation: executor.evaluation.Evaluation, or a double of it.
    make_hooks: see `train`.
    guard: see `train`.
    describe_batch: see `train`.

  Returns:
    The step that was reached.
  """
  total, interval = config.train.total_steps, config.eval.num_steps_per_eval
  every = config.eval.eval_every_checkpoint
  if every:
    _warn_of_deletion(config)
  path = checkpoints.to_go_on_from(config.model_dir)
  # A warm start may bring the step along.
  step = (checkpoints.step_of(path) if path
          else warm_start.first_step(config.train.checkpoint, total))
  if path:
    checkpoints.make_known(path)
  if path and step and (every or step % interval == 0 or step >= total):
    _evaluate_new(config, evaluation)
  while step < total:
    mark = step and early_stop.find_request(config, step)
    if mark:
      tf.logging.info('%s', early_stop.describe(config, mark, step))
      break
    goal = min((step // interval + 1) * interval, total)
    reached = train(config, estimator, input_fn, goal, then_evaluates=True,
                    make_hooks=make_hooks, start=path, guard=guard,
                    describe_batch=describe_batch)
    path = None  # The next one is another.
    if reached <= step:
      raise errors.JobError('The training made no step beyond %d; do the '
                            'training files hold records?' % step)
    step = reached
    _evaluate_new(config, evaluation)
  return step


def _evaluate_new(config, evaluation):
  """Evaluates the newest checkpoint, or all of them, none twice."""
  newest = checkpoints.latest(config.model_dir)
  if not config.eval.eval_every_checkpoint:
    if evaluation.is_done(newest):
      tf.logging.info('%s is evaluated already.', newest)
    else:
      evaluation.run(newest)
    return
  step = checkpoints.step_of(newest)
  for path in checkpoints.find_all(config.model_dir):
    if 0 < checkpoints.step_of(path) <= step and not evaluation.is_done(path):
      evaluation.run(path)


def _warn_of_deletion(config):
  """Warns where training deletes checkpoints before they are evaluated."""
  train, interval = config.train, config.eval.num_steps_per_eval
  number = interval // (train.save_checkpoints_steps or interval)
  if 0 < train.keep_checkpoint_max < number:
    tf.logging.warning(
        'eval.eval_every_checkpoint: between two evaluations '
        '(eval.num_steps_per_eval: %d) there are %d checkpoints, of which '
        'train.keep_checkpoint_max (%d) are kept and evaluated; 0 keeps all.',
        interval, number, train.keep_checkpoint_max)
