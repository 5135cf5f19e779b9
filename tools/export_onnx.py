"""Exports a checkpoint as ONNX, and checks that both agree.

  python -m tools.export_onnx --model_dir=/tmp/run --export_dir=/tmp/onnx

--export_dir gets model.onnx and model.json. 'make export-env' installs the
converter, tf2onnx, and onnxruntime, which runs the file for the check.
"""

import sys
from typing import Optional, Sequence

from tools.common import target_export


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  return target_export.plain_command('onnx', __doc__, argv)


if __name__ == '__main__':
  sys.exit(main())
