"""Control groups of Linux: what a container or a pod may use."""

import os
from typing import List


def folders(controller: str, root: str = '/') -> List[str]:
  """Folders that hold the limits of this process, of both versions.

  Each group limits all below it, so there may be several, and the least limit
  counts.

  Args:
    controller: 'memory' or 'cpu'.
    root: the folder of /proc and /sys.

  Returns:
    Paths, which need not exist; none where there are no control groups.
  """
  try:
    with open(os.path.join(root, 'proc/self/cgroup'), encoding='utf-8') as f:
      lines = [line.rstrip('\n').split(':', 2) for line in f]
  except OSError:
    return []
  found: List[str] = []
  for _, controllers, path in (line for line in lines if len(line) == 3):
    if controllers and controller not in controllers.split(','):
      continue
    base = os.path.join(root, 'sys/fs/cgroup', controllers and controller)
    parts = [part for part in path.split('/') if part not in ('', '..')]
    # A container may see its own group as the root.
    found += [os.path.join(base, *parts[:n]) for n in range(len(parts) + 1)]
  return found
