"""Checks whether a configuration is ready for a TPU, without one.

  python -m tools.tpu_check --model=retinanet --config_file=my.yaml
  make tpu-check MODEL=retinanet CONFIG=my.yaml TOPOLOGY=v3:2x2

Builds the training and the prediction step at the configured size and lowers
them to HLO, the form that XLA compiles: each operation without a lowering and
each size that only a run decides is reported. --run also runs the training
step, small, plain and as XLA compiles it for this CPU, and compares the losses.
--topology compiles it, or the step of --job, with the compiler of Cloud TPUs
for a TPU that is only named, and prints what it needs; see docs/tpu_check.md.

Exit codes: 0 ready; 1 something was found; 2 the check itself could not run.
"""

import argparse
import json
import sys
import tempfile
from typing import Any, Dict, Optional, Sequence

from ops import tensorflow_later as tf
from tools.common import config_arguments
from tools.common import numbers
from tools.tpu import chips
from utils import files

_NUM_CORES = 8  # of the smallest slice; the default of main.py


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.tpu_check', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  config_arguments.add(parser)
  parser.add_argument(
      '--batch', type=numbers.whole(), help='images of one core, or of the '
      'train.num_cores_per_replica cores that share them (default: '
      'train.train_batch_size divided by their number in train.num_shards, or '
      'in %d)' % _NUM_CORES)
  parser.add_argument('--image_size', type=numbers.whole(),
                      help='height and width '
                      'instead of the configured ones')
  parser.add_argument('--job', choices=('train', 'predict', 'evaluate'),
                      help='lower only this step (default: train and predict; '
                      'evaluate predicts with losses)')
  parser.add_argument('--run', action='store_true', help='run the training '
                      'step at --image_size, or 128, and compare the losses')
  parser.add_argument(
      '--topology', action='append', default=[], help='compile the training '
      'step, or that of --job, for it; may be repeated. Some are: %s'
      % ', '.join(chips.TOPOLOGIES))
  parser.add_argument('--replicas', type=numbers.whole(), default=1,
                      help='devices that train together (default: '
                      '%(default)s); with spatial partitioning groups of '
                      'devices')
  parser.add_argument('--largest_batch', action='store_true', help='with '
                      '--topology: find the largest batch that fits')
  parser.add_argument('--text', action='store_true', help='with --topology and '
                      '--work: write the compiled program as text, too')
  parser.add_argument('--module', action='store_true', help='with --work: '
                      'write the lowered steps, which '
                      'tools.benchmarks.gpu_step times')
  parser.add_argument('--work', metavar='FOLDER', help='keep the files of the '
                      'check there')
  parser.add_argument('--json', metavar='FILE', help='file for the results')
  return parser.parse_args(argv)


def run(arguments: argparse.Namespace, folder: str) -> Dict[str, Any]:
  """Checks, and prints every result as it comes.

  Args:
    arguments: namespace of `parse_arguments`.
    folder: for the files.

  Returns:
    The results, a dict; `ready` says whether nothing was found.
  """
  config = config_arguments.load(arguments)
  config_arguments.start_tensorflow()
  from tools.tpu import check as checks
  check = checks.Check(checks.for_tpu(config, arguments.image_size), folder,
                       arguments.replicas)
  batch = arguments.batch or _configured_batch(config.train)
  results = {'model': config.type, 'batch': batch}
  results['lowering'] = _lower(check, arguments, batch)
  ready = not any(found['problems'] for found in results['lowering'].values())
  if arguments.run:
    small = checks.Check(
        checks.for_tpu(config, arguments.image_size or 128), folder)
    results['comparison'] = _compare(small, checks.TOLERANCE)
    ready &= all(line['difference'] <= checks.TOLERANCE
                 for line in results['comparison'])
  job = arguments.job or 'train'
  if arguments.topology and not results['lowering'][job]['problems']:
    results['programs'] = [
        program for topology in arguments.topology
        for program in _compile(check, job, results['lowering'][job], topology,
                                batch, arguments)]
    ready &= _all_fit(results['programs'])
  return dict(results, ready=ready)


def _configured_batch(train):
  """Images of a replica, which is one core or the cores that share images."""
  replicas = (train.num_shards or _NUM_CORES) // (
      train.num_cores_per_replica or 1)
  return max(1, train.train_batch_size // max(1, replicas))


def _lower(check, arguments, batch):
  """{job: what was found, with `problems`}."""
  from tools.tpu import report
  from tools.tpu import steps
  results = {}
  for name in [arguments.job] if arguments.job else steps.JOBS:
    found = check.lower(
        name, batch, arguments.module or (
            bool(arguments.topology) and name == (arguments.job or 'train')))
    found['problems'] = report.lowering_problems(found)
    for problem in found['problems']:
      print('%-8s %s' % (name, problem))
    if not found['problems']:
      print(report.lowering_line(name, found))
    results[name] = found
  return results


def _compare(check, tolerance):
  """The losses of both forms as a list of dicts."""
  from tools.tpu import environments
  from tools.tpu import report
  try:
    lines = check.compare(batch_size=2)
  except tf.errors.InvalidArgumentError as e:
    # Such as an image of more objects than max_num_instances.
    sentences = [line for line in e.message.split('\n') if 'failed' in line]
    raise environments.ToolError(
        'The comparison makes up an image, which the configuration does not '
        'take: %s' % (sentences[0].strip() if sentences else e.message))
  print('\n'.join(report.comparison_lines(lines, tolerance)))
  return [line._asdict() for line in lines]


def _compile(check, job, found, topology, batch, arguments):
  """Results of compilations for one topology, the configured batch first."""
  from tools.tpu import report
  results = []

  def show(result):
    results.append(dict(result, job=job))
    _print_program(result)

  show(check.compile(found, topology, batch, arguments.text))
  if arguments.largest_batch and 'error' not in results[0]:
    largest = check.largest_batch(results[0], show, job)
    results[0]['largest_batch'] = largest
    print('The largest batch of %s that fits is %d.' % (
        report.replica_name(results[0]), largest))
  return results


def _print_program(result):
  from tools.tpu import report
  if 'error' in result:
    print('batch %d for %s: the TPU compiler refuses: %s' % (
        result['batch'], result['topology'], result['error']))
  else:
    print('\n'.join(report.figure_lines(result, result['figures'],
                                        result['batch'])))


def _all_fit(programs):
  """Whether the configured batch compiles and fits, for every topology."""
  first = {}
  for program in programs:
    first.setdefault(program['topology'], program)
  return all('error' not in program and program['figures']['fits']
             for program in first.values())


def main(argv: Optional[Sequence[str]] = None) -> int:
  arguments = parse_arguments(argv)
  from tools.tpu import environments
  try:
    if arguments.work:
      results = run(arguments, arguments.work)
    else:
      with tempfile.TemporaryDirectory() as folder:
        results = run(arguments, folder)
    if arguments.json:
      files.write_atomically(arguments.json,
                             json.dumps(results, indent=1) + '\n')
  except (OSError, ValueError, environments.ToolError) as e:
    sys.stderr.write('Error: %s\n' % e)
    return 2
  return 0 if results['ready'] else 1


if __name__ == '__main__':
  sys.exit(main())
