"""Mode predict: batches to a COCO results file."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import source_ids
from executor import groundtruth
from executor import prediction
from tests.dataloader import examples
from tests.executor import toy
from utils import masks as mask_utils


def _batch(ids, counts):
  size = len(ids)
  return {
      'pred_source_id': np.array(ids, np.int64),
      'pred_num_detections': np.array(counts, np.int32),
      'pred_detection_boxes': np.tile(
          np.array([[2., 4., 6., 12.], [0., 0., 2., 2.]], np.float32),
          [size, 1, 1]),
      'pred_detection_classes': np.tile(np.array([3, 1], np.int32), [size, 1]),
      'pred_detection_scores': np.tile(np.array([.5, .25], np.float32),
                                       [size, 1]),
      'pred_image_info': np.tile(np.array(
          [[8, 8], [16, 16], [2, 2], [0, 0]], np.float32), [size, 1, 1])}


def test_results_are_in_pixels_of_the_image(tmp_path):
  path = str(tmp_path / 'new' / 'results.json')
  batches = iter([_batch([7, 8], [2, 0]), _batch([9, -1], [1, 2])])
  assert prediction.write_results(batches, path) == (3, 3)
  with open(path) as f:
    assert json.load(f) == [
        {'image_id': 7, 'category_id': 3, 'bbox': [2., 1., 4., 2.],
         'score': .5},
        {'image_id': 7, 'category_id': 1, 'bbox': [0., 0., 1., 1.],
         'score': .25},
        {'image_id': 9, 'category_id': 3, 'bbox': [2., 1., 4., 2.],
         'score': .5}]


def test_masks_become_run_length_codes_of_the_image(tmp_path):
  batch = _batch([7], [1])
  batch['pred_detection_masks'] = np.zeros([1, 2, 4, 4], np.float32)
  batch['pred_detection_masks'][0, 0, :, :2] = 1.  # the left half of the box
  path = str(tmp_path / 'results.json')
  assert prediction.write_results([batch], path) == (1, 1)
  with open(path) as f:
    result, = json.load(f)
  assert result['bbox'] == [2., 1., 4., 2.]
  mask = mask_utils.decode(result['segmentation'])
  assert mask.shape == (8, 8)
  # The box is columns 2 to 5 and rows 1 to 2.
  assert mask[1:3, 2:4].all() and not mask[:, 5:].any()
  assert mask.sum() == mask[1:4, 2:5].sum()


def test_no_detection_at_all(tmp_path):
  path = str(tmp_path / 'results.json')
  assert prediction.write_results([_batch([7], [0])], path) == (1, 0)
  with open(path) as f:
    assert json.load(f) == []


def test_nothing_is_left_of_a_prediction_that_failed(tmp_path):
  def batches():
    yield _batch([7], [1])
    raise RuntimeError('device lost')
  with pytest.raises(RuntimeError):
    prediction.write_results(batches(), str(tmp_path / 'results.json'))
  assert os.listdir(str(tmp_path)) == []


def test_text_ids_come_back(tmp_path):
  records = str(tmp_path / 'a.tfrecord')
  with tf.io.TFRecordWriter(records) as writer:
    for name in ('cat.jpg', '12'):
      writer.write(examples.serialize(examples.image(8, 8), source_id=name))
  config = toy.config(tmp_path / 'run', eval__eval_file_pattern='other',
                      predict__predict_file_pattern=records)
  checkpoint = toy.save_checkpoint(tmp_path, 3, global_step=3)

  class Estimator:
    """Finds one object in each image."""

    def predict(self, input_fn, checkpoint_path, yield_single_examples, hooks):
      del input_fn, yield_single_examples, hooks
      assert checkpoint_path == checkpoint
      yield _batch(source_ids.to_ints(['cat.jpg', '12']), [1, 1])

  path = prediction.run(config, Estimator(), None, checkpoint)
  assert path == str(tmp_path / 'run' / 'predictions.json')
  with open(path) as f:
    assert [r['image_id'] for r in json.load(f)] == ['cat.jpg', 12]


def test_names_of_files_come_back_where_records_have_no_ids(tmp_path):
  """The reader makes an id of the image's bytes then."""
  images = [examples.encode(examples.image(8, 8 + i)) for i in range(2)]
  path = examples.write(tmp_path / 'a.tfrecord', [
      examples.serialize(encoded=image, source_id='', filename=name)
      for image, name in zip(images, ('cat.jpg', '000042'))])
  names = groundtruth.Names(path)
  assert [names(source_ids.make_hash()(image)) for image in images] == [
      'cat.jpg', '000042']
  assert names(5) == 5
