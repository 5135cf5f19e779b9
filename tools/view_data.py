"""Shows what the parser really gives to training.

  python -m tools.view_data --model=retinanet --num=12 --output=sheet.png \\
      --html=sheet.html --params_override="train.train_file_pattern=/data/*,\\
retinanet_parser.aug_policy=v0"

Draws augmented images as the network gets them, with boxes and masks as the
labels have them and the anchors that are matched (thin white) as one contact
sheet (PNG) and as a page. The same --seed shows the same images.
"""

import os
import sys
from typing import Sequence

from absl import app
from absl import flags

from configs import base
from configs import factory

_SHEET_TYPES = ('.png', '.jpg')
FLAGS = flags.FLAGS
flags.DEFINE_string('model', factory.DEFAULT_MODEL,
                    'Name of the model. Not needed where the configuration '
                    'sets `type`.')
flags.DEFINE_string('config_file', None, 'YAML file over the defaults.')
flags.DEFINE_string('params_override', None,
                    'YAML text, a.b=c pairs, or a file, over --config_file.')
flags.DEFINE_integer('num', 12, 'How many images.', lower_bound=1)
flags.DEFINE_integer('columns', 4, 'Images in a row of the contact sheet.',
                     lower_bound=1)
flags.DEFINE_integer('width', 320, 'Width of an image on the sheet, pixels.',
                     lower_bound=16)
flags.DEFINE_integer('seed', 0, 'Seed of order and augmentation.')
flags.DEFINE_bool('anchors', True, 'Whether to draw the matched anchors.')
flags.DEFINE_string('label_map', None, 'File with the names of the classes; by '
                    'default eval.label_map of the configuration.')
flags.DEFINE_string('output', None, 'File of the contact sheet, such as '
                    'sheet.png.')
flags.DEFINE_string('html', None, 'File of the page.')


def main(argv: Sequence[str]) -> int:
  if len(argv) > 1:
    raise app.UsageError('Unexpected argument %r.' % argv[1])
  if not FLAGS.output and not FLAGS.html:
    raise app.UsageError('Give --output or --html: where to write.')
  # A flag that was not given does not decide.
  model = FLAGS.model if FLAGS['model'].present else None
  try:
    _check_output(FLAGS.output)
    config, _ = factory.load_config(model, FLAGS.config_file,
                                    FLAGS.params_override)
    if not hasattr(config, 'anchor'):
      raise ValueError('Models of type %r have no boxes to show.'
                       % config.type)
    # TensorFlow takes seconds to load: not before the configuration is right.
    from ops import compat
    from tools.datasets import training_images
    compat.enable_graph_mode()
    config = base.override(config, {
        'architecture': {'use_bfloat16': False,
                         'space_to_depth_block_size': 1},
        'train': {'seed': FLAGS.seed, 'transpose_input': False}})
    shown = training_images.parse(config, FLAGS.num)
    _write(shown, FLAGS.label_map or config.eval.label_map)
  except (base.ConfigError, ValueError, OSError) as error:
    print('Error: %s' % error, file=sys.stderr)
    return 1
  return 0


def _check_output(path):
  """Raises ValueError where the name is not that of an image file."""
  if path and not path.lower().endswith(_SHEET_TYPES):
    raise ValueError(
        '--output is %s. It has to be the name of an image file that ends in '
        '%s; --html writes a page.' % (path, ' or '.join(_SHEET_TYPES)))


def _write(shown, label_map):
  """Writes sheet and page of [shown_labels.Shown]."""
  import cv2

  from dataloader import shown_labels
  from tools.datasets import training_images
  from tools.report import html_page
  from utils import files
  from utils import label_map as label_maps
  names = label_maps.read_label_map(label_map) if label_map else None
  if not FLAGS.anchors:
    shown = [s._replace(anchors=s.anchors[:0]) for s in shown]
  images = [shown_labels.draw(s, names) for s in shown]
  if FLAGS.output:
    sheet = training_images.contact_sheet(images, FLAGS.columns, FLAGS.width)
    _, encoded = cv2.imencode(os.path.splitext(FLAGS.output)[1].lower(),
                              sheet[:, :, ::-1])
    files.write_atomically(FLAGS.output, encoded.tobytes())
  if FLAGS.html:
    figures = [html_page.figure('', [
        (image, '%d: %s' % (i, _counts([s]))), (s.image, 'without labels')])
               for i, (image, s) in enumerate(zip(images, shown))]
    files.write_atomically(FLAGS.html, html_page.page(
        'What the parser passes to training', [html_page.images(figures)]))
  print('%d images, %s: %s.' % (len(shown), _counts(shown), ' and '.join(
      filter(None, (FLAGS.output, FLAGS.html)))))


def _counts(shown):
  """How many objects there are, and anchors if they are drawn."""
  text = '%d objects' % sum(len(s.boxes) for s in shown)
  if FLAGS.anchors:
    text += ', %d matched anchors' % sum(len(s.anchors) for s in shown)
  return text


if __name__ == '__main__':
  app.run(main)
