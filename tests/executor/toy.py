"""A model of one variable, for the loops: they do not care what is trained."""

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory
from executor import tpu as tpu_lib
from modeling import checkpoint_checks
from modeling import whole_checkpoint
from modeling.training import summaries


def config(model_dir, model='retinanet', **changes):
  """A configuration with these changes by dotted key ('__')."""
  values = {'model_dir': str(model_dir), 'use_tpu': False,
            'train.train_batch_size': 4, 'train.total_steps': 6,
            'train.log_every_steps': 2, 'train.log_every_seconds': 0,
            'train.save_checkpoints_steps': 1000,
            'eval.min_eval_interval': 0, 'architecture.use_bfloat16': False}
  values.update({key.replace('__', '.'): value
                 for key, value in changes.items()})
  return factory.load_config(model, extra=values)[0]


def model_fn(features, labels, mode, params):
  """Fits `weight` to the labels; the learning rate may be a NaN."""
  del params
  weight = tf.get_variable('weight', initializer=tf.constant([0., 0.]))
  if mode == tf.estimator.ModeKeys.PREDICT:
    return tf.estimator.EstimatorSpec(mode, predictions={
        'pred_source_id': features['id'],
        'pred_weight': tf.tile(weight[tf.newaxis], [tf.size(features['id']),
                                                    1])})
  error = features * weight - labels
  model_loss = tf.reduce_mean(tf.square(error))
  summaries.add_scalars({'model_loss': model_loss, 'one': tf.constant(1.)})
  # The optimizer divides the loss by the number of replicas.
  train_op = tf.train.GradientDescentOptimizer(.1).minimize(
      model_loss, tf.train.get_or_create_global_step())
  return tf.estimator.EstimatorSpec(mode, loss=model_loss, train_op=train_op)


def tpu_model_fn(features, labels, mode, params, hooks=(), total_steps=6,
                 steps_per_call=1):
  """`model_fn` as for a TPU, where one call makes several steps."""
  del params
  weight = tf.get_variable('weight', initializer=tf.constant([0., 0.]))
  model_loss = tf.reduce_mean(tf.square(features * weight - labels))
  step = tf.train.get_or_create_global_step()
  rates = tf.train.GradientDescentOptimizer(.1)
  applied = rates.apply_gradients(rates.compute_gradients(model_loss))
  with tf.control_dependencies([applied]):
    train_op = step.assign(tf.minimum(step + steps_per_call, total_steps))
  train_op = summaries.keep_scalars(
      {'model_loss': model_loss, 'one': tf.constant(1.)}, train_op)
  return tf.estimator.tpu.TPUEstimatorSpec(
      mode, loss=model_loss, train_op=train_op, training_hooks=hooks)


def tpu_estimator(config, a_model_fn=tpu_model_fn):
  """A TPUEstimator that trains on the CPU, as executor.tpu sets it up."""
  tpu = tf.estimator.tpu
  return tpu.TPUEstimator(
      tpu_lib.with_signals(a_model_fn), use_tpu=False, params={},
      train_batch_size=config.train.train_batch_size,
      config=tpu.RunConfig(
          model_dir=config.model_dir, log_step_count_steps=None,
          save_summary_steps=config.train.log_every_steps,
          tpu_config=tpu.TPUConfig(
              iterations_per_loop=config.train.iterations_per_loop)))


def input_fn(params, input_context=None):
  """Endless equal batches: features 1, labels (1, 2)."""
  del input_context
  size = params['batch_size']
  return tf.data.Dataset.from_tensors(
      (tf.ones([size, 2]), tf.tile([[1., 2.]], [size, 1]))).repeat()


def nan_input_fn(params, input_context=None):
  """The third batch is NaN."""
  good = input_fn(params, input_context).take(2)
  bad = good.take(1).map(lambda x, y: (x * np.nan, y))
  return good.concatenate(bad.repeat())


def is_complete(path):
  """Whether all values of a checkpoint can be read."""
  try:
    whole_checkpoint.verify(path)
  except checkpoint_checks.BrokenCheckpointError:
    return False
  return True


def save_checkpoint(folder, step, **variables):
  """Writes model.ckpt-STEP with these variables and returns its prefix."""
  with tf.Graph().as_default(), tf.Session() as session:
    for name, value in variables.items():
      tf.get_variable(name, initializer=tf.constant(value))
    saver = tf.train.Saver()
    session.run(tf.global_variables_initializer())
    return saver.save(session, str(folder / 'model.ckpt'), step,
                      write_meta_graph=False)
