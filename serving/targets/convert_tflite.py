"""Converts a network to TFLite, in a process of its own.

  python -m serving.targets.convert_tflite NETWORK FOLDER
"""

import os
import pickle
import sys
from typing import Any, Dict

import tensorflow.compat.v1 as tf

from ops import compat
from serving.targets import exporting
from serving.targets import network_graph
from serving.targets import run_tflite
from utils import fields


def convert(network: network_graph.Network, request: Dict[str, Any],
            folder: str, work: str) -> Dict[str, Any]:
  """Writes model.tflite; see exporting.converter_main.

  Built-in operations where that is possible, else those of TensorFlow beside
  them (the "select" operations, which need a larger library on the device).

  Raises:
    ConversionError: where this TensorFlow has no form of the network, or one
      that answers otherwise.
  """
  del work
  compat.enable_graph_mode()
  if network.graph.library.function:
    _check_loops(request)
  kept = _decoding(network) if request['quantization'] == 'int8' else []
  if kept and not compat.HAS_TFLITE_EXCEPTIONS:
    raise exporting.ConversionError(
        'The converter of TensorFlow %s rounds the coordinates of boxes to 8 '
        "bits as well: convert with 2.15 ('make setup RUNTIME=tf2')." % (
            compat.VERSION))
  try:
    content, select = _content(network, request, kept, False), False
  except Exception as e:  # pylint: disable=broad-except
    # Failures of the converter have many types.
    print('Without select operations: %s' % e)
    content, select = _content(network, request, kept, True), True
  path = os.path.join(folder, run_tflite.FILE)
  with open(path, 'wb') as f:
    f.write(content)
  return dict(_ends(path, network), quantization=request['quantization'],
              may_select=select, tensorflow=compat.VERSION, bytes=len(content))


def _check_loops(request):
  """Raises where a converter has no form of loops, before it ends abruptly."""
  without = ('with --params_override=postprocess.apply_nms=false the '
             'non-maximum suppression of a one-stage model is left out.')
  if not compat.HAS_TFLITE_LOOPS:
    raise exporting.ConversionError(
        'The converter of TensorFlow %s does not support loops: convert with '
        "2.15 ('make setup RUNTIME=tf2'), or %s" % (compat.VERSION, without))
  if request['quantization'] == 'int8':
    raise exporting.ConversionError(
        'int8 cannot learn the ranges of activations inside loops: use '
        'dynamic_range, or %s' % without)


def _content(network, request, kept, select):
  """bytes of the file; `kept`: [name] of operations that stay in float32."""
  with tf.Graph().as_default() as graph, tf.Session(graph=graph) as session:
    tf.import_graph_def(network.graph, name='')
    converter = tf.lite.TFLiteConverter.from_session(session, *[
        [graph.get_tensor_by_name(name) for name in ends.values()]
        for ends in (network.inputs, network.outputs)])
    _set_options(converter, request, select)
    if kept:
      return compat.quantized_except(converter, kept)
    return converter.convert()


def _decoding(network):
  """[name] of the operations that decode the boxes of a dense head.

  They stay in float32: of 256 coordinates, the boxes of the network have one
  pixel of precision at best, and those of objects of ten pixels are lost.
  """
  ends = [network.outputs.get(key) for key in (fields.RAW_BOXES,
                                               fields.RAW_ENCODED_BOXES)]
  if not all(ends):
    return []
  inputs = {node.name: [of.split(':')[0].lstrip('^') for of in node.input]
            for node in network.graph.node}
  boxes, encoded = (_ancestors(inputs, name) for name in ends)
  return sorted(boxes - encoded)


def _ancestors(inputs, name):
  """{name} of the operations that a tensor is computed by."""
  found, left = set(), [name.split(':')[0]]
  while left:
    operation = left.pop()
    if operation not in found:
      found.add(operation)
      left += inputs[operation]
  return found


def _set_options(converter, request, select):
  quantization = request['quantization']
  sets = [tf.lite.OpsSet.TFLITE_BUILTINS]
  if quantization == 'int8':
    # What has no form in int8 stays in float32.
    sets.insert(0, tf.lite.OpsSet.TFLITE_BUILTINS_INT8)
    converter.representative_dataset = _representative(
        request['representative'], converter)
  if select:
    sets.append(tf.lite.OpsSet.SELECT_TF_OPS)
  converter.target_spec.supported_ops = sets
  if quantization != 'float32':
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
  if quantization == 'float16':
    converter.target_spec.supported_types = [tf.float16]


def _representative(path, converter):
  """A function that yields batches of prepared images."""
  with open(path, 'rb') as f:
    images = pickle.load(f)
  batch_size = converter._input_tensors[0].shape.as_list()[0]  # pylint: disable=protected-access

  def batches():
    for image in images:
      yield [image[None].repeat(batch_size, axis=0)]
  return batches


def _ends(path, network):
  """Names of what goes in and comes out, and the operations between."""
  interpreter = tf.lite.Interpreter(path)
  interpreter.allocate_tensors()
  details = interpreter.get_output_details()
  found = [info['name'].split(':')[0] for info in details]
  wanted = {key: name.split(':')[0] for key, name in network.outputs.items()}
  if set(wanted.values()) != set(found):
    # Renamed on the way; the order is the one that was asked for.
    wanted = dict(zip(network.outputs, found))
  operations = _operations(interpreter)
  return {'input': interpreter.get_input_details()[0]['name'],
          'outputs': wanted, 'operations': operations,
          'select_operations': [name for name in operations or []
                                if name.startswith('Flex')]}


def _operations(interpreter):
  """[name] of the kinds of operations; None where TF 1.15 cannot tell."""
  if not hasattr(interpreter, '_get_ops_details'):
    return None
  return sorted({one['op_name'] for one in interpreter._get_ops_details()  # pylint: disable=protected-access
                 if one['op_name'] != 'DELEGATE'})


if __name__ == '__main__':
  exporting.converter_main(convert, sys.argv[1:])
