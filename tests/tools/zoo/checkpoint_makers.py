"""Checkpoints for tests: variables of the reference, values of its formula."""

import os
import re

import numpy as np
import tensorflow.compat.v1 as tf

from tests import golden
from tests import reference_weights

_OTHER_READINGS = {
    'nasfpn_7cells': 'retinanet_resnet50_nasfpn_640_repeats7',
    'endpoints256': 'spinenet49S_retinanet_endpoints256',
    'rpn1conv': 'spinenet190_mrcnn_rpn1conv'}


def variables(name):
  """{name: shape} of a list of the reference, such as 'spinenet49_mrcnn'."""
  path = golden.reference_files('models/variables/%s.json.gz' % name)[0]
  return {v['name']: tuple(v['shape'])
          for v in golden.load_json(path)['variables']}


def list_of_row(config_file):
  """The list of the reference that has the variables of a row."""
  stem = config_file[:-len('.yaml')]
  for part, name in _OTHER_READINGS.items():
    if part in stem:
      return 'alternatives/' + name
  if not stem.startswith(('zoo/', 'spinenet/')):
    return stem.replace('/', '__')
  stem = re.sub(r'_(72|350)ep$', '', stem.split('/')[1])
  spinenet = re.match(r'(retinanet|classification)_(spinenet\w+)', stem)
  if spinenet:
    return '%s_%s' % (spinenet.group(2), spinenet.group(1))
  return stem + '_224' if stem.startswith('classification') else stem


def values(shapes):
  """{name: float32 array} of the reference's formula."""
  return {name: reference_weights.weight(name, shape)
          for name, shape in shapes.items()}


def write(prefix, arrays, parts=1):
  """Writes arrays as a checkpoint, as training on several hosts does it.

  Args:
    prefix: of the checkpoint; its folder is made.
    arrays: {name: array}.
    parts: int, number of data files.

  Returns:
    The prefix.
  """
  os.makedirs(os.path.dirname(prefix), exist_ok=True)
  names = sorted(arrays)
  groups = [names[i::parts] for i in range(parts)]
  with tf.Graph().as_default(), tf.Session() as session:
    pieces = []
    for i, group in enumerate(groups):
      piece = '%s_part-%d' % (prefix, i) if parts > 1 else prefix
      feed = [tf.placeholder(np.asarray(arrays[name]).dtype,
                             np.shape(arrays[name])) for name in group]
      session.run(tf.raw_ops.SaveV2(
          prefix=tf.constant(piece), tensor_names=group,
          shape_and_slices=[''] * len(group), tensors=feed),
                  dict(zip(feed, [arrays[name] for name in group])))
      pieces.append(piece)
    if parts > 1:
      session.run(tf.raw_ops.MergeV2Checkpoints(
          checkpoint_prefixes=tf.constant(pieces),
          destination_prefix=tf.constant(prefix)))
  return prefix
