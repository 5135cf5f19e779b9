"""Exports a checkpoint as a StableHLO program, and checks that both agree.

  python -m tools.export_stablehlo --model_dir=/tmp/run --export_dir=/tmp/hlo

--export_dir gets model.stablehlo, a program of XLA with its weights, for
accelerators without TensorFlow, and model.json. 'make export-env' installs
jaxlib, which writes it and runs it on the CPU for the check.
"""

import sys
from typing import Optional, Sequence

from tools.common import target_export


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  return target_export.plain_command('stablehlo', __doc__, argv, batch_size=1)


if __name__ == '__main__':
  sys.exit(main())
