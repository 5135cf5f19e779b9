"""Converts a network to ONNX, in the environment of the converters.

  python -m serving.targets.convert_onnx NETWORK FOLDER
"""

import collections
import os
import sys

import tf2onnx

from ops import compat
from serving.targets import exporting

FILE = 'model.onnx'
# What tf2onnx 1.16.1 writes in full, and onnxruntime, TensorRT 10 and OpenVINO
# read.
OPSET = 17


def convert(network, request, folder, work):
  """Writes model.onnx; see exporting.converter_main."""
  del request, work
  compat.enable_graph_mode()
  tensor, = network.inputs.values()
  name = tensor.split(':')[0]
  outputs = list(network.outputs.values())
  model, _ = tf2onnx.convert.from_graph_def(
      network.graph, input_names=[tensor], output_names=outputs, opset=OPSET)
  _rename(model.graph, dict(
      [(tensor, name)] + [(one, one.split(':')[0]) for one in outputs]))
  path = os.path.join(folder, FILE)
  with open(path, 'wb') as f:
    f.write(model.SerializeToString())
  counts = collections.Counter(_operations(model.graph))
  return {'opset': OPSET, 'operations': sorted(counts),
          'tf2onnx': tf2onnx.__version__, 'bytes': os.path.getsize(path)}


def _rename(graph, names):
  """Takes the colons out of names: other programs cannot have them."""
  for node in graph.node:
    for places in (node.input, node.output):
      for i, name in enumerate(places):
        places[i] = names.get(name, name)
    for attribute in node.attribute:
      if attribute.HasField('g'):
        _rename(attribute.g, names)
  for value in list(graph.input) + list(graph.output):
    value.name = names.get(value.name, value.name)


def _operations(graph):
  """Yields the kinds of all operations, those inside of loops too."""
  for node in graph.node:
    yield node.op_type
    for attribute in node.attribute:
      if attribute.HasField('g'):
        yield from _operations(attribute.g)


if __name__ == '__main__':
  exporting.converter_main(convert, sys.argv[1:])
