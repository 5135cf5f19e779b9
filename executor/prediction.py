"""Mode predict: the detections of all records as a COCO results file."""

import json
import os

import tensorflow.compat.v1 as tf

from dataloader import records
from evaluation import coco_results
from evaluation import detections as detections_lib
from executor import checkpoints
from executor import evaluation
from executor import storage
from utils import fields

# Hashes of text ids are spread over 63 bits: practically none is smaller, and
# hardly anybody numbers images beyond it.
_SMALLEST_HASH = 2**48


def output_path(config):
  """The results file of mode predict."""
  return config.predict.output_file or os.path.join(
      config.model_dir, 'predictions.json')


def file_pattern(config):
  """The records of mode predict."""
  return config.predict.predict_file_pattern or config.eval.eval_file_pattern


class _Names:
  """The ids of images as their records have them."""

  def __init__(self, pattern):
    self._pattern = pattern
    self._id_map = None

  def __call__(self, number):
    """int -> int or str; the records are read only where it is needed."""
    if number < _SMALLEST_HASH:
      return number
    if self._id_map is None:
      images = records.read_groundtruth(self._pattern)['images']
      self._id_map = {image['id']: image['source_id'] for image in images
                      if not image['source_id'].isdigit()}
    return self._id_map.get(number, number)


def write_results(batches, path, name_of=lambda number: number):
  """Writes a COCO results file, batch by batch.

  Args:
    batches: iterable of {name: array}; see modeling.predictions.
    path: of the file; it appears when it is complete.
    name_of: source_id -> image_id.

  Returns:
    Number of images and of detections.
  """
  num_images = num_results = 0
  with storage.output_path(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write('[')
      for batch in evaluation.images_of(batches):
        predictions, _ = evaluation.split_by_prefix(batch)
        ids = [name_of(int(i))
               for i in predictions[fields.SOURCE_ID].reshape([-1])]
        for result in _results(predictions, ids):
          f.write(',\n' if num_results else '')
          f.write(json.dumps(result, allow_nan=False))
          num_results += 1
        num_images += len(ids)
      f.write(']\n')
  return num_images, num_results


def _results(predictions, image_ids):
  """COCO results of a batch."""
  columns, num_not_finite = detections_lib.from_predictions(
      predictions, include_mask='detection_masks' in predictions)
  if num_not_finite:
    tf.logging.warning('%d detections are no finite numbers and are left out.',
                       num_not_finite)
  return coco_results.to_results(columns, image_ids)


def run(config, estimator, input_fn, path):
  """Predicts with a checkpoint.

  Args:
    config: experiment.
    estimator: of executor.estimator.
    input_fn: for estimator.predict; no ground truth is needed.
    path: checkpoint prefix.

  Returns:
    The path of the results file.
  """
  output = output_path(config)
  with checkpoints.restorable(path) as restorable:
    batches = estimator.predict(
        input_fn, checkpoint_path=restorable, yield_single_examples=False,
        hooks=[checkpoints.FitHook(restorable)])
    num_images, num_results = write_results(
        batches, output, _Names(file_pattern(config)))
  tf.logging.info('%d detections in %d images are written to %s.',
                  num_results, num_images, output)
  return output
