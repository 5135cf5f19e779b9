"""A checkpoint as a file for TensorFlow Lite, on phones and small computers."""

import os
import pickle
import tempfile

import numpy as np
import tensorflow.compat.v1 as tf

from serving import checkpoint_model
from serving import export
from serving import images as images_lib
from serving import input_types
from serving import parity
from serving.targets import agreement
from serving.targets import exporting
from serving.targets import network_graph

TARGET = exporting.Target(
    'tflite', 'serving.targets.convert_tflite', 'serving.targets.run_tflite',
    (None, None), True)
FLOAT32, FLOAT16, DYNAMIC_RANGE, INT8 = (
    'float32', 'float16', 'dynamic_range', 'int8')
# {--quantization: what may differ}; None: what float32 arithmetic may change.
QUANTIZATIONS = {
    FLOAT32: None,
    FLOAT16: agreement.Allowed(.02, .1, .02, .01),
    DYNAMIC_RANGE: agreement.Allowed(.1, .2, .05, .05),
    INT8: agreement.Allowed(.15, .35, .1, .1)}


def write(config, checkpoint, folder, quantization=FLOAT32,
          representative=None, batch_size=1, image_size=None, **options):
  """Writes a folder with model.tflite and model.json.

  Args:
    config: experiment.
    checkpoint: prefix.
    folder: folder of the export.
    quantization: one of QUANTIZATIONS.
    representative: iterable of bytes of image files, from which INT8 learns
      the ranges of activations.
    batch_size: int, images of a batch; it is fixed.
    image_size: (height, width) that images are brought to; None: that of the
      configuration.
    **options: arguments of exporting.write.

  Returns:
    The description.

  Raises:
    ValueError: of one kind or another, with what is wrong.
  """
  if batch_size is None or batch_size < 1:
    raise export.ExportError(
        'TFLite has batches of a fixed size: give 1 or more.')
  if quantization == INT8 and not representative:
    raise export.ExportError(
        'int8 needs images from which the ranges of activations are learnt: '
        'give --representative_images or --representative_records.')
  the_plan = network_graph.plan(config, checkpoint, batch_size, image_size)
  request = {'quantization': quantization}
  allowed = QUANTIZATIONS[quantization]
  compare = agreement.comparison(
      allowed, max(the_plan.spec.padded_size)) if allowed else parity.compare
  with tempfile.TemporaryDirectory() as work:
    if quantization == INT8:
      request['representative'] = os.path.join(work, 'images')
      _save_prepared(the_plan, representative, request['representative'])
    return exporting.write(TARGET, the_plan, folder, request=request,
                           compare=compare, **options)


def _save_prepared(the_plan, representative, path):
  """Writes the prepared images as a pickled list of float32 [H, W, 3]."""
  model = checkpoint_model.CheckpointModel(
      the_plan.config, the_plan.checkpoint, the_plan.spec)
  prepared = [np.asarray(model.prepare(images_lib.load(image))[0])
              for image in representative]
  model.close()
  with open(path, 'wb') as f:
    pickle.dump(prepared, f, protocol=4)


def images_of_records(pattern, count):
  """Bytes of the first images of TFRecords.

  Args:
    pattern: pattern of files.
    count: int, at most so many.

  Returns:
    [bytes].

  Raises:
    ExportError: if no file matches, or a record has no image.
  """
  found = []
  for path in sorted(tf.gfile.Glob(pattern)):
    for record in tf.python_io.tf_record_iterator(path):
      if len(found) == count:
        return found
      values = tf.train.Example.FromString(record).features.feature[
          input_types.ENCODED_KEY].bytes_list.value
      if not values:
        raise export.ExportError('Record %d of %s has no %s.' % (
            len(found), path, input_types.ENCODED_KEY))
      found.append(values[0])
  if not found:
    raise export.ExportError('No record matches %s.' % pattern)
  return found
