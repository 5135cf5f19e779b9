"""Runs a training step plain, and as XLA compiles it for a CPU.

The plain step is what trains on this machine, the other one what a TPU would
get. Both start from the same weights, on the same image, with the same random
numbers.
"""

import re
from typing import Dict, List, Mapping, NamedTuple, Sequence

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from serving.targets import graph_files
from tools.benchmarks import model_step
from tools.tpu import step_files
from tools.tpu import steps
from utils import modes

_TAKE_APART = '_lower_using_switch_merge'
# Operations of ops.random_numbers: a draw, and what TF 2 makes of its seed.
_UNIFORM = re.compile(r'StatelessRandomUniform(V2)?$')
_OF_SEEDS = 'StatelessRandomGet'


class Line(NamedTuple):
  """A loss, computed twice.

  Attributes:
    name: name of the loss.
    plain: its value on the CPU.
    compiled: its value as the compiler has it.
    difference: relative.
  """
  name: str
  plain: float
  compiled: float
  difference: float


def compare(config: base.Config, batch_size: int) -> List[Line]:
  """Compares the losses of the two forms of a step.

  Args:
    config: from steps.one_device.
    batch_size: int.

  Returns:
    [Line], of all scalars that training logs.
  """
  graph, inputs, outputs = steps.build(config, 'train', batch_size)
  weights = _initial_values(graph)
  plain = steps.take_out(graph, inputs, outputs)
  compiled = steps.export(config, 'train', batch_size)
  batch = tf.nest.flatten(
      model_step.example_batch(config, modes.TRAIN, batch_size))
  values = [
      run(without_chance(step), batch, weights, use_xla)
      for step, use_xla in ((plain, False), (compiled, True))]
  return [Line(name, values[0][name], values[1][name],
               _difference(values[0][name], values[1][name]))
          for name in sorted(values[0])]


def _difference(a, b):
  if a == b:
    return 0.
  return abs(a - b) / max(abs(a), abs(b))


def _initial_values(graph):
  """{name: array} of all variables of a graph, from their initializers."""
  with graph.as_default(), tf.Session() as session:
    session.run(tf.global_variables_initializer())
    variables = tf.global_variables()
    return {v.op.name: value
            for v, value in zip(variables, session.run(variables))}


def without_chance(step: step_files.Step) -> step_files.Step:
  """The step with numbers in the place of what it draws.

  XLA draws other numbers than TensorFlow's kernels. The n-th draw is the same
  in each step that is built of the same parts.

  Args:
    step: step_files.Step.

  Returns:
    step_files.Step.

  Raises:
    ValueError: if it draws in a way that is not known here.
  """
  with tf.Graph().as_default() as shapes:
    tf.import_graph_def(step.graph, name='')
  drawing = [(name, node) for name, node in graph_files.operations(step.graph)
             if 'Random' in node.op and not node.op.startswith(_OF_SEEDS)]
  graph = tf.GraphDef()
  graph.CopyFrom(step.graph)
  nodes = {node.name: node for node in graph.node}
  for number, (name, node) in enumerate(drawing):
    if not _UNIFORM.match(node.op) or name not in nodes:
      raise ValueError('%s (%s) draws random numbers; only those of '
                       'random_numbers.uniform outside of functions can be '
                       'replaced for a comparison.' % (name, node.op))
    output = shapes.get_tensor_by_name(name + ':0')
    draws = np.random.RandomState(number).uniform(size=output.shape.as_list())
    _make_constant(nodes[name],
                   draws.astype(output.dtype.as_numpy_dtype))
  return step._replace(graph=graph)


def _with_whole_loops(step):
  """The step without the marks that make TensorFlow 1.15 take loops apart.

  It was not built for XLA, which compiles loops and branches as a whole.
  """
  graph = tf.GraphDef()
  graph.CopyFrom(step.graph)
  for _, node in graph_files.operations(graph):
    node.attr.pop(_TAKE_APART, None)
  return step._replace(graph=graph)


def _make_constant(node, array):
  """Turns an operation into a constant, in place."""
  del node.input[:]
  node.op = 'Const'
  node.attr.clear()
  node.attr['dtype'].type = tf.as_dtype(array.dtype).as_datatype_enum
  node.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(array))


def run(step: step_files.Step, batch: Sequence[np.ndarray],
        weights: Mapping[str, np.ndarray], use_xla: bool) -> Dict[str, float]:
  """Runs a step once.

  Args:
    step: step_files.Step of training.
    batch: [array], its inputs.
    weights: {name: array} of its variables.
    use_xla: whether XLA compiles it, as one program.

  Returns:
    {name: float} of its outputs.
  """
  with tf.Graph().as_default():
    variables = {
        name: tf.get_variable(name, shape, dtype, tf.zeros_initializer(),
                              use_resource=True)
        for name, (shape, dtype) in step.variables.items()}
    inputs = [(value, array) for value, array in zip(step.inputs, batch)
              if value.is_read]
    holders = [tf.placeholder(value.dtype, value.shape) for value, _ in inputs]

    if use_xla:
      step = _with_whole_loops(step)

    def body(*tensors):
      given = {value.name: t for (value, _), t in zip(inputs, tensors)}
      given.update((name, v.handle) for name, v in variables.items())
      return step_files.import_step(step, given)

    outputs = (tf.xla.experimental.compile(body, holders) if use_xla
               else body(*holders))
    with tf.Session() as session:
      for name, variable in variables.items():
        variable.load(weights[name], session)
      values = session.run(
          outputs, dict(zip(holders, [array for _, array in inputs])))
  return dict(zip(sorted(step.outputs), map(float, values)))
