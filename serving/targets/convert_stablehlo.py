"""Converts a network to a StableHLO program, in the converters' environment.

  python -m serving.targets.convert_stablehlo NETWORK FOLDER

TensorFlow's bridge makes HLO of the graph; jaxlib makes StableHLO of that, in
the form that later versions read, too.
"""

import os
import sys
from typing import Any, Dict, Mapping

from jax._src.interpreters import mlir
import jaxlib
from jaxlib import xla_client
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import func
import tensorflow.compat.v1 as tf
from tensorflow.python.eager import context

from ops import compat
from serving.targets import exporting
from serving.targets import network_graph
from serving.targets import run_stablehlo
from serving.targets import xla_lowering

# Of StableHLO, whose readers take what was written for an older version.
_VERSION = '1.0.0'
_MLIR = xla_client._xla.mlir  # pylint: disable=protected-access


def convert(network: network_graph.Network, request: Mapping[str, Any],
            folder: str, work: str) -> Dict[str, Any]:
  """Writes model.stablehlo; see exporting.converter_main.

  Raises:
    ConversionError: for a free number of images, or operations that XLA does
      not have.
  """
  del request, work
  if None in network.shape:
    raise exporting.ConversionError(
        'A program of XLA has a fixed number of images: give --batch_size.')
  missing = xla_lowering.without_lowering(network.graph)
  if missing:
    raise exporting.ConversionError(
        'XLA has no form of %s.' % ', '.join(sorted(missing)))
  text = _MLIR.xla_computation_to_mlir_module(
      xla_client.XlaComputation(_lowered(network)))
  text, operations = _with_plain_results(text)
  content = _MLIR.serialize_portable_artifact(text, _VERSION)
  path = os.path.join(folder, run_stablehlo.FILE)
  with open(path, 'wb') as f:
    f.write(content)
  return {'stablehlo': _VERSION, 'operations': operations,
          'result_order': sorted(network.outputs), 'tensorflow': compat.VERSION,
          'jaxlib': jaxlib.version.__version__, 'bytes': len(content)}


def _lowered(network):
  """bytes of the HLO module; its results are in the order of their keys."""
  context.ensure_initialized()
  for function in network.graph.library.function:  # of loops and branches
    context.context().add_function_def(function)
  (fed,) = network.inputs.values()
  graph = tf.GraphDef()
  graph.CopyFrom(network.graph)
  for node in list(graph.node):
    node.device = ''
    if node.name == fed.split(':')[0]:  # XLA has no form of a placeholder
      graph.node.remove(node)

  @tf.function(jit_compile=True, autograph=False, input_signature=[
      tf.TensorSpec(network.shape, tf.float32)])
  def run(images):
    return tf.graph_util.import_graph_def(
        graph, name='', input_map={fed: images}, return_elements=[
            network.outputs[key] for key in sorted(network.outputs)])
  return run.experimental_get_compiler_ir(
      tf.TensorSpec(network.shape, tf.float32))(stage='hlo_serialized')


def _with_plain_results(text):
  """A module whose results are values, not a tuple of these.

  Args:
    text: text of the module that HLO gives.

  Returns:
    (text of the module, sorted names of its operations).
  """
  with mlir.make_ir_context():
    module = ir.Module.parse(text)
    main, = [one for one in module.body.operations
             if one.attributes['sym_name'].value == 'main']
    end = list(main.entry_block.operations)[-1]
    packed = end.operands[0].owner
    if packed.name == 'stablehlo.tuple':
      values = list(packed.operands)
      with ir.InsertionPoint(end), end.location:
        func.ReturnOp(values)
      end.erase()
      packed.erase()
      main.attributes['function_type'] = ir.TypeAttr.get(ir.FunctionType.get(
          main.type.inputs, [value.type for value in values]))
      if 'res_attrs' in main.attributes:
        del main.attributes['res_attrs']
    return str(module), sorted(_kinds(module.operation))


def _kinds(operation):
  """The names of all operations within one."""
  found = set()
  for region in operation.regions:
    for block in region:
      for one in block:
        found.add(one.operation.name)
        found |= _kinds(one.operation)
  return found


if __name__ == '__main__':
  tf.enable_v2_behavior()  # What is lowered is not part of a graph.
  exporting.converter_main(convert, sys.argv[1:])
