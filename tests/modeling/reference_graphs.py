"""Builds and runs the graphs of a reference case, inner values included."""

import collections
import contextlib
from unittest import mock

import numpy as np
import tensorflow.compat.v1 as tf

from architecture import factory as parts
from architecture import layers
from modeling import factory
from modeling import model_fn
from modeling.training import summaries
from utils import fields
from utils import modes

_SLOTS = ('/Momentum', '/moving_normalizer', '/moving_normalizer/biased',
          '/moving_normalizer/local_step')
_NUM_STEPS = 3

# outputs: {name: array or {level: array}} of the model. endpoints:
# {'backbone.3': array}, also of 'fpn'. intermediate: {name of the tensor:
# array}. variables: [(name, shape)] in creation order.
Prediction = collections.namedtuple(
    'Prediction', 'outputs endpoints intermediate variables')

# losses: {name: number}. gradients: {variable: length}. dots: {variable: inner
# product of gradient and variable}. no_gradient: [variable]. total_losses:
# before each of three steps. lengths: {variable: length after the steps}.
Training = collections.namedtuple(
    'Training', 'outputs endpoints losses gradients dots no_gradient '
    'total_losses lengths variables')


def predict(case):
  """Runs the prediction graph of a ReferenceCase."""
  with _recorded_features() as endpoints:
    model = factory.build_model(case.config)
    labels = {fields.IMAGE_INFO: tf.constant(case.image_info())}
    outputs = model.outputs(tf.constant(case.images()), labels, modes.PREDICT)
  graph = tf.get_default_graph()
  intermediate = {
      name: graph.get_tensor_by_name(name + ':0')
      for name in case.settings['predict']['intermediate']}
  with tf.Session() as session:
    case.load_weights(session)
    values = session.run([outputs, endpoints, intermediate])
  return Prediction(*values, variables=_variables())


def train(case):
  """Runs the training graph of a ReferenceCase for three steps."""
  with _recorded_features() as endpoints, _recorded_gradients() as gradients:
    spec, outputs = _training_step(case)
  no_gradient = [v.op.name for g, v in gradients if g is None]
  gradients = {v.op.name: tf.convert_to_tensor(g) for g, v in gradients
               if g is not None}
  losses = dict(tf.get_collection(summaries.TRAINING_SCALARS))
  with tf.Session() as session:
    weights = case.load_weights(session)
    # What else is asked for is from before the update. All steps fetch the
    # same: the graph of other fetches would be prepared once more.
    fetches = [outputs, endpoints, losses, gradients, spec.loss, spec.train_op]
    steps = [session.run(fetches)[:-1] for _ in range(_NUM_STEPS)]
    lengths = session.run({v.op.name: v for v in tf.global_variables()
                           if v.dtype.base_dtype == tf.float32})
  outputs, endpoints, losses, gradients, _ = steps[0]
  return Training(
      outputs, endpoints, losses,
      gradients={name: _length(g) for name, g in gradients.items()},
      dots={name: np.sum(weights[name] * np.float64(g))
            for name, g in gradients.items()},
      no_gradient=no_gradient, total_losses=[step[-1] for step in steps],
      lengths={name: _length(value) for name, value in lengths.items()},
      variables=_variables())


def _length(array):
  return np.sqrt(np.sum(np.square(array, dtype=np.float64)))


@contextlib.contextmanager
def _recorded_features():
  """Yields a dictionary that gets the tensors of backbone and decoder."""
  endpoints = {}
  def recorded(build, prefix):
    def build_recorded(*arguments):
      part = build(*arguments)
      def call(inputs, is_training):
        features = part(inputs, is_training)
        endpoints.update({'%s.%d' % (prefix, level): x
                          for level, x in features.items()})
        return features
      return call
    return build_recorded
  with mock.patch.object(parts, 'build_backbone',
                         recorded(parts.build_backbone, 'backbone')):
    with mock.patch.object(parts, 'build_decoder',
                           recorded(parts.build_decoder, 'fpn')):
      yield endpoints


@contextlib.contextmanager
def _recorded_gradients():
  """Yields a list that gets the (gradient, variable) of the training step.

  Those that are computed, before they are clipped or accumulated.
  """
  gradients, compute = [], tf.train.Optimizer.compute_gradients
  def record(*args, **kwargs):
    assert not gradients
    gradients.extend(compute(*args, **kwargs))
    return list(gradients)
  with mock.patch.object(tf.train.Optimizer, 'compute_gradients', record):
    yield gradients


def _variables():
  return [(v.op.name, v.shape.as_list()) for v in tf.global_variables()
          if v.op.name != 'global_step' and not v.op.name.endswith(_SLOTS)
          and v.op.name != 'moving_normalizer']


def _training_step(case):
  """The training step's EstimatorSpec, and the outputs of its model."""
  if any('drop-connect' in patch for patch in case.settings['patches']):
    with mock.patch.object(layers, 'drop_connect', lambda x, *_: x):
      return _build_training_step(case)
  return _build_training_step(case)


def _build_training_step(case):
  outputs = {}
  compute = model_fn.model_outputs
  def record(*args):
    outputs.update(compute(*args))
    return outputs
  with mock.patch.object(model_fn, 'model_outputs', record):
    spec = factory.build_model_fn(case.config)(
        tf.constant(case.images()), case.labels(),
        tf.estimator.ModeKeys.TRAIN, {})
  return spec, outputs
