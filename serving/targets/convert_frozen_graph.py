"""Writes a network as frozen_graph.pb.

  python -m serving.targets.convert_frozen_graph NETWORK FOLDER
"""

import os
import sys

from ops import compat
from serving.targets import exporting
from serving.targets import graph_files
from serving.targets import run_frozen_graph


def convert(network, request, folder, work):
  """Writes frozen_graph.pb; see exporting.converter_main."""
  del request, work
  path = os.path.join(folder, run_frozen_graph.FILE)
  with open(path, 'wb') as f:
    f.write(network.graph.SerializeToString())
  kinds = {node.op for _, node in graph_files.operations(network.graph)}
  return {'operations': sorted(kinds), 'tensorflow': compat.VERSION,
          'bytes': os.path.getsize(path)}


if __name__ == '__main__':
  exporting.converter_main(convert, sys.argv[1:])
