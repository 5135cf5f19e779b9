"""Plans training on a TPU Pod or on GPU hosts, on paper.

  python -m tools.plan_pod --topology=v3:8x8 --model=retinanet
  python -m tools.plan_pod --topology=a100:16 --config_file=my.yaml --measure

Prints what a step costs each host and each chip, the time that computing,
memory traffic, the sum of the gradients and the input take, which of them
limits, how the speed grows from 8 to 1,024 devices, and what removes a limit of
the input. Operations and parameters are counted on the configured model; the
rest is estimated or comes from flags. Nothing runs on a TPU or GPU.
--validate compares such plans with published speeds; see docs/pods.md.
"""

import argparse
import json
import sys
from typing import Any, Dict, Optional, Sequence

from configs import base
from tools.common import config_arguments
from tools.common import numbers
from tools.pods import machines
from tools.pods import planning
from tools.pods import report
from utils import files


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.plan_pod', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  config_arguments.add(parser)
  parser.add_argument(
      '--topology', help='chips by chips of a TPU slice, such as v3:8x8 or '
      'v4:4x4x8, or a number of GPUs, such as a100:16; there are %s'
      % ', '.join(machines.MACHINES))
  parser.add_argument('--batch', type=numbers.whole(), help='images of a step '
                      '(default: train.train_batch_size)')
  parser.add_argument(
      '--efficiency', type=numbers.positive, default=planning.EFFICIENCY,
      help='the part of the peak that computing and memory traffic reach '
      '(default: %(default)s, as published runs)')
  parser.add_argument('--report', metavar='FILE', help='of tools.tpu_check '
                      '--topology --json: the compiled program instead of '
                      'estimates')
  parser.add_argument('--ms_per_image', type=numbers.positive, help='CPU ms of '
                      'the input pipeline per image (default: an estimate from '
                      'docs/benchmarks.md)')
  parser.add_argument('--measure', action='store_true', help='measure them on '
                      'this machine, with the records of the configuration or '
                      'made-up ones')
  parser.add_argument('--host_cores', type=numbers.positive, help='processor '
                      "cores of a host (default: those of the machine's host)")
  parser.add_argument('--record_kib', type=numbers.positive, help='KiB of a '
                      'record (default: 73)')
  parser.add_argument('--num_images', type=numbers.whole(), help='of the '
                      'training set (default: that of COCO, for classification '
                      'of ImageNet)')
  parser.add_argument('--json', metavar='FILE', help='file for the results')
  parser.add_argument('--validate', action='store_true', help='print published '
                      'speeds next to plans, and nothing else')
  arguments = parser.parse_args(argv)
  if not (arguments.validate or arguments.topology):
    parser.error('--topology is missing')
  if arguments.measure and arguments.ms_per_image:
    parser.error('--measure and --ms_per_image exclude each other')
  return arguments


def run(arguments: argparse.Namespace) -> Dict[str, Any]:
  """Plans and prints.

  Args:
    arguments: namespace of `parse_arguments`.

  Returns:
    The results as a dict.

  Raises:
    ValueError, OSError: saying what is wrong with flags or files.
  """
  plan_slice = machines.parse(arguments.topology)
  config = config_arguments.load(arguments)
  work = _work(arguments, config, plan_slice)
  batch = arguments.batch or config.train.train_batch_size
  cores = arguments.host_cores or plan_slice.machine.host_cores
  plan = planning.make(plan_slice, work, batch, cores, arguments.efficiency)
  from modeling import statistics
  height, width = statistics.input_size(config)
  from tools.pods import costs
  needs = planning.input_needs(
      plan, work, cores,
      arguments.num_images or costs.FAMILIES[config.type].num_images,
      height * width)
  plans = planning.scaling(plan_slice, work, batch, cores, arguments.efficiency)
  print('\n'.join(
      report.plan_lines(plan, work, arguments.efficiency) + ['']
      + _batch_notes(config, plan) + report.input_lines(needs, plan, cores)
      + ['', 'The same images per device on other slices:']
      + report.scaling_lines(plans) + ['']
      + ['Taken from: %s.' % source for source in work.sources]))
  return {'model': config.type, 'work': work.__dict__, 'host_cores': cores,
          'efficiency': arguments.efficiency, 'plan': plan._asdict(),
          'input_needs': needs._asdict(),
          'scaling': [other._asdict() for other in plans]}


def _work(arguments, config, plan_slice):
  config_arguments.start_tensorflow()
  from ops import compat
  from tools.pods import costs
  content = None
  if arguments.report:
    with open(arguments.report) as f:
      content = json.load(f)
  milliseconds = arguments.ms_per_image
  if arguments.measure:
    from tools.pods import measurement
    milliseconds = measurement.input_ms(config)
  return costs.work(
      config, bool(plan_slice.machine.wraps_from), compat.IS_TF2,
      plan_slice.name.partition(':')[0], content, input_ms=milliseconds,
      record_bytes=arguments.record_kib and 1024. * arguments.record_kib)


def _batch_notes(config, plan):
  """Sentences about a batch that does not go onto the devices."""
  sharing = config.train.num_cores_per_replica or 1
  replicas = plan.devices // sharing
  if plan.batch < replicas:
    return ['Note: a batch of %g is less than one image for each of %d '
            'devices: only train.num_cores_per_replica, with which cores share '
            'images, makes this possible.' % (plan.batch, replicas), '']
  if plan.batch % replicas:
    return ['Note: a batch of %g cannot be divided among %d devices.' % (
        plan.batch, replicas), '']
  return []


def main(argv: Optional[Sequence[str]] = None) -> int:
  arguments = parse_arguments(argv)
  if arguments.validate:
    from tools.pods import published
    print('\n'.join(published.table()))
    return 0
  try:
    results = run(arguments)
    if arguments.json:
      files.write_atomically(arguments.json,
                             json.dumps(results, indent=1) + '\n')
  except (base.ConfigError, OSError, ValueError) as e:
    sys.stderr.write('Error: %s\n' % e)
    return 2
  return 0


if __name__ == '__main__':
  sys.exit(main())
