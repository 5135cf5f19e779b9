"""Counts the parameters and FLOPs of a model.

  python -m tools.model_stats --model=retinanet \\
      --params_override=resnet.resnet_depth=101 --output=stats.json

Prints a table and writes, with --output, {"params", "flops", "variables"}:
trainable parameters, multiply-adds of the prediction graph of one image at the
configured size, and every variable with its shape.
"""

import argparse
import json
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from configs import base
from tools.common import config_arguments
from utils import files


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.model_stats', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  config_arguments.add(parser)
  parser.add_argument('--output', metavar='FILE.json', help='file to write')
  return parser.parse_args(argv)


def table(config: base.Config, size: Sequence[int],
          stats: Any,
          groups: Mapping[str, Tuple[int, int]]) -> List[str]:
  """The statistics as lines of text.

  Args:
    config: an experiment of configs.factory.
    size: (height, width) of the network input.
    stats: modeling.Any.
    groups: {scope: (number of variables, trainable parameters)}.

  Returns:
    [str].
  """
  lines = ['%s, %d x %d pixels' % (config.type, size[0], size[1]), '',
           '%-24s %10s %16s' % ('scope', 'variables', 'parameters')]
  lines += ['%-24s %10d %16s' % (scope or '(root)', count, format(params, ','))
            for scope, (count, params) in groups.items()]
  lines += ['%-24s %10d %16s' % ('all', len(stats.variables),
                                 format(stats.params, ',')),
            '', '%.3f M trainable parameters' % (stats.params / 1e6),
            '%.3f B multiply-adds for one image' % (stats.flops / 1e9)]
  return lines


def run(arguments: argparse.Namespace) -> None:
  """Counts, prints and writes.

  Args:
    arguments: namespace of `parse_arguments`.

  Raises:
    OSError, ValueError: saying what is wrong with the configuration or file.
  """
  config = config_arguments.load(arguments)
  config_arguments.start_tensorflow()
  from modeling import statistics
  stats = statistics.model_statistics(config)
  groups = statistics.parameters_by_scope(stats.variables)
  print('\n'.join(table(config, statistics.input_size(config), stats, groups)))
  if arguments.output:
    files.write_atomically(arguments.output,
                           json.dumps(stats._asdict(), indent=1) + '\n')


def main(argv: Optional[Sequence[str]] = None) -> None:
  arguments = parse_arguments(argv)
  try:
    run(arguments)
  except (OSError, ValueError) as e:
    raise SystemExit('Error: %s' % e)


if __name__ == '__main__':
  main()
