"""Explains the figures of an evaluation: one HTML page.

  python -m tools.analyze_detections --annotations=instances_val.json \\
      --detections=results.json --images=val/ --output=analysis.html
  python -m tools.analyze_detections --model_dir=runs/mine

The page needs no other file. It shows what each kind of error costs, precision
and recall by class and overlap, where to cut the scores, which classes are
taken for which, which objects are found by size, shape, crowding and place, and
the worst images of every kind of error. With --compare, another file of
detections or model_dir, it also shows what got better and worse since, image by
image.
"""

import argparse
import os
import sys
import time

from evaluation import analysis as analysis_lib
from evaluation import tide
from tools.common import config_arguments
from tools.common import numbers
from tools.report import analysis_drawings
from tools.report import analysis_inputs
from tools.report import analysis_page
from utils import files
from utils import version

_IOU_TYPES = {'box': 'bbox', 'mask': 'segm'}


def parse_arguments(argv=None):
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.analyze_detections', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--annotations', metavar='A.json',
                      help='the ground truth, a COCO instances file')
  parser.add_argument('--detections', metavar='D.json',
                      help='the detections, a COCO results list')
  parser.add_argument('--images', metavar='FOLDER',
                      help='the images; without them, boxes are drawn on grey')
  parser.add_argument('--model_dir', metavar='FOLDER',
                      help='instead of these three: a training run that was '
                      'evaluated')
  parser.add_argument('--suffix', default='',
                      help='eval.suffix of that evaluation')
  parser.add_argument('--compare', metavar='BEFORE',
                      help='an earlier run: a results list, or a model_dir')
  parser.add_argument('--type', choices=sorted(_IOU_TYPES), default='box',
                      help='what is compared (default: box)')
  parser.add_argument('--label_map', metavar='FILE',
                      help='lines id:name, the names of the classes')
  parser.add_argument('--num_images', type=numbers.whole(0), default=6,
                      metavar='N',
                      help='images of each kind of error (default: 6)')
  parser.add_argument('--output', metavar='PAGE.html',
                      help='default: analysis.html, in model_dir if given')
  config_arguments.add_override(parser)
  arguments = parser.parse_args(argv)
  if bool(arguments.model_dir) == bool(arguments.annotations
                                       and arguments.detections):
    parser.error('Give --annotations and --detections, or --model_dir.')
  if arguments.params_override and not arguments.model_dir:
    parser.error('--params_override changes what --model_dir says: give that, '
                 'too.')
  return arguments


def build_page(arguments, command):
  """Builds the page.

  Args:
    arguments: namespace of `parse_arguments`.
    command: str, shown at the top.

  Returns:
    HTML text.

  Raises:
    OSError, ValueError: naming the file and what is wrong in it.
  """
  iou_type = _IOU_TYPES[arguments.type]
  source = analysis_inputs.read(arguments, iou_type == 'segm')
  columns, names = [source.detections], ['now']
  if arguments.compare:
    columns.insert(0, analysis_inputs.read_detections(
        arguments.compare, source.annotations, iou_type == 'segm',
        arguments.suffix, source.federation)[0])
    names.insert(0, 'before')
  runs = [analysis_page.make_run(name, source.annotations, one, iou_type)
          for name, one in zip(names, columns)]
  drawings = analysis_drawings.Drawings(
      source, runs, columns, iou_type == 'segm', arguments.num_images)
  return analysis_page.render(
      'What explains the figures', _facts(arguments, source, command),
      source.messages, runs,
      [(kind, drawings.worst(kind)) for kind in tide.KINDS],
      _changes(runs, drawings) if len(runs) > 1 else [])


def _facts(arguments, source, command):
  """[(name, value)] of what the page is about."""
  is_crowd = source.annotations.is_crowds
  facts = [('data', source.data), ('detections', source.name)]
  if arguments.compare:
    facts.append(('detections before', arguments.compare))
  return facts + [
      ('compared', {'box': 'boxes', 'mask': 'masks'}[arguments.type]),
      ('images', '%d' % len(source.annotations.image_ids)),
      ('objects', '%d, and %d crowds' % ((~is_crowd).sum(), is_crowd.sum())),
      ('made', '%s, version %s' % (time.strftime('%Y-%m-%d %H:%M'),
                                   version.VERSION)),
      ('command', command)]


def _changes(runs, drawings):
  """[(heading, [Figure])] of the images that differ most."""
  changes = analysis_lib.compare(*(run.analysis.images for run in runs))
  return [('%d images got better' % len(changes.better),
           drawings.changed(changes.better, changes.f1_change)),
          ('%d images got worse' % len(changes.worse),
           drawings.changed(changes.worse, changes.f1_change))]


def main(argv=None):
  """Entry point; returns the exit status."""
  arguments = parse_arguments(argv)
  output = arguments.output or os.path.join(arguments.model_dir or '',
                                            'analysis.html')
  command = ' '.join(['python -m tools.analyze_detections'] + list(
      sys.argv[1:] if argv is None else argv))
  try:
    files.write_atomically(output, build_page(arguments, command))
  except (OSError, ValueError) as e:
    print('error: %s' % e, file=sys.stderr)
    return 1
  print('The page is %s.' % os.path.abspath(output))
  return 0


if __name__ == '__main__':
  sys.exit(main())
