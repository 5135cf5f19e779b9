"""From a folder of annotated images to a report about a trained model.

  python -m tools.train_on --data=photos --output=runs/photos
  python -m tools.train_on --data=all.json --images=images --minutes=30 \\
      --model=mask_rcnn --output=runs/mine

recognises COCO, Pascal VOC, YOLO, a folder of images for each class, and images
with label maps; divides them, where they are not, into images to learn from and
images to judge by; converts and checks them; writes a configuration that fits
them, and the number of steps that the minutes allow, by a short trial; trains,
evaluates and writes OUTPUT/report.html. Each of these steps is a command, which
is printed. The same command resumes what was interrupted. Nothing outside of
OUTPUT is written, and nothing in it that another program wrote is overwritten.
"""

import argparse
import os
import sys
import time
from typing import Any, Callable

from ops import tensorflow_later as tf
from tools.common import numbers
from tools.common import reasons
from tools.zoo import small_models

_REPORT_SECONDS = 20.  # that the report takes, about
_TRIAL_SECONDS = 30.  # that the trial of the stage `fit` takes, about
_LEAST_SHARE = .3  # of the minutes that training has in any case
_MODELS = ('retinanet', 'mask_rcnn', 'classification', 'segmentation')


def parser() -> argparse.ArgumentParser:
  result = argparse.ArgumentParser(
      prog='python -m tools.train_on', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  result.add_argument('--data', required=True,
                      help='folder, COCO file or data.yaml')
  result.add_argument('--images', help='folder of the images, where it is not '
                      'found next to a COCO file or .xml files')
  result.add_argument('--model', choices=_MODELS, help='default: retinanet '
                      '(boxes) for objects, else by the data; mask_rcnn learns '
                      'outlines')
  result.add_argument('--from', dest='start', metavar='NAME or FOLDER',
                      help='start from a model that comes with the code (%s), '
                      'a model_dir, or weights of tools.import_weights'
                      % ', '.join(small_models.names()))
  result.add_argument('--minutes', type=numbers.positive, default=10.,
                      help='for all stages, about (default: %(default)g)')
  result.add_argument('--output', required=True, help='folder: a new one, or '
                      'that of an earlier start of the same command')
  result.add_argument('--group_pattern', metavar='REGEX',
                      help='images in whose names it matches the same text, '
                      'such as a patient or a video, stay in one split')
  result.add_argument('--seed', type=int, default=0, help='seed of the split '
                      '(default: %(default)d)')
  result.add_argument('--label_maps', choices=('classes',), help='classes: the '
                      'values of label maps are classes, even where they look '
                      'like the numbers of objects')
  result.add_argument('--image_size', metavar='N or H,W', help='default: as '
                      'the objects need and the minutes allow')
  result.add_argument('--batch_size', type=numbers.whole())
  result.add_argument('--device', choices=('cpu', 'gpu'))
  return result


def _options(args):
  from tools.own_data import plan
  from tools.own_data import starts
  flags = ['--%s=%s' % (name, getattr(args, name))
           for name in ('image_size', 'batch_size', 'device')
           if getattr(args, name) is not None]
  model = args.model
  if args.start:
    flags.append('--from=%s' % args.start)
    # What starts from a complete model is of its kind.
    model = model or starts.read(args.start).model
  return plan.Options(args.data.rstrip('/') or args.data, args.images,
                      model, args.minutes, args.output.rstrip('/'),
                      args.seed, args.group_pattern, flags, args.label_maps)


def _check_place(options):
  """Raises ValueError for an output that would become part of the data."""
  output = os.path.abspath(options.output)
  for name in ('data', 'images'):
    place = getattr(options, name)
    if place and os.path.isdir(place) and (output + os.sep).startswith(
        os.path.join(os.path.abspath(place), '')):
      raise ValueError(
          '--output=%s lies within --%s=%s, and its files would be taken for '
          'data. Choose a folder outside of it.' % (options.output, name,
                                                    place))


def train_on(options: Any, show: Callable[[str], Any] = print,
             clock: Callable[[], float] = time.time) -> None:
  """Runs all stages.

  Args:
    options: plan.Options.
    show: prints a line, a str.
    clock: () -> seconds.

  Raises:
    ValueError: if the output is part of the data.
    layouts.RecognitionError: if the data are not recognised.
    stages.StageError: when a stage fails.
  """
  from tools.own_data import plan as plan_lib
  from tools.own_data import recognition
  from tools.own_data import stages
  start = clock()
  _check_place(options)
  found = recognition.recognise(options.data, options.images, options.model)
  show('%s holds %s%s.' % (options.data, found.kind, '' if found.has_splits
                           else ' without a division into train and val'))
  for note in found.notes:
    show(note)
  state = stages.State(options.output)
  plan = plan_lib.Plan(found, options, state.remember)
  for number, stage in enumerate(plan.stages, 1):
    arguments, changed = None, ()
    if stage.name == 'fit':
      spent = clock() - start + _TRIAL_SECONDS + _REPORT_SECONDS
      left = max(options.minutes - spent / 60., _LEAST_SHARE * options.minutes)
      arguments, changed = plan.fit(left), [plan.config_file]
    stages.run(stage, state, number, len(plan.stages), arguments, changed,
               show)
  show('\nDone after %.1f minutes. The report: %s' % (
      (clock() - start) / 60., os.path.abspath(
          os.path.join(options.output, 'report.html'))))
  show('\nWhat you can do next:')
  for purpose, arguments in plan.next_commands():
    if purpose:
      show('# ' + purpose)
    show(stages.command_line(arguments))


def main() -> None:
  args = parser().parse_args()
  from executor import log
  log.set_up()
  from tools.own_data import stages
  try:
    train_on(_options(args))
  except stages.StageError as e:
    print('Error: %s' % e, file=sys.stderr)
    sys.exit(e.code)
  except (ValueError, OSError, tf.errors.OpError) as e:
    sys.exit('Error: %s' % reasons.of(e))


if __name__ == '__main__':
  main()
