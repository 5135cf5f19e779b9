"""Exports a checkpoint for OpenVINO, and checks that both agree.

  python -m tools.export_openvino --model_dir=/tmp/run --export_dir=/tmp/vino

--export_dir gets model.xml, model.bin and model.json. 'make export-env'
installs OpenVINO, which runs them for the check.
"""

import sys
from typing import Optional, Sequence

from tools.common import target_export


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  return target_export.plain_command('openvino', __doc__, argv)


if __name__ == '__main__':
  sys.exit(main())
