"""Converts a network to OpenVINO by way of ONNX.

  python -m serving.targets.convert_openvino NETWORK FOLDER
"""

import os
import sys
from typing import Any, Dict

import openvino

from serving.targets import convert_onnx
from serving.targets import exporting
from serving.targets import network_graph

FILE = 'model.xml'  # beside model.bin


def convert(network: network_graph.Network, request: Dict[str, Any],
            folder: str, work: str) -> Dict[str, Any]:
  """Writes model.xml and model.bin; see exporting.converter_main."""
  convert_onnx.convert(network, request, work, work)
  model = openvino.convert_model(os.path.join(work, convert_onnx.FILE))
  openvino.save_model(model, os.path.join(folder, FILE),
                      compress_to_fp16=False)
  return {'operations': sorted({one.get_type_name()
                                for one in model.get_ops()}),
          'openvino': openvino.__version__,
          'bytes': sum(os.path.getsize(os.path.join(folder, name))
                       for name in os.listdir(folder))}


if __name__ == '__main__':
  exporting.converter_main(convert, sys.argv[1:])
