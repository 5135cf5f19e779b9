"""Exports a checkpoint for TensorRT: an ONNX file, and how to build the engine.

  python -m tools.export_tensorrt --model_dir=/tmp/run --export_dir=/tmp/trt \\
      --precision=fp16

An engine only runs on the kind of GPU it was built on, so it is built there:
--export_dir gets model.onnx, model.json and build_engine.sh with the command
for trtexec, which is also printed. The check runs the ONNX file with
onnxruntime. 'make export-env' installs what that needs.
"""

import argparse
import functools
import sys
from typing import Optional, Sequence

from tools.common import numbers
from tools.common import target_export

_PRECISIONS = ('best', 'fp16', 'fp32', 'tf32')


def parse_arguments(
    argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = target_export.parser('export_tensorrt', __doc__, batch_size=-1)
  add = parser.add_argument
  add('--precision', choices=_PRECISIONS, default='fp16', help='that the '
      'engine may compute in (default: %(default)s)')
  add('--max_batch_size', type=numbers.whole(), default=8,
      help='images of a call of an '
      'engine, with --batch_size=-1 (default: %(default)s)')
  return parser.parse_args(argv)


def run(values: argparse.Namespace) -> None:
  """Exports, checks, and prints the line."""
  from serving.targets import kinds
  described = target_export.write(
      values, functools.partial(kinds.write, 'tensorrt'), request={
          'precision': values.precision,
          'max_batch_size': values.max_batch_size})
  print('On the machine with the GPU, in that folder:\n%s'
        % described['conversion']['trtexec'])


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  return target_export.main(run, parse_arguments(argv))


if __name__ == '__main__':
  sys.exit(main())
