"""A small classifier that is trained through model_fn, for its features."""

import contextlib

import numpy as np
import tensorflow.compat.v1 as tf

from configs import factory
from modeling import factory as model_factory

SIZE, CLASSES = 32, 3


def config(**changes):
  """A ResNet-10 classifier on the CPU, with changes by dotted key ('__')."""
  values = {
      'use_tpu': False, 'architecture.use_bfloat16': False,
      'architecture.num_classes': CLASSES, 'resnet.resnet_depth': 10,
      'classification_parser.output_size': [SIZE, SIZE],
      'train.transpose_input': False, 'train.train_batch_size': 8,
      'train.total_steps': 10, 'train.learning_rate.warmup_steps': 0,
      'train.learning_rate.init_learning_rate': 0.05, 'train.seed': 1,
      'batch_norm_activation.batch_norm_trainable': False}
  values.update({key.replace('__', '.'): value
                 for key, value in changes.items()})
  return factory.load_config('classification', extra=values)[0]


def batch(size=8, seed=0):
  """Images [size, 32, 32, 3] and labels [size]."""
  rng = np.random.RandomState(seed)
  return (rng.randn(size, SIZE, SIZE, 3).astype(np.float32),
          rng.randint(0, CLASSES, [size]).astype(np.int32))


class Training:
  """A graph with a training step and a session; a context manager.

  With `devices` the step runs on them, under a MirroredStrategy, and a batch
  is divided among them.
  """

  def __init__(self, experiment, part_size, devices=(), start=None):
    """Builds the step.

    Args:
      experiment: of `config`.
      part_size: int, images of a call of `step`.
      devices: [name].
      start: checkpoint of `save_start`; None: the initial values.
    """
    self._graph = tf.Graph()
    with self._graph.as_default(), contextlib.ExitStack() as stack:
      tf.set_random_seed(1)
      replicas = max(1, len(devices))
      self._images = tf.placeholder(tf.float32, [part_size, SIZE, SIZE, 3])
      self._labels = tf.placeholder(tf.int32, [part_size])
      parts = iter(zip(tf.split(self._images, replicas),
                       tf.split(self._labels, replicas)))

      def build():
        images, labels = next(parts)
        spec = model_factory.build_model_fn(experiment)(
            images, labels, tf.estimator.ModeKeys.TRAIN, {})
        return spec.loss, spec.train_op

      if devices:
        strategy = tf.distribute.MirroredStrategy(list(devices))
        stack.enter_context(strategy.scope())
        loss, train_op = strategy.extended.call_for_each_replica(build)
        self._step = (strategy.reduce(tf.distribute.ReduceOp.MEAN, loss, None),
                      strategy.group(train_op))
      else:
        self._step = build()
      self.saver = tf.train.Saver()
      self.session = tf.Session(config=tf.ConfigProto(
          device_count={'CPU': replicas}))
      self.session.run([tf.global_variables_initializer(),
                        tf.local_variables_initializer()])
      self._start_saver = tf.train.Saver(tf.trainable_variables())
      if start:
        self._start_saver.restore(self.session, start)

  def __enter__(self):
    return self

  def __exit__(self, *exc_info):
    self.session.close()

  def step(self, images, labels):
    """Runs the step; returns its loss."""
    return self.session.run(self._step, {
        self._images: images, self._labels: labels})[0]

  def save_start(self, folder):
    """Saves what is trained; returns what `start` takes."""
    return self._start_saver.save(self.session, str(folder / 'start.ckpt'),
                                  write_meta_graph=False)

  def save(self, folder):
    """Saves; returns {name: array} of what a reader finds."""
    path = self.saver.save(self.session, str(folder / 'model.ckpt'),
                           write_meta_graph=False)
    reader = tf.train.load_checkpoint(path)
    return {name: reader.get_tensor(name)
            for name in reader.get_variable_to_shape_map()}
