"""The Estimator's model_fn: one step of training or of prediction.

An evaluation is a prediction that carries the ground truth along: detections
are scored on the host, and the losses come with the predictions.
"""

import typing
from typing import Any, Callable, Optional

import tensorflow.compat.v1 as tf

from configs import base
from configs import precisions
from modeling import checkpoint_files
from modeling.training import accumulation
from modeling.training import initial_values
from modeling.training import learning_rates
from modeling.training import moving_average
from modeling.training import optimizers
from modeling.training import summaries
from modeling.training import training_variables
from modeling.training import warm_start
from ops import random_numbers
from ops import tensor_types
from utils import fields
from utils import modes
from utils import registry


class Settings(typing.NamedTuple):
  """What a step depends on apart from its model and the section `train`.

  The defaults are those of a training step on one device, in float32.
  """
  use_tpu: bool = False  # makes specs of TPUEstimator
  model_dir: str = ''  # training resumes there; a TPU writes its events there
  use_bfloat16: bool = False  # of the network; variables stay float32
  space_to_depth_block_size: int = 1  # of images in the infeed's layout
  enable_summary: bool = False  # a TPU sends all scalars of every step
  use_moving_average: bool = True  # predictions of the averaged weights
  with_losses: bool = True  # predictions come with losses


def make_model_fn(model: Any, train: base.Section,
                  settings: Settings = Settings()) -> Callable[..., Any]:
  """Makes the model_fn of a model.

  `modeling.factory.build_model_fn` does this for an experiment.

  Args:
    model: has outputs(images, labels, mode), losses(outputs, labels,
      is_training) and predictions(outputs, labels, with_losses); see
      modeling.factory.build_model.
    train: section `train`.
    settings: Settings.

  Returns:
    model_fn(features, labels, mode, params), for Estimator and TPUEstimator.
    In TRAIN mode `features` is the image batch; in PREDICT mode it is
    {'images': ..., 'labels': ...}. There is no other mode.
  """
  steps = {
      tf.estimator.ModeKeys.TRAIN: _train_spec,
      tf.estimator.ModeKeys.PREDICT: _predict_spec,
  }

  def model_fn(features, labels, mode, params):
    del params  # The configuration is complete without them.
    step = registry.pick(steps, mode, 'The mode of the model_fn')
    spec = step(model, train, settings, features, labels)
    return spec if settings.use_tpu else spec.as_estimator_spec()

  return model_fn


def restore_image_layout(images: tf.Tensor, transpose_input: bool,
                         space_to_depth_block_size: int) -> tf.Tensor:
  """[B, H, W, C] images of a training batch in the infeed's layout.

  A TPU reads a batch fastest when the batch is a minor dimension, so the input
  pipeline may send HWCN, or HWNC after space-to-depth.

  Args:
    images: what ops.preprocess.transpose_images returns.
    transpose_input: `train.transpose_input`.
    space_to_depth_block_size: `architecture.space_to_depth_block_size`.

  Returns:
    [B, H, W, C], the type of `images`.
  """
  if not transpose_input:
    return images
  batch_axis = 2 if space_to_depth_block_size > 1 else 3
  order = [batch_axis] + [axis for axis in range(4) if axis != batch_axis]
  return tf.transpose(images, order)


def model_outputs(model: Any, images: tf.Tensor,
                  labels: Optional[tensor_types.Nest], mode: str,
                  use_bfloat16: bool) -> tensor_types.Nest:
  """`model.outputs`, in bfloat16 if wanted; floats come back float32.

  Args:
    model: see `make_model_fn`.
    images: float32 [B, H, W, C].
    labels: {name: tensor [B, ...]}, or None.
    mode: one of utils.modes.
    use_bfloat16: `architecture.use_bfloat16`, where the device has it.

  Returns:
    {name: tensor or {level: tensor}}, see the model.
  """
  if not use_bfloat16:
    return model.outputs(images, labels, mode)
  # Variables stay float32 and are read as bfloat16 inside the scope.
  with tf.tpu.bfloat16_scope():
    outputs = model.outputs(tf.cast(images, tf.bfloat16), labels, mode)
  return tf.nest.map_structure(
      lambda t: tf.cast(t, tf.float32) if t.dtype == tf.bfloat16 else t,
      outputs)


def _train_spec(model, train, settings, images, labels):
  """Forward, backward and update."""
  images = restore_image_layout(images, train.transpose_input,
                                settings.space_to_depth_block_size)
  global_step = tf.train.get_or_create_global_step()
  num_parts = train.accumulation_steps
  with random_numbers.source(train.seed, global_step,
                             accumulation.part_of(num_parts), num_parts
                             ), initial_values.seeded(train.seed):
    outputs = model_outputs(model, images, labels, modes.TRAIN,
                            settings.use_bfloat16)
    losses = model.losses(outputs, labels, is_training=True)

  variables = optimizers.trained_variables(tf.trainable_variables(),
                                           train.frozen_variable_prefix)
  if not variables:
    raise ValueError('train.frozen_variable_prefix %r matches every variable; '
                     'nothing is left to train.' % train.frozen_variable_prefix)
  training_variables.once(lambda: _warn_unmatched(train, variables))
  l2_loss = optimizers.l2_regularization_loss(
      variables, train.l2_weight_decay, train.regularization_variable_regex)
  total_loss = losses[fields.MODEL_LOSS] + l2_loss

  schedule = learning_rates.scaled(train.learning_rate, train.train_batch_size)
  rate = learning_rates.learning_rate(schedule, global_step, train.total_steps)
  train_op, norm = _train_op(train, settings.use_tpu, total_loss, rate,
                             variables, global_step)

  scalars = dict(losses, learning_rate=rate, l2_regularization_loss=l2_loss,
                 gradient_norm=norm)
  host_call = None
  if not settings.use_tpu:
    summaries.add_scalars(scalars)
  else:
    if settings.enable_summary:
      host_call = summaries.tpu_host_call(
          scalars, summaries.step_after(train_op, global_step),
          settings.model_dir, train.iterations_per_loop)
    train_op = summaries.keep_scalars(scalars, train_op)
  return tf.estimator.tpu.TPUEstimatorSpec(
      mode=tf.estimator.ModeKeys.TRAIN, loss=total_loss, train_op=train_op,
      host_call=host_call,
      scaffold_fn=_scaffold_fn(train, settings))


def _warn_unmatched(train, variables):
  for sentence in optimizers.unmatched_patterns(
      train, tf.trainable_variables(), variables):
    tf.logging.warning('%s', sentence)


def _gate_gradients():
  """Whether the gradients of an operation wait for each other.

  One operation in ten of the graph would only say so, and resource variables
  need none of it: what has been read stays as it was. The update of a reference
  variable changes the values that the gradient of the inputs still reads.
  """
  return (tf.train.Optimizer.GATE_NONE if tf.resource_variables_enabled()
          else tf.train.Optimizer.GATE_OP)


def _train_op(train, use_tpu, total_loss, rate, variables, global_step):
  """Applies the gradients after the batch statistics were updated.

  Returns:
    (tf.Operation; float32 [], norm of all gradients of this replica's part of
    the batch, before they are clipped: 0 where loss scaling leaves the step
    out).
  """
  optimizer = optimizers.build_optimizer(train.optimizer, rate)
  if train.gradient_clip_norm > 0:
    optimizer = optimizers.GlobalNormClipping(
        optimizer, train.gradient_clip_norm)
  optimizer = accumulation.accumulate(optimizer,
                                      train.accumulation_steps)
  scales_loss = (train.mixed_precision == precisions.FLOAT16
                 and not use_tpu)
  if use_tpu:
    optimizer = tf.tpu.CrossShardOptimizer(optimizer)
  elif scales_loss:
    optimizer = optimizers.LossScaling(optimizer)
  # Replicas add up their gradients; the mean over the global batch is meant.
  # Inside of Estimator the optimizer divides the loss by their number, unless
  # the last call of a tf.losses function was a sum: we call none of them.
  update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  gradients = optimizer.compute_gradients(
      total_loss, variables, gate_gradients=_gate_gradients())
  norm = _global_norm([g for g, _ in gradients if g is not None],
                      scales_loss)
  if not train.moving_average_decay:
    with tf.control_dependencies(update_ops):
      return optimizer.apply_gradients(gradients,
                                       global_step=global_step), norm
  step_before = tf.identity(global_step)
  with tf.control_dependencies(update_ops + [step_before]):
    train_op = optimizer.apply_gradients(gradients, global_step=global_step)
  return moving_average.update_after(
      train_op, step_before, moving_average.averaged_variables(variables),
      train.moving_average_decay, global_step), norm


def _global_norm(gradients, may_overflow):
  """float32 [], norm of all gradients together."""
  norm = tf.global_norm([tf.cast(g, tf.float32) for g in gradients])
  if not may_overflow:
    return norm
  # The step is left out then, and the run goes on.
  return tf.where(tf.is_finite(norm), norm, tf.zeros_like(norm))


def average_scaffold_fn(
    train: base.Section,
    use_moving_average: bool) -> Callable[[], tf.train.Scaffold]:
  """Restores the averages of the weights as the weights, where configured.

  Args:
    train: section `train`.
    use_moving_average: `eval.use_moving_average`.

  Returns:
    () -> Scaffold, to be called when the graph has its variables.
  """
  unwanted = ''
  if not train.moving_average_decay:
    unwanted = 'train.moving_average_decay is 0'
  elif not use_moving_average:
    unwanted = 'eval.use_moving_average is false'

  def scaffold_fn():
    trained = optimizers.trained_variables(tf.trainable_variables(),
                                           train.frozen_variable_prefix)
    return tf.train.Scaffold(saver=moving_average.AverageSaver(
        tf.global_variables(), moving_average.averaged_variables(trained),
        unwanted))

  return scaffold_fn


def _scaffold_fn(train, settings):
  """Warm start, unless model_dir already has a checkpoint to resume from."""
  section, model_dir = train.checkpoint, settings.model_dir
  is_alone = not settings.use_tpu and not tf.distribute.has_strategy()
  make_scaffold = _ScaffoldOfOneProcess if is_alone else tf.train.Scaffold
  if not section.path:
    return make_scaffold if is_alone else None

  def start_warm():
    if model_dir and checkpoint_files.latest(model_dir):
      tf.logging.info('%s has a checkpoint: train.checkpoint.path is not read.',
                      model_dir)
    else:
      warm_start.warm_start(section, tf.global_variables(),
                            train.total_steps)

  def scaffold_fn():
    training_variables.once(start_warm)
    return make_scaffold()

  return scaffold_fn


class _ScaffoldOfOneProcess(tf.train.Scaffold):
  """A scaffold that does not ask whether all variables have values.

  That is how a worker waits for its chief. A single process has just given them
  their values, by the initializers or from a checkpoint that must hold them
  all; to ask, twice, takes a tenth of the time to the first step.
  """

  def __init__(self) -> None:
    # Without operations of its own it would make those that ask.
    none = tf.constant([], tf.string)
    super().__init__(ready_op=none, ready_for_local_init_op=none)

  @property
  def ready_op(self) -> None:
    return None

  @property
  def ready_for_local_init_op(self) -> None:
    return None


def _predict_spec(model, train, settings, features, labels):
  """Detections, with what the labels carry for evaluation."""
  del labels  # In PREDICT mode everything comes in the features.
  images, labels = features['images'], features['labels']
  outputs = model_outputs(model, images, labels, modes.PREDICT,
                          settings.use_bfloat16)
  return tf.estimator.tpu.TPUEstimatorSpec(
      mode=tf.estimator.ModeKeys.PREDICT,
      predictions=model.predictions(outputs, labels, settings.with_losses),
      scaffold_fn=average_scaffold_fn(train, settings.use_moving_average))
