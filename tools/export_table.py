"""Exports one model to every target, and prints a row of the support table.

  python -m tools.export_table --model_dir=/tmp/run >> table.md

Each row says what happened: whether the model converts and passes its check,
the greatest difference, the size.
"""

import argparse
import datetime
import os
import sys
import tempfile
from typing import Any, Dict, Optional, Sequence

from serving.targets import network_graph
from tools.common import config_arguments

HEADER = (
    '| model | target | NMS | result | operations apart from the built-in ones '
    '| greatest difference | size, MB |\n|---|---|---|---|---|---|---|')
_TARGETS = ('frozen_graph', 'tflite float32', 'tflite float16',
            'tflite dynamic_range', 'tflite int8', 'onnx', 'openvino')


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.export_table', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  add = parser.add_argument
  add('--model_dir', required=True, help='folder of a training run')
  add('--params_override', help='over its configuration')
  add('--targets', default=','.join(_TARGETS), help='(default: %(default)s)')
  add('--header', action='store_true',
      help='prints the head of the table, and the date, first')
  return parser.parse_args(argv)


def row(source: Any, target: str) -> str:
  """One row of the table.

  Args:
    source: sources.Checkpoint.
    target: 'tflite int8' or a name of serving.targets.kinds.

  Returns:
    str.
  """
  from serving import parity
  from serving.targets import kinds
  from serving.targets import tflite
  name, _, quantization = target.partition(' ')
  with tempfile.TemporaryDirectory() as folder:
    arguments = source.config, source.checkpoint, os.path.join(folder, 'e')
    options: Dict[str, Any] = {'report': lambda line: None}
    try:
      if name == 'tflite':
        options['representative'] = _images(source) if (
            quantization == tflite.INT8) else None
        described = tflite.write(*arguments, quantization=quantization,
                                 **options)
      else:
        described = kinds.write(name, *arguments, **options)
    except parity.ParityError as e:
      return _line(source, target, 'differs: %s' % str(e).split(': ')[-1])
    except ValueError as e:
      return _line(source, target, 'no: %s' % str(e).split('Error: ')[-1])
  return _line(source, target, 'yes', described)


def _images(source):
  """Images for int8, as drawn ones will do for the table."""
  from serving import parity
  return parity.made_images(network_graph.plan(
      source.config, source.checkpoint)) * 4


def _line(source, target, result, described=None):
  nms = getattr(getattr(source.config, 'postprocess', None), 'apply_nms', None)
  has_nms = source.config.type not in ('classification', 'segmentation')
  cells = [source.config.type, target,
           ('inside' if nms else 'left out') if has_nms else '', result]
  if described:
    details = described['conversion']
    differences = [(name, value) for name, value, _ in described['check']
                   if name not in ('logits', 'raw_encoded_boxes')]
    worst = max(differences, key=lambda pair: pair[1])
    cells += [', '.join(details.get('select_operations') or []) or 'none',
              '%.2g (%s)' % (worst[1], worst[0]),
              '%.1f' % (details['bytes'] / 1e6)]
  return '| %s |' % ' | '.join(cells + [''] * (7 - len(cells)))


def run(values: argparse.Namespace) -> None:
  """Prints the rows as they come."""
  from ops import compat
  from serving import sources
  source = sources.find_checkpoint(
      values.model_dir, params_override=values.params_override)
  if values.header:
    print('Written on %s with TensorFlow %s.\n\n%s' % (
        datetime.date.today().isoformat(), compat.VERSION, HEADER))
  for target in values.targets.split(','):
    print(row(source, target), flush=True)


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  values = parse_arguments(argv)
  config_arguments.start_tensorflow()
  try:
    run(values)
  except (OSError, ValueError) as e:
    print('Error: %s' % e, file=sys.stderr)
    return 1
  return 0


if __name__ == '__main__':
  sys.exit(main())
