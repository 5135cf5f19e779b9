"""How many processor cores this process may use, and what they can do.

`os.cpu_count()` counts those of the machine. A container, a pod or a job of
Slurm often has a few of many, and as many threads as the machine has cores get
in each other's way there.
"""

import math
import os
from typing import Optional

from utils import control_groups


def available(root: str = '/') -> int:
  """Cores that this process may use, 1 or more.

  The least of what the machine has, what the process is bound to (`taskset`,
  `docker --cpuset-cpus`, Slurm) and the time that its control groups get
  (`docker --cpus`, a limit of Kubernetes), rounded up.

  Args:
    root: the folder of /proc and /sys.
  """
  quota = _quota(root)
  return _bound() if quota is None else max(1, min(_bound(), math.ceil(quota)))


def threads(root: str = '/') -> int:
  """Threads for TensorFlow's kernels; 0 where its own choice is right.

  TensorFlow knows which cores it is bound to, and not how much time it gets.

  Args:
    root: the folder of /proc and /sys.
  """
  cores = available(root)
  return cores if cores < _bound() else 0


def has_bfloat16_products(root: str = '/') -> bool:
  """Whether the processor has matrix units for bfloat16 (Intel's AMX).

  Args:
    root: the folder of /proc.
  """
  try:
    with open(os.path.join(root, 'proc/cpuinfo'), encoding='utf-8') as f:
      flags = [line for line in f if line.startswith('flags')]
  except OSError:  # macOS and Windows have no such file, nor the units.
    return False
  return bool(flags) and all('amx_bf16' in line.split() for line in flags)


def _bound():
  """Cores of the machine that the process is bound to."""
  try:
    return len(os.sched_getaffinity(0))
  except AttributeError:  # macOS and Windows have no such call.
    return os.cpu_count() or 1


def _quota(root: str) -> Optional[float]:
  """Cores' worth of time that the control groups leave; None: no limit."""
  shares = [share for share in map(_share, control_groups.folders('cpu', root))
            if share is not None]
  return min(shares) if shares else None


def _share(folder):
  """Seconds of processor time a second; None where a group has no limit."""
  try:
    limit, period = _words(folder, 'cpu.max')
  except (OSError, ValueError):
    try:
      (limit,), (period,) = (_words(folder, 'cpu.cfs_quota_us'),
                             _words(folder, 'cpu.cfs_period_us'))
    except (OSError, ValueError):
      return None
  # Without a limit there is 'max' or -1.
  if not (limit.isdigit() and period.isdigit() and int(limit) and int(period)):
    return None
  return int(limit) / int(period)


def _words(folder, name):
  with open(os.path.join(folder, name), encoding='utf-8') as f:
    return f.read().split()
