"""Flags that all converters share, and how they are started."""

import signal
import sys

from absl import app
from absl import flags
import tensorflow.compat.v1 as tf

from ops import compat
from tools import tfrecord_writer
from utils import label_map as label_maps

FLAGS = flags.FLAGS

# --help of a converter shows these flags as its own.
flags.disclaim_key_flags()


def define():
  """Defines the flags."""
  flags.DEFINE_string('output', None, 'What the paths of all written files '
                      'begin with, such as records/train. Required.')
  flags.DEFINE_integer('num_shards', None, 'Number of shards. Default: %d, or '
                       'one for each picture if there are fewer.' %
                       tfrecord_writer.DEFAULT_NUM_SHARDS, lower_bound=1)
  flags.DEFINE_bool('include_masks', None, 'Write a mask for every object. '
                    'Default: when the annotations have masks.')
  flags.DEFINE_bool('clip_boxes', False, 'Cut boxes at the border of the '
                    'picture. Default: objects that reach beyond it are left '
                    'out.')
  flags.DEFINE_bool('trust_files', False, 'Use pictures that do not have the '
                    'size the annotations state. Default: leave them out.')
  flags.DEFINE_bool('overwrite', False, 'Replace shards of another program.')
  flags.DEFINE_integer('num_processes', None, 'Number of worker processes. '
                       'Default: one per core.', lower_bound=1)
  flags.DEFINE_string('label_map', None, 'File of rows `id:name`: the class '
                      'ids to use, found by name.')


def options():
  """tfrecord_writer.Options of the command line."""
  return tfrecord_writer.Options(
      FLAGS.num_shards, FLAGS.include_masks, FLAGS.clip_boxes,
      FLAGS.trust_files, FLAGS.overwrite, FLAGS.num_processes)


def label_map():
  """{id: name} of --label_map, or None."""
  return label_maps.read_label_map(FLAGS.label_map) if FLAGS.label_map else None


def run(main):
  """Runs a converter; what is wrong with its input becomes one message.

  Args:
    main: the converter, called without arguments after the flags are parsed.
  """
  def guarded(argv):
    if len(argv) > 1:
      sys.exit('Error: Unexpected argument %r; flags are written --name=value.'
               % argv[1])
    # Files that are being written are removed on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    tf.logging.set_verbosity(tf.logging.ERROR)
    compat.enable_graph_mode()
    try:
      main()
    except (ValueError, OSError, tf.errors.OpError) as e:
      sys.exit('Error: %s' % e)
    except KeyboardInterrupt:
      sys.exit(128 + signal.SIGINT)
  app.run(guarded)
