"""Exports a checkpoint for TensorFlow Lite, and checks that both agree.

  python -m tools.export_tflite --model_dir=/tmp/run --export_dir=/tmp/lite
  python -m tools.export_tflite --model_dir=/tmp/run --export_dir=/tmp/lite8 \\
      --quantization=int8 --representative_images='photos/*.jpg'

--export_dir gets model.tflite and model.json. Built-in operations are used
where possible; otherwise the TensorFlow operations that the device also needs
("select" operations) are listed.
"""

import argparse
import sys
from typing import Optional, Sequence

from tools.common import numbers
from tools.common import target_export

_QUANTIZATIONS = ('float32', 'float16', 'dynamic_range', 'int8')


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = target_export.parser('export_tflite', __doc__)
  add = parser.add_argument
  add('--quantization', choices=_QUANTIZATIONS, default='float32',
      help='type of the weights; int8: of the activations, too (default: '
           '%(default)s)')
  add('--representative_images', metavar='PATTERN',
      help='image files from which int8 learns the ranges of activations')
  add('--representative_records', metavar='PATTERN',
      help='TFRecords with image/encoded, instead')
  add('--num_representative', type=numbers.whole(), default=100,
      help='use at most this many of them (default: %(default)s)')
  return parser.parse_args(argv)


def _representative(values):
  """[bytes] of image files, or None."""
  from serving.targets import tflite
  given = values.representative_images, values.representative_records
  if all(given):
    raise target_export.FlagError('--representative_images and '
                                  '--representative_records: give one.')
  if values.quantization != 'int8' and any(given):
    raise target_export.FlagError('Representative images are for '
                                  '--quantization=int8 only.')
  if given[1]:
    return tflite.images_of_records(given[1], values.num_representative)
  images = target_export.image_files('representative_images', given[0])
  return images and images[:values.num_representative]


def run(values: argparse.Namespace) -> None:
  """Exports, checks, and names the operations that are not built in."""
  from serving.targets import tflite
  described = target_export.write(
      values, tflite.write, quantization=values.quantization,
      representative=_representative(values))
  select = described['conversion']['select_operations']
  print('Operations that are not built in: %s.' % (', '.join(select) or 'none'))


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the program; returns the exit code."""
  return target_export.main(run, parse_arguments(argv))


if __name__ == '__main__':
  sys.exit(main())
