"""What this process uses of the machine, and whether that grows."""

import os
from typing import Dict, List, Optional

_WARM_UP = 5  # reports until every buffer is full
# name: (what it is called, factor and amount of growth that is told)
_TOLD = {'memory_gib': ('GiB of memory', 1.5, 1.),
         'open_files': ('open files', 2., 200.),
         'threads': ('threads', 2., 100.)}


def of_process() -> Dict[str, float]:
  """{'memory_gib', 'threads', 'open_files'}; empty where nobody knows."""
  try:
    with open('/proc/self/status', encoding='utf-8') as f:
      lines = dict(line.split(':', 1) for line in f if ':' in line)
    return {'memory_gib': int(lines['VmRSS'].split()[0]) / 2. ** 20,
            'threads': int(lines['Threads']),
            'open_files': len(os.listdir('/proc/self/fd'))}
  except (OSError, KeyError, ValueError):
    return {}


class Growth:
  """Notices what grows from report to report."""

  def __init__(self) -> None:
    self._reports = 0
    self._base: Optional[Dict[str, float]] = None

  def complaints(self, usage: Dict[str, float]) -> List[str]:
    """Sentences about what has grown since the first reports.

    Args:
      usage: of `of_process`.

    Returns:
      [str]; each again only when it has grown as much once more.
    """
    self._reports += 1
    if self._reports <= _WARM_UP or not usage:
      return []
    if self._base is None:
      self._base = dict(usage)
    found = []
    for name, (words, factor, amount) in _TOLD.items():
      before, now = self._base[name], usage[name]
      if now > max(before * factor, before + amount):
        found.append(
            'This process grows: %.4g %s, %.4g before. If that goes on, the '
            'machine will end it; a restart goes on from the last checkpoint.'
            % (now, words, before))
        self._base[name] = now
    return found
