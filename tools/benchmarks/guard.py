"""Compares the speed of this code with that of a commit, or with a record.

  make bench BASE=main
  python -m tools.benchmarks.guard --base=HEAD~3 --only=train --rounds=5
  make bench
  python -m tools.benchmarks.guard --record

Runs a few of the other benchmarks, each between two runs of a fixed piece of
work that has nothing to do with this code, and divides: such ratios are alike
on one machine, whatever else it does. What takes a tenth more or less is told;
the exit status is 1 only with --strict.

With --base, the code of that commit runs in turns with this one, by the same
interpreter: a difference then comes from the code. Without it, the record of
this runtime is compared, and what it shows may be the machine: processors of
one name had figures from -13 to +93 % of each other for the same code.
"""

import argparse
import contextlib
import datetime
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import types
from typing import (
  Any,
  Dict,
  Iterator,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
)

from tools.common import numbers
from utils import files

RECORD = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                      'recorded_speed.json')
_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_THIS = 'this code'  # which no commit can be called
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
  """One figure beside an earlier one.

  Attributes:
    name: 'benchmark/case'.
    ratio: CPU seconds in units of the fixed work.
    before: the same, of the commit or the record; None where there is none.
  """
  name: str
  ratio: float
  before: Optional[float]

  @property
  def share(self) -> float:
    """By how much more time it takes, as a share; 0 without an earlier one."""
    return self.ratio / self.before - 1. if self.before else 0.


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
            folders: Mapping[str, str] = types.MappingProxyType({'': _ROOT}),
            show: Any = print) -> Dict[str, Dict[str, float]]:
  """Runs benchmarks in turns.

  Args:
    names: of BENCHMARKS.
    rounds: how often each.
    folders: {what to call it: folder of the code}, which run in turns.
    show: function of a line, for progress.

  Returns:
    {what it is called: {'benchmark/case': median of CPU seconds in units of
    `fixed_work`}}.

  Raises:
    RuntimeError: with the last lines of a benchmark that failed.
  """
  ratios: Dict[str, Dict[str, List[float]]] = {called: {} for called in folders}
  for turn, name, called in itertools.product(range(rounds), names, folders):
    before = fixed_work()
    seconds = _run(BENCHMARKS[name], folders[called])
    unit = (before + fixed_work()) / 2.
    show('round %d of %d: %s%s (unit: %.3f CPU s)' % (
        turn + 1, rounds, name, called and ' of ' + called, unit))
    for case, cpu in seconds.items():
      ratios[called].setdefault('%s/%s' % (name, case), []).append(cpu / unit)
  return {called: {name: statistics.median(values)
                   for name, values in found.items()}
          for called, found in ratios.items()}


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[str]:
  """A folder with the code of a commit, for as long as the context lasts.

  Args:
    commit: whatever git takes for one.

  Yields:
    Path of a temporary folder.

  Raises:
    RuntimeError: with git's own words.
  """
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'base.tar')
    done = subprocess.run(
        ['git', 'archive', '--output=' + path, commit], cwd=_ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
      raise RuntimeError('git cannot give the code of %s: %s' % (
          commit, done.stdout.decode('utf-8', 'replace').strip()))
    with tarfile.open(path) as archive:
      archive.extractall(os.path.join(folder, 'code'))  # git's own
    yield os.path.join(folder, 'code')


def _run(command, root):
  """{case: CPU seconds} of a benchmark in a process of its own."""
  with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, 'figures.json')
    content = written_by(
        ['-m', 'tools.benchmarks.' + command[0], *command[1:],
         '--json=' + path], root, path,
        'python -m tools.benchmarks.%s' % ' '.join(command))
  return {case: figures['cpu']
          for case, figures in content.get('seconds', content).items()}


def written_by(arguments: Sequence[str], root: str, path: str,
               what: str) -> Any:
  """The JSON content that a Python process writes to a file.

  Args:
    arguments: of Python.
    root: folder of the code, where it runs.
    path: the file that the arguments tell it to write.
    what: str, the process, for an error.

  Raises:
    RuntimeError: with the last lines of a process that failed.
  """
  done = subprocess.run([sys.executable, *arguments], cwd=root,
                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  if done.returncode:
    raise RuntimeError('%s ended with %d:\n%s' % (
        what, done.returncode, done.stdout.decode('utf-8', 'replace')[-2000:]))
  with open(path, encoding='utf-8') as f:
    return json.load(f)


def compare(ratios: Mapping[str, float],
            before: Mapping[str, float]) -> List[Change]:
  """Each figure beside an earlier one, in the order of `ratios`."""
  return [Change(name, ratio, before.get(name))
          for name, ratio in ratios.items()]


def lines(changes: Sequence[Change], called: str = 'recorded') -> List[str]:
  """A table, and a sentence about what is slower or faster.

  Args:
    changes: results of `compare`.
    called: what to call the earlier figures.

  Returns:
    Lines.
  """
  width = max(len(change.name) for change in changes)
  column = max(9, len(called))
  rows = ['%-*s %9s %*s %8s' % (width, 'figure', 'now', column, called,
                                'change')]
  for change in changes:
    before, by = '-', '-'
    if change.before is not None:
      before = '%.4f' % change.before
      by = '%+.0f %%' % (100 * change.share)
    rows.append('%-*s %9.4f %*s %8s' % (width, change.name, change.ratio,
                                        column, before, by))
  for word, found in (('Slower', slower(changes)), ('Faster', faster(changes))):
    if found:
      rows.append('%s than %s by over %.0f %%: %s.' % (
          word, called, 100 * _LIMIT, ', '.join(found)))
  return rows


def slower(changes: Sequence[Change]) -> List[str]:
  """Names of the figures that take too much longer than before."""
  return [c.name for c in changes if c.share > _LIMIT]


def faster(changes: Sequence[Change]) -> List[str]:
  """Names of the figures that take that much less than before."""
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
  add('--base', metavar='COMMIT',
      help='compares with the code of a commit, which runs in turns with this')
  add('--record', action='store_true',
      help='replaces the recorded figures by those of this call')
  add('--strict', action='store_true',
      help='ends with exit status 1 if something is slower')
  add('--file', default=RECORD, help='of the record (default: %(default)s)')
  values = parser.parse_args(argv)
  if values.base and values.record:
    parser.error('--record keeps the figures of this code, --base compares '
                 'them with those of a commit: give one of the two.')
  return values


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  values = parse_arguments(argv)
  try:
    if values.base:
      return _compare_with_commit(values)
    return _compare_with_record(values)
  except RuntimeError as e:
    print('Error: %s' % e, file=sys.stderr)
    return 1


def _compare_with_commit(values):
  """Runs both in turns; returns the exit code."""
  with checked_out(values.base) as folder:
    found = measure(values.only or list(BENCHMARKS), values.rounds,
                    {values.base: folder, _THIS: _ROOT})
  changes = compare(found[_THIS], found[values.base])
  print('\n'.join(lines(changes, values.base)))
  return int(values.strict and bool(slower(changes)))


def _compare_with_record(values):
  """Runs the code; returns the exit code."""
  from ops import compat
  runtime = 'tf2' if compat.IS_TF2 else 'tf1'
  record = read_record(values.file, runtime)
  ratios = measure(values.only or list(BENCHMARKS), values.rounds)['']
  changes = compare(ratios, record.get('ratios', {}))
  print('\n'.join(lines(changes)))
  if values.record:
    write_record(values.file, runtime, ratios)
    return 0
  if not record:
    print('Nothing is recorded for this runtime in %s: --record does it, on a '
          'machine with nothing else to do.' % values.file)
  else:
    print('Recorded on %s, %s; this is %s. Between two machines a difference '
          'need not come from the code: --base=COMMIT tells.'
          % (record['date'], record['processor'], processor()))
  return int(values.strict and bool(slower(changes)))


if __name__ == '__main__':
  sys.exit(main())
