"""Memory, files and threads of this process, and whether they grow."""

import os
import sys
from typing import Dict, List, Optional

try:
  import resource
except ImportError:  # Windows has none.
  resource = None  # type: ignore[assignment]

from utils import control_groups

_WARM_UP = 5  # reports until every buffer is full
# name: (unit, factor and amount of growth that are reported)
_LIMITS = {'memory_gib': ('GiB of memory', 1.5, 1.),
           'open_files': ('open files', 2., 200.),
           'threads': ('threads', 2., 100.)}


def of_process() -> Dict[str, float]:
  """What this process uses at present.

  Returns:
    {'memory_gib', 'threads', 'open_files'}; where there is no /proc, as on
    macOS, only the peak of its memory, and on Windows nothing.
  """
  try:
    with open('/proc/self/status', encoding='utf-8') as f:
      lines = dict(line.split(':', 1) for line in f if ':' in line)
    return {'memory_gib': int(lines['VmRSS'].split()[0]) / 2. ** 20,
            'threads': int(lines['Threads']),
            'open_files': len(os.listdir('/proc/self/fd'))}
  except (OSError, KeyError, ValueError):
    return _most_memory()


def available(root: str = '/') -> Optional[int]:
  """Bytes of memory that this process could still take; None if unknown.

  The least of what the machine has and of what the control groups of the
  process (a container, a unit of systemd) leave. Pages of files, which the
  kernel gives up when memory is wanted, count as available, and so does swap
  space of the machine.

  Args:
    root: the folder of /proc and /sys.
  """
  try:
    with open(os.path.join(root, 'proc/meminfo'), encoding='utf-8') as f:
      found = [sum(int(line.split()[1]) * 1024 for line in f
                   if line.startswith(('MemAvailable:', 'SwapFree:')))]
  except (OSError, ValueError, IndexError):
    return None
  groups = control_groups.folders('memory', root)
  found += [room for room in map(_room_of, groups) if room is not None]
  return max(0, min(found))


def _room_of(folder):
  """Bytes that a control group leaves; None where it has no limit."""
  for limit, used in (('memory.max', 'memory.current'),
                      ('memory.limit_in_bytes', 'memory.usage_in_bytes')):
    try:
      values = [_first_number(os.path.join(folder, name))
                for name in (limit, used)]
      with open(os.path.join(folder, 'memory.stat'), encoding='utf-8') as f:
        stat = dict(line.split() for line in f)
    except (OSError, ValueError):
      continue
    files = sum(int(stat.get('total_' + name, stat.get(name, 0)))
                for name in ('inactive_file', 'active_file'))
    return values[0] - values[1] + files
  return None


def _first_number(path):
  with open(path, encoding='utf-8') as f:
    return int(f.read())  # 'max': no number, no limit.


def _most_memory():
  if resource is None:
    return {}
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  # Linux counts KiB, macOS bytes.
  return {'memory_gib': peak * (1 if sys.platform == 'darwin' else 1024)
                        / 2. ** 30}


def text() -> str:
  """', memory 1.9 GiB', for lines of progress; '' if unknown."""
  used = of_process()
  return ', memory %.2g GiB' % used['memory_gib'] if used else ''


class Growth:
  """Notices figures that grow from report to report."""

  def __init__(self) -> None:
    self._reports = 0
    self._base: Optional[Dict[str, float]] = None

  def complaints(self, usage: Dict[str, float]) -> List[str]:
    """Sentences about figures that have grown since the first reports.

    Args:
      usage: result of `of_process`.

    Returns:
      [str]; a figure is reported again once it has grown by as much again.
    """
    self._reports += 1
    if self._reports <= _WARM_UP or not usage:
      return []
    if self._base is None:
      self._base = dict(usage)
    found = []
    for name in usage:
      words, factor, amount = _LIMITS[name]
      before, now = self._base[name], usage[name]
      if now > max(before * factor, before + amount):
        found.append(
            'This process grows: %.4g %s, %.4g before. If this continues, the '
            'system will kill it; a restart resumes from the last checkpoint.'
            % (now, words, before))
        self._base[name] = now
    return found
