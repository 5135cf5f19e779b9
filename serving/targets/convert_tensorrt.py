"""Writes an ONNX file, and how TensorRT makes an engine of it.

  python -m serving.targets.convert_tensorrt NETWORK FOLDER
"""

import os
import shlex
import sys
from typing import Any, Dict, List, Mapping, Optional, Sequence

from serving.targets import convert_onnx
from serving.targets import exporting
from serving.targets import network_graph

SCRIPT = 'build_engine.sh'
ENGINE = 'model.plan'
_FLAGS = {'fp32': ['--noTF32'], 'tf32': [], 'fp16': ['--fp16'],
          'best': ['--best']}
PRECISIONS = tuple(sorted(_FLAGS))


def convert(network: network_graph.Network, request: Mapping[str, Any],
            folder: str, work: str) -> Dict[str, Any]:
  """Writes model.onnx and the script; see exporting.converter_main."""
  details = convert_onnx.convert(network, request, folder, work)
  (tensor,) = network.inputs.values()
  command = ' '.join(map(shlex.quote, trtexec(
      tensor.split(':')[0], network.shape, request.get('precision', 'fp16'),
      request.get('max_batch_size', 8))))
  path = os.path.join(folder, SCRIPT)
  with open(path, 'w') as f:
    f.write('#!/bin/sh\n# On the machine with the GPU that is to run it, with '
            'TensorRT 10.\ncd "$(dirname "$0")" || exit\n%s\n' % command)
  os.chmod(path, 0o755)
  return dict(details, trtexec=command)


def trtexec(name: str, shape: Sequence[Optional[int]], precision: str,
            max_batch_size: int) -> List[str]:
  """The command that makes the engine.

  Args:
    name: name of the input.
    shape: [int or None], shape of the input.
    precision: one of PRECISIONS; TF32 has 10 bits of fraction.
    max_batch_size: int, for an engine that takes any number of images.

  Returns:
    [str].
  """
  command = ['trtexec', '--onnx=' + convert_onnx.FILE, '--saveEngine=' + ENGINE]
  if shape[0] is None:
    sides = 'x'.join(str(side) for side in shape[1:])
    for which, count in (('min', 1), ('opt', max_batch_size),
                         ('max', max_batch_size)):
      command.append('--%sShapes=%s:%dx%s' % (which, name, count, sides))
  return command + _FLAGS[precision]


if __name__ == '__main__':
  exporting.converter_main(convert, sys.argv[1:])
