"""Times the start of a training run: imports, graph, session, first steps.

  python -m tools.benchmarks.start --model=retinanet
  python -m tools.benchmarks.start --base=HEAD~1 --json=out.json

Each run is a process of its own that trains two steps on made-up images, as
`main.py` does. With --base, the code of that commit takes turns with this one.
Prints the medians of CPU and wall seconds; see docs/benchmarks.md.
"""

import contextlib
import inspect
import json
import os
import statistics
import tempfile
from typing import Any, Dict, Mapping, Sequence

from absl import app
from absl import flags

from tools.benchmarks import guard
from tools.benchmarks import start_phases
from utils import files

FLAGS = flags.FLAGS
flags.DEFINE_string('model', 'retinanet', 'Name of the model.')
flags.DEFINE_string('config_file', '', 'YAML file over the defaults.')
flags.DEFINE_string('base', None, 'A commit to compare with.')
flags.DEFINE_integer('image_size', 256, 'Height and width of the input.',
                     lower_bound=1)
flags.DEFINE_integer('batch', 2, 'Images in a step.', lower_bound=1)
flags.DEFINE_integer('repeats', 3, 'Timed runs of each.', lower_bound=1)
flags.DEFINE_string('json', None, 'File to write the figures to.')

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def measure(folders: Mapping[str, str], arguments: Sequence[str], repeats: int,
            show: Any = print) -> Dict[str, Dict[str, Dict[str, float]]]:
  """Times the start of training runs, in turns.

  Args:
    folders: {what to call it: folder of the code}.
    arguments: of main.py, without --model_dir.
    repeats: runs of each; one more, which is not timed, fills the caches of
      files and of compiled Python.
    show: function of a line, for progress.

  Returns:
    {what it is called: {phase: {'cpu': median, 'wall': median}}}.

  Raises:
    RuntimeError: with the last lines of a run that failed.
  """
  runs = {called: [] for called in folders}
  for turn in range(repeats + 1):
    for called, folder in folders.items():
      figures = _run(folder, arguments)
      if turn:
        runs[called].append(figures)
      show('%s, %s: %.1f CPU s' % (
          'run %d of %d' % (turn, repeats) if turn else 'a run before', called,
          sum(f['cpu'] for f in figures.values())))
  return {called: {phase: {kind: statistics.median(
      figures[phase][kind] for figures in found) for kind in ('cpu', 'wall')}
                   for phase in start_phases.PHASES}
          for called, found in runs.items()}


def _run(folder, arguments):
  """{phase: {'cpu', 'wall'}} of one run of the code in a folder."""
  with tempfile.TemporaryDirectory() as scratch:
    path = os.path.join(scratch, 'figures.json')
    return guard.written_by(
        ['-c', inspect.getsource(start_phases), path,
         '--model_dir=' + os.path.join(scratch, 'model'), *arguments],
        folder, path, 'The training run')


def lines(figures: Mapping[str, Mapping[str, Mapping[str, float]]]
          ) -> Sequence[str]:
  """A table: a row for each phase and for their sum.

  Args:
    figures: what `measure` returns.
  """
  table = ['%-16s' % 'phase' + ''.join(
      '%24s' % called for called in figures), '%-16s' % '' + ''.join(
          '%12s%12s' % ('CPU s', 'wall s') for _ in figures)]
  for phase in start_phases.PHASES:
    table.append('%-16s' % phase + ''.join(
        '%12.2f%12.2f' % (found[phase]['cpu'], found[phase]['wall'])
        for found in figures.values()))
  table.append('%-16s' % 'all' + ''.join('%12.2f%12.2f' % tuple(
      sum(f[kind] for f in found.values()) for kind in ('cpu', 'wall'))
                                         for found in figures.values()))
  return table


def main(argv: Sequence[str]) -> None:
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  from configs import factory
  from tools.benchmarks import input_records
  config, _ = factory.load_config(FLAGS.model, FLAGS.config_file, None)
  with contextlib.ExitStack() as stack:
    folders = {'this code': _ROOT}
    if FLAGS.base:
      folders = {FLAGS.base: stack.enter_context(
          guard.checked_out(FLAGS.base)), **folders}
    records = os.path.join(stack.enter_context(
        tempfile.TemporaryDirectory()), 'made.tfrecord')
    input_records.write(records, 16, 6.9)
    arguments = [
        '--mode=train', '--model=' + FLAGS.model,
        '--config_file=' + os.path.abspath(FLAGS.config_file)
        if FLAGS.config_file else '--config_file=',
        '--params_override=' + json.dumps({
            'use_tpu': False,
            # The records have COCO's classes.
            'architecture': {'num_classes': max(
                91, config.architecture.num_classes)},
            'train': {'train_file_pattern': records,
                      'train_batch_size': FLAGS.batch},
            config.architecture.parser: {
                'output_size': [FLAGS.image_size] * 2}})]
    figures = measure(folders, arguments, FLAGS.repeats)
  print('\n'.join(lines(figures)))
  if FLAGS.json:
    files.write_atomically(FLAGS.json, json.dumps(figures, indent=1) + '\n')


if __name__ == '__main__':
  app.run(main)
