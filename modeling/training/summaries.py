"""Scalars of the training step: log line, TensorBoard, on a TPU too."""

from typing import Any, Callable, List, Tuple

import tensorflow.compat.v1 as tf

from ops import compat
from ops import replicas
from ops import tensor_types

# Graph collection of (name, scalar tensor). The progress hook writes them:
# tf.summary.scalar would rename a tag that is also the name of a scope.
TRAINING_SCALARS = 'training_scalars'
_KEPT_SCALARS = 'kept_training_scalars'  # of ([name], variable)


def add_scalars(scalars: tensor_types.Tensors) -> None:
  """Registers scalars of the training step.

  Args:
    scalars: {name: float32 []}; the name becomes the TensorBoard tag.
  """
  for name, value in sorted(scalars.items()):
    tf.add_to_collection(TRAINING_SCALARS, (name, value))


def keep_scalars(scalars: tensor_types.Tensors,
                 train_op: tf.Operation) -> tf.Operation:
  """Keeps the scalars of a TPU's training step where the host can read them.

  A TPU runs many steps in one call, in which no tensor of the step can be
  fetched. So the step writes them to a variable (a local one, not in
  checkpoints), which `take_kept_scalars` finds.

  Args:
    scalars: {name: float32 []}; means over the cores are kept.
    train_op: the training operation of the step.

  Returns:
    The operation that does both.
  """
  names = sorted(scalars)
  variable = tf.get_variable(
      'training_scalars', [len(names)], tf.float32, tf.zeros_initializer(),
      trainable=False, collections=[tf.GraphKeys.LOCAL_VARIABLES],
      use_resource=True)
  tf.add_to_collection(_KEPT_SCALARS, (names, variable))
  means = replicas.mean(tf.stack([scalars[name] for name in names]))
  return tf.group(train_op, variable.assign(means, read_value=False))


def take_kept_scalars() -> tensor_types.Tensors:
  """{name: float32 []} of `keep_scalars`, after the last step of a call.

  Empty where there are none. They can be taken only once, because a
  checkpoint's .meta file cannot hold the collection.
  """
  collection = tf.get_collection_ref(_KEPT_SCALARS)
  tensors = {}
  for names, variable in collection:
    tensors.update(zip(names, tf.unstack(variable.read_value())))
  del collection[:]
  return tensors


def tpu_host_call(scalars: tensor_types.Tensors, step: tf.Tensor,
                  model_dir: str,
                  max_queue: int) -> Tuple[Callable[..., Any], List[tf.Tensor]]:
  """The host call that writes the scalars of a TPU training step.

  TensorFlow's summary operations cannot run on a TPU, so the values travel to
  the host after each step.

  Args:
    scalars: {name: float32 []}.
    step: int64 [], of `step_after`; nothing is written where it is negative.
    model_dir: where the event files are written.
    max_queue: int, how many steps the writer may hold back.

  Returns:
    (function, [tensor]) for TPUEstimatorSpec.host_call; each tensor has a
    leading dimension, as a host call concatenates over the cores.
  """
  names = sorted(scalars)

  def write(steps, *values):
    summary = compat.v2_summary()
    step = tf.cast(steps[0], tf.int64)
    writer = summary.create_file_writer(model_dir, max_queue=max_queue)
    with writer.as_default(), summary.record_if(step >= 0):
      for name, value in zip(names, values):
        summary.scalar(name, tf.reduce_mean(value), step=step)
    return tf.summary.all_v2_summary_ops()

  tensors = [tf.reshape(step, [1])]
  tensors += [tf.reshape(scalars[n], [1]) for n in names]
  return write, tensors


def step_after(train_op: tf.Operation, global_step: tf.Variable) -> tf.Tensor:
  """The step that a call led to, as the progress hook counts steps.

  Args:
    train_op: the training operation of the call.
    global_step: the variable.

  Returns:
    int64 []; -1 after a call that computed part of a batch and made no step.
  """
  last = tf.get_variable(
      'last_summary_step', [], tf.int64, tf.zeros_initializer(),
      trainable=False, collections=[tf.GraphKeys.LOCAL_VARIABLES],
      use_resource=True)
  with tf.control_dependencies([train_op]):
    step = tf.identity(tf.convert_to_tensor(global_step))
    told = tf.where(tf.equal(step, last.read_value()), -tf.ones_like(step),
                    step)
  with tf.control_dependencies([told]):
    noted = last.assign(step, read_value=False)
  with tf.control_dependencies([noted]):
    return tf.identity(told)
