"""Lowers a step to HLO, with the XLA bridge of TensorFlow 2.15.

  python -m tools.tpu.hlo_lowering [--module] FOLDER...

Each FOLDER has what tools.tpu.step_files writes; the graph may be of TensorFlow
1.15. Writes hlo.json there, what was found, and with --module hlo.pb, the
module for the compiler. Nothing is run, and XLA compiles nothing: a step that
passes has an XLA form of every operation.
"""

import argparse
import json
import os
from typing import Any, Dict, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context

from serving.targets import xla_lowering
from tools.tpu import hlo
from tools.tpu import step_files

# Mapped to something else before the bridge sees the graph.
_REPLACED = ('Placeholder', 'VarHandleOp', 'CrossReplicaSum')
_MAX_ERROR = 4000  # characters of a message; XLA repeats whole graphs


def lower(step: step_files.Step,
          wants_module: bool) -> Tuple[Optional[bytes], Dict[str, Any]]:
  """Lowers a step.

  Args:
    step: step_files.Step.
    wants_module: whether to make the module, which takes as long again.

  Returns:
    The serialized HloModuleProto, None if there is none, and what was found: a
    dict with `missing`, {type of operation: [names]} of those without a
    lowering, `dynamic` and others of hlo.summarize, `parts` of each parameter
    that the cores of a replica divide, as {its number: parts}, and `error`, the
    bridge's own words.
  """
  missing = xla_lowering.without_lowering(step.graph, _REPLACED)
  if missing:
    return None, {'missing': missing}
  function, signature = _function(step)
  try:
    generate = function.experimental_get_compiler_ir(*signature)
    text = generate(stage='hlo')
    module = generate(stage='hlo_serialized') if wants_module else None
  except (ValueError, tf.errors.OpError) as e:
    return None, {'missing': {}, 'error': str(e)[:_MAX_ERROR]}
  # The inputs that are read are the first parameters.
  parts = dict(enumerate(one.parts for one in step.inputs if one.is_read))
  return module, dict(hlo.summarize(text), missing={}, parts={
      number: divided for number, divided in parts.items() if divided})


def _function(step):
  """(a function of the step's inputs that XLA compiles, their TensorSpecs)."""
  context.ensure_initialized()
  for function in step.graph.library.function:  # bodies of loops, branches
    context.context().add_function_def(function)
  variables = {
      name: tf.Variable(tf.zeros(shape, dtype), trainable=False,
                        use_resource=True)
      for name, (shape, dtype) in sorted(step.variables.items())}
  inputs = [value for value in step.inputs if value.is_read]
  marked = _with_marked_sums(step)
  signature = [tf.TensorSpec(value.shape, value.dtype, name='input_%d' % i)
               for i, value in enumerate(inputs)]

  @tf.function(jit_compile=True, autograph=False, input_signature=signature)
  def run(*tensors):
    graph = tf.get_default_graph()
    given = {value.name: tensor for value, tensor in zip(inputs, tensors)}
    given.update((name, graph.capture(variable.handle))
                 for name, variable in variables.items())
    return step_files.import_step(marked, given)

  run.get_concrete_function()
  return run, signature


def _with_marked_sums(step):
  """The step with something else in the place of sums over the replicas.

  The bridge of a CPU has no lowering of them. Of one replica the sum is its own
  value; of several, tools.tpu.compiler makes an all-reduce of a mark.
  """
  graph = tf.GraphDef()
  graph.CopyFrom(step.graph)
  for node in graph.node:
    if node.op == 'CrossReplicaSum':
      _mark(node, *step.sums[node.name])
  return step._replace(graph=graph)


def _mark(node, shape, dtype, groups):
  """Replaces one sum of replicas in these groups."""
  value = node.input[0]
  del node.input[:]
  node.input.append(value)
  node.attr.clear()
  kind = tf.as_dtype(dtype).as_datatype_enum
  node.attr['T'].type = kind
  if len(groups[0]) == 1:
    node.op = 'Identity'
    return
  node.op = 'XlaCustomCall'
  node.attr['T'].list.type.append(kind)
  node.attr['dtype'].type = kind
  node.attr['shape'].shape.CopyFrom(tf.TensorShape(shape).as_proto())
  node.attr['target_name'].s = hlo.CROSS_REPLICA_SUM.encode()
  node.attr['backend_config'].s = json.dumps(groups).encode()


def main(argv: Optional[Sequence[str]] = None) -> None:
  parser = argparse.ArgumentParser(
      prog='python -m tools.tpu.hlo_lowering', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('folders', nargs='+')
  parser.add_argument('--module', action='store_true')
  arguments = parser.parse_args(argv)
  tf.enable_v2_behavior()  # What is lowered is not part of a graph.
  for folder in arguments.folders:
    module, found = lower(step_files.load(folder), arguments.module)
    if module is not None:
      with open(os.path.join(folder, 'hlo.pb'), 'wb') as f:
        f.write(module)
    with open(os.path.join(folder, 'hlo.json'), 'w') as f:
      json.dump(found, f, indent=1)


if __name__ == '__main__':
  main()
