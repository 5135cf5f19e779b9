"""Scalars of the training step on their way to TensorBoard."""

import glob

import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.python.ops import summary_ops_v2

from modeling.training import summaries


def test_scalars_are_collected_by_name():
  one, two = tf.constant(1.), tf.constant(2.)
  summaries.add_scalars({'model_loss': two, 'cls_loss': one})
  assert tf.get_collection(summaries.TRAINING_SCALARS) == [
      ('cls_loss', one), ('model_loss', two)]


def _events(folder):
  """{(tag, step): value}, of event files of either format."""
  found = {}
  for path in glob.glob(str(folder / '*tfevents*')):
    for event in tf.train.summary_iterator(path):
      for value in event.summary.value:
        found[value.tag, event.step] = float(
            tf.make_ndarray(value.tensor) if value.HasField('tensor')
            else value.simple_value)
  return found


def test_host_call_writes_the_mean_over_the_cores(tmp_path):
  """What the host runs for a loop of steps on a TPU of two cores."""
  write, tensors = summaries.tpu_host_call(
      {'model_loss': tf.constant(1.), 'cls_loss': tf.constant(5.)},
      tf.constant(3, tf.int64), str(tmp_path), max_queue=4)
  assert [t.shape.as_list() for t in tensors] == [[1], [1], [1]]
  step, cls_loss, _ = tensors
  # The values of both cores arrive as one tensor each.
  flush = getattr(summary_ops_v2, 'legacy_raw_flush', summary_ops_v2.flush)
  operations = write(tf.concat([step, step], 0),
                     tf.concat([cls_loss, cls_loss + 2.], 0),
                     tf.constant([1., 2.]))
  with tf.Session() as session:
    # What TPUEstimator runs before the first loop and after the last one.
    writers = summary_ops_v2.summary_writer_initializer_op()
    session.run(writers)
    session.run(operations)
    session.run([flush(writer=op.inputs[0]) for op in writers])
  np.testing.assert_allclose(
      [_events(tmp_path)[name, 3] for name in ('cls_loss', 'model_loss')],
      [6., 1.5])
