"""Exports a checkpoint as a frozen graph, and checks that both agree.

  python -m tools.export_frozen_graph --model_dir=/tmp/run \\
      --export_dir=/tmp/frozen

--export_dir gets frozen_graph.pb, a GraphDef whose variables are constants, and
model.json, which names its tensors.
"""

import sys
from typing import Optional, Sequence

from tools.common import target_export


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  return target_export.plain_command('frozen_graph', __doc__, argv)


if __name__ == '__main__':
  sys.exit(main())
