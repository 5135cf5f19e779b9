"""Scalars of the training step: log line, TensorBoard, TPU host call."""

import tensorflow.compat.v1 as tf

from ops import compat

# Graph collection of (name, scalar tensor). The progress hook writes them:
# tf.summary.scalar would rename a tag that is also the name of a scope.
TRAINING_SCALARS = 'training_scalars'


def add_scalars(scalars):
  """Registers scalars of the training step.

  Args:
    scalars: {name: float32 []}; the name becomes the TensorBoard tag.
  """
  for name, value in sorted(scalars.items()):
    tf.add_to_collection(TRAINING_SCALARS, (name, value))


def tpu_host_call(scalars, global_step, model_dir, max_queue):
  """The host call that writes the scalars of a TPU training step.

  TensorFlow's summary operations cannot run on a TPU, so the values travel to
  the host after each loop of steps.

  Args:
    scalars: {name: float32 []}.
    global_step: int64 [].
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
    with writer.as_default(), summary.record_if(True):
      for name, value in zip(names, values):
        summary.scalar(name, tf.reduce_mean(value), step=step)
    return tf.summary.all_v2_summary_ops()

  tensors = [tf.reshape(global_step, [1])]
  tensors += [tf.reshape(scalars[n], [1]) for n in names]
  return write, tensors
