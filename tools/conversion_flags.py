"""Flags that all converters share, and how they are started."""

import sys

from absl import app
from absl import flags
import tensorflow.compat.v1 as tf

from ops import compat
from tools import tfrecord_writer
from utils import label_map as label_maps

FLAGS = flags.FLAGS


def define():
  """Defines the flags."""
  flags.DEFINE_string('output', None, 'Path prefix of the written files.')
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
  """Runs a converter; what is wrong with its input becomes one message."""
  def guarded(argv):
    tf.logging.set_verbosity(tf.logging.ERROR)
    compat.enable_graph_mode()
    try:
      main(argv)
    except (ValueError, tf.errors.OpError) as e:
      sys.exit('Error: %s' % e)
  app.run(guarded)
