"""Mode predict: predictions for all records, as a COCO results file.

Detectors give detections; classifiers the best classes of each image, without a
box; segmentation models the region of each class, without a score.
"""

import functools
import json
import os
from typing import Any, Callable, Dict, Iterable, List, Mapping, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from evaluation import class_ids
from evaluation import classification_evaluator
from evaluation import coco_results
from evaluation import detections as detections_lib
from evaluation import factory as evaluation_factory
from evaluation import segmentation_results
from executor import checkpoints
from executor import errors
from executor import evaluation as evaluation_lib
from executor import groundtruth as groundtruth_lib
from executor import watchdog
from modeling import storage
from utils import fields
from utils import mask_grids


def output_path(config: base.Config) -> str:
  """The results file of mode predict."""
  return config.predict.output_file or os.path.join(
      config.model_dir, 'predictions.json')


def file_pattern(config: base.Config) -> str:
  """The records of mode predict."""
  return config.predict.predict_file_pattern or config.eval.eval_file_pattern


def _detection_results(predictions, image_ids, mask_grid=mask_grids.CELLS):
  """COCO results of a batch."""
  columns, num_not_finite = detections_lib.from_predictions(
      predictions, include_mask='detection_masks' in predictions,
      mask_grid=mask_grid)
  if num_not_finite:
    tf.logging.warning('%d detections are not finite and are left out.',
                       num_not_finite)
  return coco_results.to_results(columns, image_ids)


def _results_of(config):
  """({name: array}, [image id]) -> results of a batch."""
  return _RESULTS.get(config.type) or functools.partial(
      _detection_results, mask_grid=evaluation_factory.build_mask_grid(config))


# type of the experiment, where it is not a detector: see `_results_of`.
_RESULTS = {'classification': classification_evaluator.to_results,
            'segmentation': segmentation_results.to_results}


def _with_categories(to_results, category_map):
  """`to_results` with the category ids of the annotations."""
  if not category_map:
    return to_results

  def convert(predictions, image_ids):
    results = [dict(r, category_id=category_map.category(r['category_id']))
               for r in to_results(predictions, image_ids)]
    known = [r for r in results if r['category_id'] != class_ids.UNKNOWN]
    if len(known) < len(results):
      tf.logging.warning('%d detections are of classes that the annotations do '
                         'not have and are left out.',
                         len(results) - len(known))
    return known

  return convert


def write_results(
    batches: Iterable[Mapping[str, np.ndarray]], path: str,
    name_of: Callable[[Any], Any] = lambda number: number,
    to_results: Callable[..., List[Dict[str, Any]]] = _detection_results
) -> Tuple[int, int]:
  """Writes a COCO results file, batch by batch.

  Args:
    batches: iterable of {name: array}; see modeling.predictions.
    path: the path of the file; it appears when it is complete.
    name_of: source_id -> image_id.
    to_results: ({name: array}, [image_id]) -> [entry of the file].

  Returns:
    Number of images, number of entries.
  """
  num_images = num_results = 0
  with storage.output_path(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write('[')
      for batch in evaluation_lib.images_of(batches):
        predictions, _, _ = evaluation_lib.split_by_prefix(batch)
        ids = [name_of(int(i))
               for i in predictions[fields.SOURCE_ID].reshape([-1])]
        for result in to_results(predictions, ids):
          f.write(',\n' if num_results else '')
          f.write(json.dumps(result, allow_nan=False))
          num_results += 1
        num_images += len(ids)
        watchdog.beat('the batch after image %d' % num_images)
      f.write(']\n')
  return num_images, num_results


def run(config: base.Config, estimator: tf.estimator.Estimator,
        input_fn: Callable[..., Any], path: str) -> str:
  """Predicts with a checkpoint.

  Args:
    config: experiment.
    estimator: from executor.estimator.
    input_fn: for estimator.predict; no ground truth is needed.
    path: checkpoint prefix.

  Returns:
    The path of the results file.
  """
  output = output_path(config)
  try:
    name_of, category_map = groundtruth_lib.for_predictions(
        config, file_pattern(config))
  except ValueError as e:
    raise errors.SetupError('eval.val_json_file, from which predictions take '
                            'image and class ids, cannot be used. %s' % e)
  to_results = _with_categories(_results_of(config), category_map)
  with checkpoints.restorable(path) as restorable, watchdog.watching(
      config.eval.stall_timeout, {'the checkpoint': path + '.index'}):
    batches = estimator.predict(
        input_fn, checkpoint_path=restorable, yield_single_examples=False,
        hooks=[checkpoints.FitHook(restorable)])
    num_images, num_results = write_results(
        batches, output, name_of, to_results)
  tf.logging.info('%d results of %d images are written to %s.',
                  num_results, num_images, output)
  return output
