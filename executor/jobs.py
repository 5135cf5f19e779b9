"""Runs the job of main.py: builds its parts and starts the loop of its mode."""

import contextlib
import functools
import sys
import time

import tensorflow.compat.v1 as tf

from dataloader import diagnosis
from dataloader import evaluation_checks
from dataloader import inputs as dataloader_inputs
from dataloader import record_checks
from dataloader import record_files
from dataloader import record_order
from executor import checkpoints
from executor import cluster as cluster_lib
from executor import devices
from executor import divergence
from executor import errors
from executor import estimator as estimator_lib
from executor import evaluation as evaluation_lib
from executor import evaluation_loop
from executor import evaluation_parts
from executor import extra_hooks
from executor import failures
from executor import followed
from executor import leftovers
from executor import loops
from executor import memory
from executor import model_dir as model_dir_lib
from executor import pins
from executor import precision
from executor import prediction
from executor import preflight
from executor import run_lock
from executor import run_record
from executor import status
from executor import watchdog
from modeling import checkpoint_checks
from modeling import factory as model_factory
from modeling.training import learning_rates
from modeling.training import warm_start
from utils import modes


def wait_for_training(config, mode, eval_once=False, checkpoint_path=None):
  """Waits, in a job that evaluates a training run, until that run has begun.

  A job that is started together with the training run would otherwise use the
  defaults instead of the configuration that the run is about to write.

  Args:
    config: experiment, as the flags alone make it.
    mode: that of main.py.
    eval_once: see `run`.
    checkpoint_path: see `run`.

  Returns:
    Whether it waited, so that the configuration has to be read again.

  Raises:
    errors.EvalTimeout: when it has waited for `eval.eval_timeout`.
    errors.SetupError: where the job cannot run in any case.
  """
  cluster_lib.check_mode(cluster_lib.read(), mode, config.use_tpu)
  if (mode not in _FOLLOWING or checkpoint_path or not config.model_dir
      or followed.has_begun(config.model_dir)):
    return False
  if _is_once(mode, eval_once) and config.eval.eval_timeout is None:
    return False  # Such a job does not wait for a checkpoint either.
  preflight.refuse(list(config.problems(trains=False)))
  evaluation_loop.wait_for_training(config)
  return True


def run(config, mode, eval_once=False, eval_after_training=False,
        checkpoint_path=None, read_again=None, make_hooks=()):
  """Runs a job to its end.

  Args:
    config: experiment.
    mode: that of main.py.
    eval_once: in mode eval, only the newest checkpoint.
    eval_after_training: in mode train, one evaluation at the end.
    checkpoint_path: in the modes eval and predict, this checkpoint alone
      instead of those in model_dir.
    read_again: () -> experiment: in these modes, the configuration as the
      training run has it by now. None: it stays.
    make_hooks: functions (experiment) -> tf.train.SessionRunHook, for training
      hooks in addition to those of extra_hooks.HOOKS; see loops.train.

  Raises:
    errors.JobError: with a message for the user, and the exit code.
  """
  parts = _Parts(config, mode, eval_after_training, checkpoint_path,
                 make_hooks, _is_once(mode, eval_once))
  if read_again and mode in _FOLLOWING and not checkpoint_path:
    parts.follow = followed.FollowedConfig(config, read_again)
  _JOBS[mode](parts)


def _is_once(mode, eval_once):
  """Whether a job takes the newest checkpoint and ends."""
  return mode == 'predict' or mode == 'eval' and eval_once


class _Parts:
  """The Estimator and the input functions of a job."""

  def __init__(self, config, mode, eval_after_training, checkpoint_path,
               make_hooks=(), once=False):
    self.cluster = cluster_lib.read()
    cluster_lib.check_mode(self.cluster, mode, config.use_tpu)
    if mode == 'eval':
      self.cluster = None  # The evaluator is not a worker.
    self.config = config
    self.checkpoint_path = checkpoint_path
    self.once = once
    self.is_chief = self.cluster is None or self.cluster.is_chief
    self.eval_after_training = eval_after_training and self.is_chief
    self.make_hooks = (memory.make_hooks(config, self.cluster)
                       + tuple(make_hooks) + tuple(extra_hooks.HOOKS.values()))
    self.follow = None
    self._mode = mode
    self._model_fns, self._readers = {}, {}  # by mode of utils.modes
    self.guard = divergence.Guard(config, can_go_back=self.cluster is None)
    self._check(preflight.Job(config, mode, eval_after_training,
                              checkpoint_path, self.cluster, once))
    self.replicas = estimator_lib.num_replicas(config, cluster=self.cluster)
    self._say_devices()
    if mode in _FOLLOWING:
      for note in model_dir_lib.notes_of_meaning(config):
        tf.logging.warning('%s', note)

  def _check(self, job):
    """Runs the checks, and builds model and readers, which check files."""
    found = preflight.problems(job)
    wanted = [mode for mode, is_wanted in (
        (modes.TRAIN, job.trains),
        (modes.PREDICT_WITH_GT, self._mode in ('eval', 'train_and_eval')
         or self.eval_after_training),
        (modes.PREDICT, self._mode == 'predict')) if is_wanted]
    if list(job.config.problems(job.trains)):
      # They would stumble over keys that contradict each other.
      found += preflight.file_problems(job)
    else:
      for mode in wanted:
        found += preflight.problems_of(self._build_model, mode)
        found += preflight.problems_of(self._build_reader, mode)
    preflight.refuse(found)

  def _build_model(self, mode):
    config = self._config_of(mode)
    self._model_fns[mode] = model_factory.build_model_fn(
        self.guard.adapted(config) if mode == modes.TRAIN else config)

  def _build_reader(self, mode):
    self._readers[mode] = dataloader_inputs.build_input_fn(
        self._config_of(mode), mode)

  def _config_of(self, mode):
    """The experiment in the number format of a mode of utils.modes."""
    return (self.config if mode == modes.TRAIN
            else precision.for_evaluation(self.config))

  def _say_devices(self):
    tf.logging.info('%s', devices.describe(self.config, self.replicas,
                                           self.cluster))
    for warning in devices.warnings():
      tf.logging.warning('%s', warning)

  def training_estimator(self):
    """The Estimator that trains, on all devices and workers."""
    return estimator_lib.build_estimator(
        self.config, self._model_fns[modes.TRAIN], self._mode,
        cluster=self.cluster)

  def _evaluating_estimator(self, config, mode):
    """One that predicts, on one device, and waits for no other worker.

    Args:
      config: experiment, of precision.for_evaluation.
      mode: one of utils.modes.
    """
    tf.logging.info('%s', precision.describe_evaluation(config))
    return estimator_lib.build_estimator(
        config, self._model_fns[mode],
        'predict' if self._mode == 'predict' else 'eval', devices=[])

  def train_input_fn(self):
    """The batches of training, from the step of the newest checkpoint on."""
    config, reader = self.config, self._readers[modes.TRAIN]

    def input_fn(params, input_context=None):
      return reader(params, input_context,
                    num_calls=(checkpoints.num_calls(config)
                               + self.guard.skipped_calls()))

    return estimator_lib.with_batch_size(input_fn, config, modes.TRAIN,
                                         self.replicas)

  def describe_batch(self, step):
    """Sentences about the batch of a step of training, which is saved."""
    return divergence.describe(self._readers[modes.TRAIN], self.config, step,
                               self.guard.skipped_calls())

  def until_good(self, train, estimator, input_fn):
    """Trains; after a divergence, again from the last checkpoint if configured.

    Args:
      train: (Estimator, input_fn) -> the step that was reached.
      estimator: Estimator of the first try; workers have to connect before
        anything else is done with TensorFlow.
      input_fn: input function of the first try.

    Returns:
      The step.
    """
    while True:
      try:
        return train(estimator, input_fn)
      except errors.TrainingDiverged as e:
        if not self.guard.may_go_back:
          raise
        self.guard.go_back(e)
      self._build_model(modes.TRAIN)
      estimator, input_fn = self.training_estimator(), self.train_input_fn()

  def evaluation(self):
    """executor.evaluation.Evaluation of the configured set."""
    config = precision.for_evaluation(self.config)
    mode = modes.PREDICT_WITH_GT
    reader = self._readers[mode]
    if evaluation_lib.needs_masks_of_records(config.eval):
      preflight.as_setup_error(
          record_checks.check_masks, reader.files, 'eval.eval_file_pattern',
          'Evaluation of masks needs one each: convert again with '
          '--include_masks, or set eval.type to box.')
    watch = None
    if evaluation_lib.reads_records(config.eval):  # Once, for both.
      watch = evaluation_checks.Watch(config, config.eval.eval_samples)
    else:
      preflight.as_setup_error(evaluation_checks.check, reader.files, config,
                               config.eval.eval_samples)
    evaluation = evaluation_lib.Evaluation(
        config, self._evaluating_estimator(config, mode),
        estimator_lib.with_batch_size(reader, config, mode))
    evaluation.prepare(watch)
    return evaluation

  def prediction(self):
    """The Estimator and the batches of mode predict."""
    config = precision.for_evaluation(self.config)
    return (self._evaluating_estimator(config, modes.PREDICT),
            estimator_lib.with_batch_size(self._readers[modes.PREDICT], config,
                                          modes.PREDICT))

  def next_checkpoint(self):
    """The one to evaluate or predict with once, when there is one."""
    if self.checkpoint_path:
      return self.checkpoint_path
    path = evaluation_loop.wait_for_checkpoint(self.config)
    if self.follow:
      self.config = self.follow()
    return path

  def files(self):
    """[path] of all readers, each once."""
    return list(dict.fromkeys(
        f for reader in self._readers.values() for f in reader.files))

  @contextlib.contextmanager
  def explained_errors(self):
    """Turns errors of input, checkpoints and warm start into messages."""
    try:
      with failures.explained_errors(self.config):
        with diagnosis.explained_errors(self.files(), {
            path: reader.parser for reader in self._readers.values()
            for path in reader.files}):
          yield
    except diagnosis.InputError as e:
      raise errors.JobError('The input stopped. %s' % e)
    except (checkpoint_checks.BrokenCheckpointError, pins.GoneError) as e:
      raise errors.JobError('The checkpoint cannot be evaluated. %s' % e)
    except (warm_start.WarmStartError, record_files.RecordError,
            record_order.ShareError) as e:
      raise errors.SetupError(str(e))


@contextlib.contextmanager
def _alone(parts):
  """Holds the lock of model_dir, and removes unfinished files from it."""
  folder = parts.config.model_dir
  if not parts.is_chief:
    yield
    return
  is_held = False
  try:
    with run_lock.held(folder,
                       on_beat=lambda: status.tell(folder, time.time())):
      is_held = True
      leftovers.remove(folder)
      try:
        yield
      finally:  # On a full disk, unfinished files take up its space.
        leftovers.remove(folder)
  finally:
    if is_held:
      status.tell(folder, time.time())


@contextlib.contextmanager
def _watched(parts):
  """Watches for a lack of progress, from the connection of the workers on."""
  config, cluster = parts.config, parts.cluster
  files = parts.files()
  with watchdog.watching(
      config.train.stall_timeout,
      {'--model_dir': config.model_dir, 'the records': files[0] if files
       else ''}, *((cluster.workers, cluster.index) if cluster else ())):
    yield


def _say_training(parts):
  """Logs what is to be trained; nothing is written before it begins."""
  config = parts.config
  tf.logging.info(
      'Training to step %d; the batch has %d images, %d at once on each of %d '
      'replica(s).', config.train.total_steps, config.train.train_batch_size,
      estimator_lib.replica_batch_size(config, parts.replicas), parts.replicas)
  scaling = learning_rates.describe_scaling(config.train.learning_rate,
                                            config.train.train_batch_size)
  if scaling:
    tf.logging.info('%s', scaling)


def _record_start(parts):
  """Writes run.json, which records how the run is started."""
  if parts.is_chief:
    with failures.survived('run.json was not written'):
      run_record.write(parts.config, sys.argv, devices.describe(
          parts.config, parts.replicas, parts.cluster))


def _mark_finished(config, step):
  """Marks the end of training for evaluation jobs."""
  model_dir_lib.mark_finished(
      config.model_dir, step,
      'finished' if step >= config.train.total_steps else 'stopped early')


def _train(parts):
  with _watched(parts):
    _train_watched(parts)


def _train_watched(parts):
  estimator, input_fn = parts.training_estimator(), parts.train_input_fn()
  evaluation = parts.evaluation() if parts.eval_after_training else None
  _say_training(parts)
  with _alone(parts), parts.explained_errors():
    _record_start(parts)
    step = parts.until_good(functools.partial(
        loops.train, parts.config, cluster=parts.cluster,
        then_evaluates=evaluation is not None, make_hooks=parts.make_hooks,
        guard=parts.guard, describe_batch=parts.describe_batch),
                            estimator, input_fn)
    if parts.is_chief:
      _mark_finished(parts.config, step)
    if evaluation:
      evaluation.run(checkpoints.latest(parts.config.model_dir))


def _train_and_eval(parts):
  estimator, input_fn = parts.training_estimator(), parts.train_input_fn()
  evaluation = parts.evaluation()
  _say_training(parts)
  with _watched(parts), _alone(parts), parts.explained_errors():
    _record_start(parts)
    try:
      step = parts.until_good(functools.partial(
          loops.train_and_eval, parts.config, evaluation=evaluation,
          make_hooks=parts.make_hooks, guard=parts.guard,
          describe_batch=parts.describe_batch), estimator, input_fn)
    finally:
      evaluation.end()
  _mark_finished(parts.config, step)


def _eval(parts):
  evaluation = parts.evaluation()
  with parts.explained_errors():
    if parts.config.eval.part:
      evaluation_parts.follow(parts.config, evaluation.predict_part)
      return
    try:
      if parts.checkpoint_path or parts.once:
        path = parts.next_checkpoint()
        evaluation.take_over(parts.config)
        evaluation.run(path)
      else:
        with evaluation_loop.alone(parts.config):
          evaluation_loop.evaluate_continuously(parts.config, evaluation,
                                                follow=parts.follow)
    finally:
      evaluation.end()


def _predict(parts):
  estimator, input_fn = parts.prediction()
  with parts.explained_errors():
    path = parts.next_checkpoint()
    prediction.run(parts.config, estimator, input_fn, path)


_FOLLOWING = ('eval', 'predict')  # modes that evaluate what training makes
_JOBS = {'train': _train, 'eval': _eval, 'train_and_eval': _train_and_eval,
         'predict': _predict}
