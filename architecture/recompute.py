"""Activations that are computed a second time instead of being kept.

The backward pass of a network needs the activations of the forward pass, which
take most of the memory of a training run. Of a function that goes through
`run`, only the inputs are kept: its gradient runs the function again.
Source: arXiv:1604.06174.
"""

import contextlib
import threading
from typing import Callable

import tensorflow.compat.v1 as tf


class _Trace:
  """The variables and draws of the first run of a function, for the second."""

  def __init__(self):
    self.variables = []  # what tf.get_variable returned, in order of the calls
    self.draws = []      # of `remembered`
    self.replay = None   # iterators over both during the second run


class _State(threading.local):
  """Replicas of a distribution strategy are built in threads of their own."""
  trace = None


_STATE = _State()


def remembered(make: Callable[[], tf.Tensor]) -> tf.Tensor:
  """The same tensor in both runs: for random numbers.

  Args:
    make: () -> tensor [...], which is kept in memory until the second run.

  Returns:
    [...], the result of the first run in both.
  """
  trace = _STATE.trace
  if trace is None:
    return make()
  if trace.replay:
    return next(trace.replay[1])
  trace.draws.append(make())
  return trace.draws[-1]


def run(function: Callable[[tf.Tensor], tf.Tensor],
        inputs: tf.Tensor) -> tf.Tensor:
  """Runs a function of which only the inputs are kept for the gradient.

  Variables have the names that they have without it, and batch norm updates
  its statistics once.

  Args:
    function: tensor -> tensor, that may make variables with tf.get_variable,
      and draws random numbers through `remembered` only.
    inputs: [...], floating type.

  Returns:
    `function(inputs)`.

  Source: arXiv:1604.06174.
  """
  trace = _Trace()
  with _tracing(trace), _recording(trace):
    outputs = function(inputs)
  trained = [v for v in trace.variables if _is_trained(v)]

  @tf.custom_gradient
  def with_gradient(outputs, inputs, *values):
    def gradient(d_outputs):
      # No gradient of `outputs`: nothing needs the activations before it.
      return [None] + _gradients(function, trace, inputs, values, d_outputs)
    return tf.identity(outputs), gradient

  return with_gradient(outputs, inputs,
                       *[tf.convert_to_tensor(v) for v in trained])


def run_if(condition: bool, function: Callable[[tf.Tensor], tf.Tensor],
           inputs: tf.Tensor) -> tf.Tensor:
  """`run` where the condition holds, otherwise `function(inputs)`.

  Args:
    condition: Python bool.
    function: see `run`.
    inputs: [...], see `run`.

  Returns:
    `function(inputs)`.
  """
  return run(function, inputs) if condition else function(inputs)


def _is_trained(variable):
  """Whether it has a gradient; a Tensor is a variable in bfloat16."""
  return getattr(variable, 'trainable', True)


def _gradients(function, trace, inputs, values, d_outputs):
  """Gradients of the inputs and of the values of the trained variables."""
  # Tensors of their own: the others lead to `d_outputs`, too, by way of the
  # loss, and gradients would be taken along that way.
  inputs = _after(d_outputs, inputs)
  values = [tf.identity(value) for value in values]
  replaced = iter(values)
  trace.replay = (
      iter([next(replaced) if _is_trained(v) else v for v in trace.variables]),
      iter(trace.draws))
  update_ops = tf.get_collection_ref(tf.GraphKeys.UPDATE_OPS)
  num_updates = len(update_ops)
  # A scope of its own leaves the numbering of other layers alone.
  with _tracing(trace), tf.variable_scope(
      'recompute', custom_getter=lambda getter, *args, **kwargs: next(
          trace.replay[0])):
    outputs = function(inputs)
  del update_ops[num_updates:]  # The first run has updated them.
  return tf.gradients(outputs, [inputs] + values, d_outputs)


def _after(first, then):
  """`then`, not to be had before `first`.

  Otherwise a graph optimizer would see that everything is computed twice, and
  keep the activations. XLA ignores control dependencies, so the values must
  depend on each other, in a way that no optimizer knows to be zero.
  """
  corner = tf.reshape(tf.slice(first, [0] * first.shape.rank,
                               [1] * first.shape.rank), [])
  zero = tf.minimum(tf.abs(corner), tf.zeros([], corner.dtype))
  return then + tf.cast(zero, then.dtype)


@contextlib.contextmanager
def _tracing(trace):
  previous, _STATE.trace = _STATE.trace, trace
  try:
    yield
  finally:
    _STATE.trace = previous


def _recording_getter(trace, outer):
  """Notes what the getter `outer` of the enclosing scope, if any, returns."""
  def record(getter, *args, **kwargs):
    variable = (outer(getter, *args, **kwargs) if outer
                else getter(*args, **kwargs))
    trace.variables.append(variable)
    return variable
  return record


@contextlib.contextmanager
def _recording(trace):
  """Notes the variables that are made within the variable scope.

  Entering the scope again would reset the numbers of its layers.
  """
  scope = tf.get_variable_scope()
  outer = scope.custom_getter
  scope.set_custom_getter(_recording_getter(trace, outer))
  try:
    yield
  finally:
    scope.set_custom_getter(outer)
