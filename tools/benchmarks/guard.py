"""Compares the speed of this code with the speed that was recorded.

  make bench
  python -m tools.benchmarks.guard --only=train --rounds=5
  python -m tools.benchmarks.guard --record

Runs a few of the other benchmarks, each between two runs of a fixed piece of
work that has nothing to do with this code, and divides: such ratios are alike
on machines of one kind, whatever else they do. What takes a tenth more or less
than recorded for this runtime is told; the exit status is 1 only with --strict.
The record also says on which processor it was made: on another one, a ratio may
differ for no reason that lies in the code.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from tools.common import numbers
from utils import files

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      'recorded_speed.json')
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_LIMIT = .1  # share of the time by which a figure may differ

# {name: module of tools.benchmarks and its arguments}. --json is added.
BENCHMARKS: Mapping[str, Sequence[str]] = {
    'ops': ['ops', '--repeats=10', '--cases=' + ','.join([
        'image_resize_640', 'anchor_labels_640', 'class_loss_640',
        'box_loss_640', 'retinanet_detections_v1', 'sorted_nms_2000',
        'roi_align_7_train512', 'roi_proposal_train', 'crop_mask_28'])],
    'train': ['step', '--job=train', '--repeats=5'],
    'predict': ['step', '--job=predict', '--repeats=10'],
    'input': ['input_pipeline', '--jobs=retinanet', '--jobs=mask_rcnn',
              '--stages=pipeline', '--images=120'],
    'evaluation': ['evaluation', '--images=500', '--plain_limit=0'],
}


class Change(NamedTuple):
  """One figure beside the recorded one.

  Attributes:
    name: 'benchmark/case'.
    ratio: CPU seconds in units of the fixed work.
    recorded: the same, recorded; None where there is none.
  """
  name: str
  ratio: float
  recorded: Optional[float]

  @property
  def share(self) -> float:
    """By how much more time it takes, as a share; 0 without a record."""
    return self.ratio / self.recorded - 1. if self.recorded else 0.


def fixed_work() -> float:
  """CPU seconds of work that no change of this code changes.

  Products of matrices, as in a network, and passes through memory, as around
  it, both by NumPy alone.
  """
  import numpy as np
  random = np.random.RandomState(0)
  matrix = random.uniform(size=[1024, 1024]).astype(np.float32)
  line = random.uniform(size=[1 << 22]).astype(np.float32)
  start = time.process_time()
  for _ in range(6):
    matrix = matrix @ matrix
    matrix /= np.abs(matrix).max()
    np.sort(line[:1 << 19])
    line = line[::-1] + np.float32(1.)
  return time.process_time() - start


def measure(names: Sequence[str], rounds: int,
            show: Any = print) -> Dict[str, float]:
  """Runs benchmarks in turns.

  Args:
    names: of BENCHMARKS.
    rounds: how often each.
    show: function of a line, for progress.

  Returns:
    {'benchmark/case': median of CPU seconds in units of `fixed_work`}.

  Raises:
    RuntimeError: with the last lines of a benchmark that failed.
  """
  ratios: Dict[str, List[float]] = {}
  for turn in range(rounds):
    for name in names:
      before = fixed_work()
      seconds = _run(BENCHMARKS[name])
      unit = (before + fixed_work()) / 2.
      show('round %d of %d: %s (unit: %.3f CPU s)' % (turn + 1, rounds, name,
                                                      unit))
      for case, cpu in seconds.items():
        ratios.setdefault('%s/%s' % (name, case), []).append(cpu / unit)
  return {name: statistics.median(values) for name, values in ratios.items()}


def _run(command):
  """{case: CPU seconds} of a benchmark in a process of its own."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'figures.json')
    done = subprocess.run(
        [sys.executable, '-m', 'tools.benchmarks.' + command[0]] +
        list(command[1:]) + ['--json=' + path], cwd=_ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
      raise RuntimeError('python -m tools.benchmarks.%s ended with %d:\n%s' % (
          ' '.join(command), done.returncode,
          done.stdout.decode('utf-8', 'replace')[-2000:]))
    with open(path, encoding='utf-8') as f:
      content = json.load(f)
  return {case: figures['cpu']
          for case, figures in content.get('seconds', content).items()}


def compare(ratios: Mapping[str, float],
            recorded: Mapping[str, float]) -> List[Change]:
  """Each figure beside the recorded one, in the order of `ratios`."""
  return [Change(name, ratio, recorded.get(name))
          for name, ratio in ratios.items()]


def lines(changes: Sequence[Change]) -> List[str]:
  """A table, and a sentence about what is slower or faster than recorded."""
  width = max(len(change.name) for change in changes)
  rows = ['%-*s %9s %9s %8s' % (width, 'figure', 'now', 'recorded', 'change')]
  for change in changes:
    recorded, by = '-', '-'
    if change.recorded is not None:
      recorded = '%.4f' % change.recorded
      by = '%+.0f %%' % (100 * change.share)
    rows.append('%-*s %9.4f %9s %8s' % (width, change.name, change.ratio,
                                        recorded, by))
  for word, found in (('Slower', slower(changes)), ('Faster', faster(changes))):
    if found:
      rows.append('%s than recorded by over %.0f %%: %s.' % (
          word, 100 * _LIMIT, ', '.join(found)))
  return rows


def slower(changes: Sequence[Change]) -> List[str]:
  """Names of the figures that take too much longer than recorded."""
  return [c.name for c in changes if c.share > _LIMIT]


def faster(changes: Sequence[Change]) -> List[str]:
  """Names of the figures that take that much less than recorded."""
  return [c.name for c in changes if c.share < -_LIMIT]


def processor() -> str:
  """What /proc says of the processor, or else Python."""
  try:
    with open('/proc/cpuinfo', encoding='utf-8') as f:
      for line in f:
        if line.startswith('model name'):
          return line.split(':', 1)[1].strip()
  except OSError:
    pass
  return platform.processor() or platform.machine()


def read_record(path: str, runtime: str) -> Dict[str, Any]:
  """The record of a runtime: {'processor', 'date', 'ratios'}; {} without."""
  if not os.path.exists(path):
    return {}
  with open(path, encoding='utf-8') as f:
    return json.load(f).get(runtime, {})


def write_record(path: str, runtime: str, ratios: Mapping[str, float]) -> None:
  """Replaces the figures of a runtime that were measured, and keeps others."""
  content = {}
  if os.path.exists(path):
    with open(path, encoding='utf-8') as f:
      content = json.load(f)
  known = content.get(runtime, {}).get('ratios', {})
  known.update({name: round(ratio, 5) for name, ratio in ratios.items()})
  content[runtime] = {'processor': processor(),
                      'date': datetime.date.today().isoformat(),
                      'ratios': known}
  files.write_atomically(path, json.dumps(content, indent=1, sort_keys=True)
                         + '\n')


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.benchmarks.guard', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  add = parser.add_argument
  add('--only', action='append', choices=sorted(BENCHMARKS),
      help='one of the benchmarks; may be repeated (default: all)')
  add('--rounds', type=numbers.whole(), default=3,
      help='how often each runs (default: %(default)s)')
  add('--record', action='store_true',
      help='replaces the recorded figures by those of this call')
  add('--strict', action='store_true',
      help='ends with exit status 1 if something is slower than recorded')
  add('--file', default=RECORD, help='of the record (default: %(default)s)')
  return parser.parse_args(argv)


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  values = parse_arguments(argv)
  from ops import compat
  runtime = 'tf2' if compat.IS_TF2 else 'tf1'
  record = read_record(values.file, runtime)
  try:
    ratios = measure(values.only or list(BENCHMARKS), values.rounds)
  except RuntimeError as e:
    print('Error: %s' % e, file=sys.stderr)
    return 1
  changes = compare(ratios, record.get('ratios', {}))
  print('\n'.join(lines(changes)))
  if values.record:
    write_record(values.file, runtime, ratios)
    return 0
  if not record:
    print('Nothing is recorded for this runtime in %s: --record does it, on a '
          'machine with nothing else to do.' % values.file)
  elif record['processor'] != processor():
    print('Recorded on another processor (%s; this is %s): a difference need '
          'not come from the code.' % (record['processor'], processor()))
  return int(values.strict and bool(slower(changes)))


if __name__ == '__main__':
  sys.exit(main())
