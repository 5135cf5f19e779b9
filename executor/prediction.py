"""Mode predict: what a model finds in all records, as a COCO results file.

Of detectors the detections; of classifiers the best classes of each picture,
without a box; of segmentation models the region of each class, without a score.
"""

import functools
import json
import os

import tensorflow.compat.v1 as tf

from dataloader import records
from dataloader import source_ids
from evaluation import classification_evaluator
from evaluation import coco_results
from evaluation import detections as detections_lib
from evaluation import factory as evaluation_factory
from evaluation import segmentation_results
from executor import checkpoints
from executor import evaluation
from executor import storage
from utils import fields
from utils import mask_grids

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


def _detection_results(predictions, image_ids, mask_grid=mask_grids.CELLS):
  """COCO results of a batch."""
  columns, num_not_finite = detections_lib.from_predictions(
      predictions, include_mask='detection_masks' in predictions,
      mask_grid=mask_grid)
  if num_not_finite:
    tf.logging.warning('%d detections are no finite numbers and are left out.',
                       num_not_finite)
  return coco_results.to_results(columns, image_ids)


def _results_of(config):
  """({name: array}, [image id]) -> results of a batch."""
  return _RESULTS.get(config.type) or functools.partial(
      _detection_results, mask_grid=evaluation_factory.build_mask_grid(config))


# type of the experiment, where it is no detector: see `_results_of`.
_RESULTS = {'classification': classification_evaluator.to_results,
            'segmentation': segmentation_results.to_results}


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
      ids = [i for i in records.read_source_ids(self._pattern)
             if not i.isdigit()]
      self._id_map = dict(zip(source_ids.to_ints(ids), ids))
    return self._id_map.get(number, number)


def write_results(batches, path, name_of=lambda number: number,
                  to_results=_detection_results):
  """Writes a COCO results file, batch by batch.

  Args:
    batches: iterable of {name: array}; see modeling.predictions.
    path: of the file; it appears when it is complete.
    name_of: source_id -> image_id.
    to_results: ({name: array}, [image_id]) -> [entry of the file].

  Returns:
    Number of images and of entries.
  """
  num_images = num_results = 0
  with storage.output_path(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write('[')
      for batch in evaluation.images_of(batches):
        predictions, _, _ = evaluation.split_by_prefix(batch)
        ids = [name_of(int(i))
               for i in predictions[fields.SOURCE_ID].reshape([-1])]
        for result in to_results(predictions, ids):
          f.write(',\n' if num_results else '')
          f.write(json.dumps(result, allow_nan=False))
          num_results += 1
        num_images += len(ids)
      f.write(']\n')
  return num_images, num_results


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
        batches, output, _Names(file_pattern(config)), _results_of(config))
  tf.logging.info('%d results of %d images are written to %s.',
                  num_results, num_images, output)
  return output
