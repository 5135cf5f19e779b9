"""Runs the job of main.py: builds its parts and starts the loop of its mode."""

import contextlib

import tensorflow.compat.v1 as tf

from dataloader import diagnosis
from dataloader import factory as dataloader_factory
from dataloader import record_checks
from dataloader import record_files
from dataloader import record_order
from executor import checkpoints
from executor import cluster as cluster_lib
from executor import devices
from executor import errors
from executor import estimator as estimator_lib
from executor import evaluation as evaluation_lib
from executor import evaluation_loop
from executor import loops
from executor import model_dir as model_dir_lib
from executor import prediction
from executor import preflight
from modeling import checkpoints as warm_start
from modeling import learning_rates
from modeling import model_fn as model_fn_lib
from utils import modes

MODES = ('train', 'eval', 'train_and_eval', 'predict')


def run(config, mode, eval_once=False, eval_after_training=False,
        checkpoint_path=None):
  """Runs a job to its end.

  Args:
    config: experiment.
    mode: of MODES.
    eval_once: in mode eval, only the newest checkpoint.
    eval_after_training: in mode train, one evaluation at the end.
    checkpoint_path: in the modes eval and predict, this checkpoint alone
      instead of those in model_dir.

  Raises:
    errors.JobError: what a person should read, with the exit code.
  """
  _JOBS[mode](_Parts(config, mode, eval_after_training, checkpoint_path),
              eval_once)


class _Parts:
  """The Estimator and the input functions of a job."""

  def __init__(self, config, mode, eval_after_training, checkpoint_path):
    self.cluster = cluster_lib.read()
    cluster_lib.check_mode(self.cluster, mode, config.use_tpu)
    if mode == 'eval':
      self.cluster = None  # The evaluator is none of the workers.
    preflight.check(config, mode, eval_after_training, checkpoint_path,
                    self.cluster)
    self.config = config
    self.checkpoint_path = checkpoint_path
    self.is_chief = self.cluster is None or self.cluster.is_chief
    self.eval_after_training = eval_after_training and self.is_chief
    self.replicas = estimator_lib.num_replicas(config, cluster=self.cluster)
    self._files = []
    self._say_devices()
    self._mode = mode
    self._model_fn = preflight.as_setup_error(
        model_fn_lib.make_model_fn, config)
    self.estimator = estimator_lib.build_estimator(
        config, self._model_fn, mode, cluster=self.cluster)

  def _say_devices(self):
    tf.logging.info('%s', devices.describe(self.config, self.replicas,
                                           self.cluster))
    for warning in devices.warnings():
      tf.logging.warning('%s', warning)

  def _lone_estimator(self):
    """An Estimator that does not wait for other workers."""
    if self.cluster is None:
      return self.estimator
    return estimator_lib.build_estimator(self.config, self._model_fn,
                                         self._mode)

  def _reader(self, config, mode):
    reader = preflight.as_setup_error(
        dataloader_factory.build_input_fn, config, mode)
    self._files += [f for f in reader.files if f not in self._files]
    return reader

  def train_input_fn(self):
    """The batches of training, from the step of the newest checkpoint on."""
    config = self.config
    reader = self._reader(config, modes.TRAIN)

    def input_fn(params, input_context=None):
      return reader(params, input_context,
                    num_calls=checkpoints.num_calls(config))

    return estimator_lib.with_batch_size(input_fn, config, modes.TRAIN,
                                         self.replicas)

  def evaluation(self):
    """executor.evaluation.Evaluation of the configured set."""
    reader = self._reader(self.config, modes.PREDICT_WITH_GT)
    if evaluation_lib.needs_masks_of_records(self.config.eval):
      preflight.as_setup_error(
          record_checks.check_masks, reader.files, 'eval.eval_file_pattern',
          'Evaluation of masks needs one each: convert again with '
          '--include_masks, or set eval.type to box.')
    return evaluation_lib.Evaluation(
        self.config, self._lone_estimator(), estimator_lib.with_batch_size(
            reader, self.config, modes.PREDICT_WITH_GT))

  def predict_input_fn(self):
    """The batches of mode predict."""
    reader = self._reader(self.config, modes.PREDICT)
    return estimator_lib.with_batch_size(reader, self.config, modes.PREDICT)

  @contextlib.contextmanager
  def explained_errors(self):
    """Names the record that stops the input; warm start speaks for itself."""
    try:
      with diagnosis.explained_errors(self._files):
        yield
    except diagnosis.InputError as e:
      raise errors.JobError('The input stopped. %s' % e)
    except (warm_start.WarmStartError, record_files.RecordError,
            record_order.ShareError) as e:
      raise errors.SetupError(str(e))


def _start_training(parts):
  """Writes the configuration and says what is trained."""
  config = parts.config
  if parts.is_chief:
    for note in model_dir_lib.save_config(config):
      tf.logging.warning('%s', note)
    model_dir_lib.clear_finished(config.model_dir)
  tf.logging.info(
      'Training to step %d; the batch has %d images, %d at once on each of %d '
      'replica(s).', config.train.total_steps, config.train.train_batch_size,
      estimator_lib.replica_batch_size(config, parts.replicas), parts.replicas)
  scaling = learning_rates.describe_scaling(config.train.learning_rate,
                                            config.train.train_batch_size)
  if scaling:
    tf.logging.info('%s', scaling)


def _mark_finished(config, step):
  """Tells evaluation jobs that the training ended well."""
  model_dir_lib.mark_finished(
      config.model_dir, step,
      'finished' if step >= config.train.total_steps else 'stopped early')


def _train(parts, eval_once):
  del eval_once
  input_fn = parts.train_input_fn()
  evaluation = parts.evaluation() if parts.eval_after_training else None
  _start_training(parts)
  with parts.explained_errors():
    step = loops.train(parts.config, parts.estimator, input_fn,
                       cluster=parts.cluster)
    if parts.is_chief:
      _mark_finished(parts.config, step)
    if evaluation:
      evaluation.run(checkpoints.latest(parts.config.model_dir))


def _train_and_eval(parts, eval_once):
  del eval_once
  input_fn, evaluation = parts.train_input_fn(), parts.evaluation()
  _start_training(parts)
  with parts.explained_errors():
    step = loops.train_and_eval(parts.config, parts.estimator, input_fn,
                                evaluation)
  _mark_finished(parts.config, step)


def _eval(parts, eval_once):
  evaluation = parts.evaluation()
  with parts.explained_errors():
    if parts.checkpoint_path or eval_once:
      evaluation.run(parts.checkpoint_path
                     or evaluation_loop.wait_for_checkpoint(parts.config))
    else:
      evaluation_loop.evaluate_continuously(parts.config, evaluation)


def _predict(parts, eval_once):
  del eval_once
  input_fn = parts.predict_input_fn()
  with parts.explained_errors():
    prediction.run(parts.config, parts.estimator, input_fn,
                   parts.checkpoint_path
                   or evaluation_loop.wait_for_checkpoint(parts.config))


_JOBS = {'train': _train, 'eval': _eval, 'train_and_eval': _train_and_eval,
         'predict': _predict}
