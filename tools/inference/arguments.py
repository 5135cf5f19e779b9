"""The command line of tools.infer, with the flags of upstream's two programs.

Those are inference.py (of a checkpoint) and inference_saved_model.py (of an
export), which write a page and nothing else.
"""

import argparse
import os
from typing import Optional, Sequence

from configs import precisions
from tools.common import numbers
from tools.zoo import small_models

# What upstream shows where nothing else is said, and what we do.
_UPSTREAM_DEFAULTS = {'min_score': .05, 'max_boxes': 10, 'thumbnail_size': 800}
_DEFAULTS = {'min_score': .3, 'max_boxes': 100, 'thumbnail_size': 400}


def parse(argv: Optional[Sequence[str]],
          description: str) -> argparse.Namespace:
  """Command line to a namespace; exits with 2 if it is wrong.

  Args:
    argv: [str], or None for those of the process.
    description: str, of the command.
  """
  parser = argparse.ArgumentParser(
      prog='python -m tools.infer', description=description,
      formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
  _add_model(parser.add_argument_group('the model, one of'))
  _add_settings(parser.add_argument_group('more about the model'))
  _add_files(parser.add_argument_group('input and output'))
  _add_choices(parser.add_argument_group('what is shown'))
  _add_upstream(parser.add_argument_group('only of upstream'))
  arguments = parser.parse_args(argv)
  _check(parser, arguments)
  _complete(arguments)
  return arguments


def _add_model(group):
  group.add_argument('--model_dir', metavar='FOLDER',
                     help='of a training run: its newest checkpoint; or a '
                     'model that comes with the code: %s'
                     % ', '.join(small_models.names()))
  group.add_argument(
      '--checkpoint_path', metavar='PREFIX',
      help='such as runs/mine/model.ckpt-1000; the model is described by '
           'params.yaml next to it, or else in --model_dir, or else by --model '
           'and --config_file')
  group.add_argument('--saved_model', '--saved_model_dir', metavar='FOLDER',
                     help='an exported model')


def _add_settings(group):
  group.add_argument('--model', metavar='NAME', help='such as retinanet')
  group.add_argument('--config_file', metavar='YAML',
                     help='changes to params.yaml, or a replacement for it')
  group.add_argument('--params_override', metavar='TEXT',
                     help='further changes, such as '
                          'postprocess.nms_iou_threshold=0.4')
  group.add_argument(
      '--image_size', metavar='PIXELS', type=_sizes,
      help='N or HEIGHT,WIDTH that images are resized to, instead of the size '
           'in the configuration')
  group.add_argument('--label_map', '--label_map_file', metavar='FILE',
                     help='names of the classes, lines id:name (default: the '
                          'names in the configuration or the export)')
  group.add_argument('--batch_size', metavar='N', type=numbers.whole(),
                     help='images at once (default: 1 on a CPU, 8 on a GPU)')
  group.add_argument('--precision', choices=precisions.OF_INFERENCE,
                     help='number format of the network; auto: the faster one '
                     'here (default: eval.precision of the configuration)')


def _add_files(group):
  group.add_argument(
      '--input', '--image_file_pattern', metavar='PATH', nargs='+',
      action='append', help='files, folders with their subfolders, patterns '
                            'such as "images/*.jpg", text files (.txt) that '
                            'list these, videos')
  group.add_argument('--output', metavar='FOLDER',
                     help='folder for all results')
  group.add_argument('--output_html', metavar='FILE',
                     help='the page; without --output, nothing else is written')
  group.add_argument('--drawn', choices=('jpg', 'png', 'none'), default='jpg',
                     help='kind of the drawn images (default: jpg)')
  group.add_argument('--video', choices=('mp4', 'webm'), default='mp4',
                     help='kind of the drawn videos: mp4 (default), or webm, '
                     'which browsers show, too, and which takes longer')
  group.add_argument('--image_ids', metavar='A.json',
                     help='COCO annotations whose image ids are used in the '
                          'results')
  group.add_argument('--frame_step', metavar='N', type=numbers.whole(),
                     default=1,
                     help='use every Nth frame of videos (default: 1)')
  group.add_argument('--ignore_exif', action='store_true',
                     help='images are not turned by their EXIF orientation')
  group.add_argument('--page_images', metavar='N', type=numbers.whole(),
                     default=1000,
                     help='largest number of images on the page (default: '
                          '1000)')
  group.add_argument('--thumbnail_size', metavar='PIXELS', type=numbers.whole(),
                     help='size of images on the page (default: 400; 800 '
                     'without --output)')
  group.add_argument('--quiet', action='store_true',
                     help='no progress is shown')


def _add_choices(group):
  group.add_argument(
      '--min_score', '--min_score_threshold', metavar='S', type=numbers.share,
      help='objects with a lower score are left out everywhere; in '
           'segmentation: pixels (default: 0.3; 0 for segmentation; 0.05 '
           'without --output)')
  group.add_argument(
      '--max_boxes', '--max_boxes_to_draw', metavar='N', type=numbers.whole(),
      help='largest number of objects per image (default: 100; 10 without '
           '--output)')
  group.add_argument('--classes', metavar='NAME', nargs='+', action='append',
                     help='only these classes: names or ids, also a,b')


def _add_upstream(group):
  group.add_argument('--label_map_format', default='csv', metavar='csv',
                     help='only csv, the lines id:name')
  group.add_argument(
      '--use_normalized_coordinates', '--nouse_normalized_coordinates',
      nargs='?', const='true', metavar='BOOL',
      help='not needed: an export says itself whether its boxes are normalized')


def _sizes(text):
  """(height, width) of 'N' or 'H,W'."""
  sizes = [numbers.whole()(part) for part in text.split(',')]
  if len(sizes) > 2:
    raise argparse.ArgumentTypeError('N or HEIGHT,WIDTH is expected.')
  return tuple(sizes * 2)[:2]


def _check(parser, arguments):
  """Exits with 2, with a sentence, unless the flags fit together."""
  if not (arguments.model_dir or arguments.checkpoint_path
          or arguments.saved_model):
    parser.error('Give --model_dir, --checkpoint_path or --saved_model.')
  if arguments.saved_model and (arguments.model_dir
                                or arguments.checkpoint_path):
    parser.error('--saved_model excludes --model_dir and --checkpoint_path.')
  for name in ('model', 'config_file', 'params_override', 'image_size',
               'precision'):
    if arguments.saved_model and getattr(arguments, name):
      parser.error('--saved_model excludes --%s: an export is fixed. Use '
                   '--model_dir to change it.' % name)
  if not arguments.input:
    parser.error('Give --input: a file, folder, pattern, list or video.')
  if not (arguments.output or arguments.output_html):
    parser.error('Give --output, a folder for the results.')
  if arguments.label_map_format != 'csv':
    parser.error('--label_map_format=%s is not known: csv, the lines id:name, '
                 'is.' % arguments.label_map_format)


def _complete(arguments):
  """Flattens the lists, expands ~ and fills the defaults in."""
  arguments.input = [path for paths in arguments.input for path in paths]
  if arguments.classes is not None:
    arguments.classes = [name for names in arguments.classes for name in names]
  for name in ('model_dir', 'checkpoint_path', 'saved_model', 'label_map',
               'output', 'output_html', 'image_ids', 'config_file'):
    # After --flag=, shells leave the ~ to the program.
    if getattr(arguments, name):
      setattr(arguments, name, os.path.expanduser(getattr(arguments, name)))
  arguments.drawn = '' if arguments.drawn == 'none' else arguments.drawn
  arguments.is_min_score_given = arguments.min_score is not None
  defaults = _DEFAULTS if arguments.output else _UPSTREAM_DEFAULTS
  for name, value in defaults.items():
    if getattr(arguments, name) is None:
      setattr(arguments, name, value)
