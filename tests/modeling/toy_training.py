"""Steps of an optimizer on two small variables, on one or several devices."""

import contextlib

import numpy as np
import tensorflow.compat.v1 as tf

START = np.array([[1., -2.], [3., .5]], np.float32)


class Toy:
  """`kernel` [2, 2] and `bias` [2] fitted to rows; a context manager."""

  def __init__(self, make_train_op, rows, devices=()):
    """Builds a step.

    Args:
      make_train_op: (loss, [variable], global step) -> Operation.
      rows: int, rows of a call, divided among the devices.
      devices: [name] of a MirroredStrategy.
    """
    self._graph = tf.Graph()
    replicas = max(1, len(devices))
    with self._graph.as_default(), contextlib.ExitStack() as stack:
      self._inputs = tf.placeholder(tf.float32, [rows, 2])
      parts = iter(tf.split(self._inputs, replicas))

      def build():
        step = tf.train.get_or_create_global_step()
        kernel = tf.get_variable('kernel', [2, 2],
                                 initializer=tf.constant_initializer(START))
        bias = tf.get_variable('bias', [2], initializer=tf.zeros_initializer())
        mean = tf.get_variable(
            'norm/moving_mean', [2], trainable=False,
            initializer=tf.zeros_initializer(),
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.MEAN)
        x = next(parts)
        update = mean.assign_sub((mean - tf.reduce_mean(x, 0)) * .5,
                                 read_value=False)
        error = tf.matmul(x, kernel) + bias - 1.
        loss = tf.reduce_mean(tf.square(error)) / replicas
        with tf.control_dependencies([update]):
          return make_train_op(loss, [kernel, bias], step)

      if devices:
        strategy = tf.distribute.MirroredStrategy(list(devices))
        stack.enter_context(strategy.scope())
        self._step = strategy.group(
            strategy.extended.call_for_each_replica(build))
      else:
        self._step = build()
      self.saver = tf.train.Saver()
      self.session = tf.Session(config=tf.ConfigProto(
          device_count={'CPU': replicas}))
      self.session.run(tf.global_variables_initializer())

  def __enter__(self):
    return self

  def __exit__(self, *exc_info):
    self.session.close()

  def step(self, rows):
    """Runs the step on [rows, 2]."""
    self.session.run(self._step, {self._inputs: rows})

  def save(self, folder):
    """Saves; returns {name: array} of what a reader finds, and the path."""
    path = self.saver.save(self.session, str(folder / 'model.ckpt'),
                           write_meta_graph=False)
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()}, path


def rows(count, seed=0):
  """float32 [count, 2]."""
  return np.random.RandomState(seed).randn(count, 2).astype(np.float32)
