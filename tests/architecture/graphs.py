"""Runs small graphs whose variables have values worked out by hand."""

import numpy as np
import tensorflow.compat.v1 as tf


def run(fetches, values=None):
  """Initializes all variables, sets some, and runs.

  Args:
    fetches: nest of tensors and operations.
    values: {variable name: array or number, which fills it}.

  Returns:
    The nest of arrays.
  """
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    by_name = {v.op.name: v for v in tf.global_variables()}
    for name, value in (values or {}).items():
      variable = by_name[name]
      session.run(variable.initializer, {
          variable.initializer.inputs[1]: np.broadcast_to(
              np.float32(value), variable.shape.as_list())})
    return session.run(fetches)


def variables():
  """[(name, shape)] of all variables, in the order of their creation."""
  return [(v.op.name, v.shape.as_list()) for v in tf.global_variables()]


def names():
  """[name] of all variables, in the order of their creation."""
  return [name for name, _ in variables()]


class Unnormalized:
  """In the place of a BatchNormActivation: an activation, but no variables.

  A normalization is half of the graph of a backbone; for tests of sizes.
  """
  activate = staticmethod(tf.nn.relu)

  def __call__(self, inputs, is_training, relu=True, name=None):
    return self.activate(inputs) if relu else inputs


def ramp(*shape):
  """float32 0, 1, 2, ... of this shape."""
  return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def centered(size=3):
  """Kernel [size, size, 1, 1] that copies its input."""
  kernel = np.zeros([size, size, 1, 1], np.float32)
  kernel[size // 2, size // 2] = 1.
  return kernel
