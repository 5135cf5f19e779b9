"""Writes a configuration that fits a data set and this machine.

  python -m tools.new_config --records='data/train-*.tfrecord' \\
      --eval_records='data/val-*.tfrecord' \\
      --label_map=data/train-label_map.csv --output=mine.yaml

Reads the records and chooses classes, image size (small objects keep some
pixels), anchors (sizes and aspect ratios of the boxes; it reports the share of
objects that have an anchor that fits, and the same for the default anchors),
batch and learning rate. The file is short and has comments, to be edited.
  python -m tools.fit_steps --config_file=mine.yaml --minutes=15
measures how many steps fit into some minutes.
"""

import argparse
import os
import sys
from typing import List, Tuple

from configs import base
from tools.common import numbers
from tools.zoo import small_models
from utils import files
from utils import label_map as label_maps

_DEFAULT_STEPS = 1000


def _size(text):
  """(height, width) of 'N' or 'HEIGHT,WIDTH'."""
  try:
    sides = [int(part) for part in text.split(',')]
  except ValueError:
    sides = []
  if len(sides) not in (1, 2) or min(sides) < 1:
    raise argparse.ArgumentTypeError(
        '%r is not N or HEIGHT,WIDTH, in pixels.' % text)
  return tuple(sides * 2)[:2]


def parser() -> argparse.ArgumentParser:
  result = argparse.ArgumentParser(
      prog='python -m tools.new_config', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  result.add_argument('--records', required=True, metavar='PATTERN',
                      help='records to train on')
  result.add_argument('--eval_records', required=True, metavar='PATTERN',
                      help='records to evaluate on')
  result.add_argument('--label_map', metavar='FILE',
                      help='rows id:name, as converters write them')
  result.add_argument('--from', dest='start', metavar='NAME or FOLDER',
                      help='start from a model that comes with the code (%s), '
                      'a model_dir, or weights of tools.import_weights'
                      % ', '.join(small_models.names()))
  result.add_argument('--model', help='default: retinanet for boxes, '
                      'classification or segmentation; mask_rcnn learns masks')
  result.add_argument('--output', required=True, metavar='FILE',
                      help='the YAML file')
  result.add_argument('--overwrite', action='store_true',
                      help='replace an existing file')
  result.add_argument('--device', choices=('cpu', 'gpu'),
                      help='default: gpu where TensorFlow can use one')
  result.add_argument('--minutes', type=numbers.positive,
                      help='of the training run: '
                      'more of them allow larger images (default: 15)')
  result.add_argument('--image_size', type=_size, metavar='N or H,W')
  result.add_argument('--batch_size', type=numbers.whole())
  result.add_argument('--num_classes', type=numbers.whole(2),
                      help='the highest class id + '
                      '1; default: of the label map, else of the records')
  result.add_argument('--steps', type=numbers.whole(),
                      default=_DEFAULT_STEPS,
                      help='train.total_steps (default: %(default)d)')
  return result


def make(args: argparse.Namespace) -> Tuple[str, List[str]]:
  """The text of the file and sentences about it; see `parser`."""
  # TensorFlow takes seconds to load: not for --help.
  from executor import log
  log.set_up()
  from executor import devices
  from tools.own_data import record_summary
  from tools.own_data import settings
  from tools.own_data import starts
  start = args.start and starts.read(args.start)
  summary = record_summary.read(args.records, '--records')
  device = args.device or ('gpu' if devices.gpu_names() else 'cpu')
  options = settings.Options(
      model=args.model,
      machine={'cpu': settings.CPU, 'gpu': settings.GPU}[device],
      minutes=args.minutes, image_size=args.image_size,
      batch_size=args.batch_size, steps=args.steps,
      num_classes=args.num_classes,
      label_map=args.label_map and os.path.abspath(args.label_map),
      names=(label_maps.read_label_map(args.label_map) if args.label_map
             else {}),
      train_pattern=os.path.abspath(args.records),
      eval_pattern=os.path.abspath(args.eval_records), start=start,
      checkpoint=starts.folder(start, args.output) if start else '')
  text, notes = settings.make(summary, options)
  return '\n'.join([
      '# Made by tools.new_config for %d images and %s; edit it as needed.' % (
          summary.num_images, settings.model_for(summary, args.model)),
      '# Every other key: python -m tools.show_config --config_file=%s'
      % args.output, text]), notes


def main() -> None:
  args = parser().parse_args()
  if os.path.exists(args.output) and not args.overwrite:
    sys.exit('Error: %s is already there. Choose another --output, or say '
             '--overwrite.' % args.output)
  try:
    text, notes = make(args)
  except (base.ConfigError, ValueError, OSError) as e:
    sys.exit('Error: %s' % e)
  files.write_atomically(args.output, text)
  for note in notes:
    print(note)
  print('The configuration is %s.' % args.output)


if __name__ == '__main__':
  main()
