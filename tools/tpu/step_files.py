"""A step in two files, for programs of other environments to read."""

from typing import Any, Dict, Iterable, List, Mapping, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from serving.targets import graph_files

_FILES = 'step'


class Input(NamedTuple):
  """One value that goes into a step.

  Attributes:
    name: name of its placeholder.
    shape: its shape.
    dtype: name of the type.
    is_read: whether the step depends on it.
    parts: into how many parts each dimension is divided among the cores of a
      replica; None if each of them has all of it.
  """
  name: str
  shape: List[int]
  dtype: str
  is_read: bool
  parts: Optional[List[int]] = None


class Step(NamedTuple):
  """A step of training.

  Attributes:
    graph: graph of the operations that it needs.
    inputs: in the order of `tf.nest.flatten`.
    outputs: {name: tensor in the graph}.
    variables: {name: (shape, dtype)}.
    sums: {operation: (shape, dtype, groups of replicas)} of the sums over all
      replicas.
  """
  graph: tf.GraphDef
  inputs: List[Input]
  outputs: Dict[str, str]
  variables: Dict[str, Any]
  sums: Dict[str, Any]


def save(step: Step, folder: str) -> None:
  """Writes a Step into a folder, which is made."""
  graph_files.save(step, folder, _FILES)


def load(folder: str) -> Step:
  """Reads what `save` wrote.

  Args:
    folder: its path.

  Returns:
    Step.
  """
  step = graph_files.load(Step, folder, _FILES)
  return step._replace(inputs=[Input(*values) for values in step.inputs])


def infeed_bytes(step: Step) -> int:
  """Bytes of the values that one core reads of each batch."""
  total = 0
  for value in step.inputs:
    if value.is_read:
      count = 1
      all_parts = value.parts or [1] * len(value.shape)
      for size, parts in zip(value.shape, all_parts):
        count *= -(-size // parts)
      total += count * tf.as_dtype(value.dtype).size
  return total


def without(step: Step, names: Iterable[str]) -> tf.GraphDef:
  """The graph of a step whose operations `names` come from outside.

  Args:
    step: Step.
    names: placeholders and variables, which are mapped to others. They must not
      stay: XLA has no form of a placeholder.

  Returns:
    GraphDef, a copy.
  """
  graph = tf.GraphDef()
  graph.library.CopyFrom(step.graph.library)
  graph.versions.CopyFrom(step.graph.versions)
  graph.node.extend(node for node in step.graph.node if node.name not in names)
  for node in graph.node:
    node.device = ''
    node.attr.pop('_class', None)  # to be beside an operation that is gone
  return graph


def import_step(step: Step, given: Mapping[str, tf.Tensor]) -> List[tf.Tensor]:
  """Puts a step into the default graph.

  Args:
    step: Step.
    given: {name of a placeholder or variable: tensor that takes its place}.

  Returns:
    [tensor], the outputs in the order of their names.
  """
  return tf.graph_util.import_graph_def(
      without(step, given), name='',
      input_map={name + ':0': tensor for name, tensor in given.items()},
      return_elements=[step.outputs[name] for name in sorted(step.outputs)])
