"""Flags that all converters share, and how they are started."""

import signal
import sys
from typing import Callable, Optional, Sequence

from absl import app
from absl import flags

from ops import tensorflow_later as tf
from tools.common import reasons
from tools.datasets import annotation_checks
from tools.datasets import coco_record_writer
from tools.datasets import written_order
from utils import label_map as label_maps
from utils import orientation as orientations
from utils import types

# --help of a converter shows these flags as its own.
flags.disclaim_key_flags()


def define(values: flags.FlagValues) -> None:
  """Defines the flags.

  Args:
    values: flags.FlagValues to define them in.
  """
  flags.DEFINE_string('output', None, 'What the paths of all written files '
                      'begin with, such as records/train. Required.',
                      flag_values=values)
  flags.DEFINE_integer('num_shards', None, 'Number of shards. Default: %d, or '
                       'fewer for small sets, so that each holds 16 images, '
                       'or one for 1,000 images of large ones.' %
                       written_order.DEFAULT_NUM_SHARDS, lower_bound=1,
                       flag_values=values)
  flags.DEFINE_bool('include_masks', None, 'Write a mask for every object. '
                    'Default: when the annotations have masks.',
                    flag_values=values)
  flags.DEFINE_bool('cut_masks', False, 'Where masks are written, write each '
                    'also cut to its object, which training reads in a '
                    'fraction of the time. Upstream ignores them.',
                    flag_values=values)
  flags.DEFINE_bool('clip_boxes', False, 'Cut boxes at the border of the '
                    'image. Default: objects that reach beyond it are left '
                    'out.', flag_values=values)
  flags.DEFINE_bool('trust_files', False, 'Use images that do not have the '
                    'size the annotations state. Default: leave them out.',
                    flag_values=values)
  flags.DEFINE_enum(
      'exif', orientations.UPRIGHT, list(orientations.CHOICES),
      'What annotations refer to in images with an EXIF orientation, where '
      'their size does not decide: the upright image, the image as it is '
      'stored, or "ignore": nothing is turned.', flag_values=values)
  flags.DEFINE_bool('overwrite', False, 'Replace shards of another program.',
                    flag_values=values)
  flags.DEFINE_integer('num_processes', None, 'Number of worker processes. '
                       'Default: one per core.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_integer('shuffle_seed', written_order.DEFAULT_SEED, 'Seed of '
                                                                   'the random '
                                                                   'order of '
                                                                   'the '
                                                                   'records.',
                       lower_bound=0, upper_bound=2**32 - 1, flag_values=values)
  flags.DEFINE_bool('keep_order', False, 'Write the records in the order of '
                    'the annotations.', flag_values=values)
  flags.DEFINE_string('label_map', None, 'File of rows `id:name`: the class '
                      'ids to use, found by name.', flag_values=values)
  flags.DEFINE_enum(
      'class_ids', annotation_checks.KEEP, list(annotation_checks.CLASS_IDS),
      'Without --label_map: keep the ids of the annotations, renumber the '
      'classes from 1 on in their order, or auto: renumber them where the '
      'highest id is far above their number.', flag_values=values)


def options(values: flags.FlagValues) -> coco_record_writer.Options:
  """coco_record_writer.Options of the command line."""
  return coco_record_writer.Options(
      values.num_shards, values.include_masks, values.clip_boxes,
      values.trust_files, values.overwrite, values.num_processes, values.exif,
      None if values.keep_order else values.shuffle_seed, values.cut_masks,
      values.class_ids)


def label_map(values: flags.FlagValues) -> Optional[types.LabelMap]:
  """{id: name} of --label_map, or None."""
  if not values.label_map:
    return None
  return label_maps.read_label_map(values.label_map)


def run(define_flags: Callable[[flags.FlagValues], None],
        main: Callable[[flags.FlagValues], None]) -> None:
  """Runs a converter as a program.

  Args:
    define_flags: a function of flags.FlagValues, which defines the flags of
      the converter in them, so that modules with flags of the same name can be
      imported together.
    main: a function of the parsed flags.FlagValues, which converts.
  """
  # Files that are being written are removed on the way out.
  signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
  define_flags(flags.FLAGS)
  app.run(lambda argv: call(main, flags.FLAGS, argv[1:]))


def call(main: Callable[[flags.FlagValues], None], values: flags.FlagValues,
         arguments: Sequence[str]) -> None:
  """Converts; what is wrong with the input becomes one message.

  Args:
    main: see `run`.
    values: flags.FlagValues, parsed.
    arguments: [str], what of the command line was no flag.

  Raises:
    SystemExit: with the message.
  """
  if arguments:
    sys.exit('Error: Unexpected argument %r; flags are written --name=value.'
             % arguments[0])
  from ops import compat
  tf.logging.set_verbosity(tf.logging.ERROR)
  compat.enable_graph_mode()
  try:
    main(values)
  except (ValueError, OSError, tf.errors.OpError) as e:
    sys.exit('Error: %s' % reasons.of(e))
  except KeyboardInterrupt:
    sys.exit(128 + signal.SIGINT)
