"""Records of objects and the ground truth of metrics, by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import detection
from tests.dataloader import test_steps
from utils import fields


def _decoded(num_objects=2):
  sample = test_steps.make_sample(num_objects)
  return {'image': sample.image, 'source_id': tf.constant('12'),
          'height': tf.constant(test_steps.HEIGHT, tf.int64),
          'width': tf.constant(test_steps.WIDTH, tf.int64),
          'groundtruth_boxes': sample.boxes,
          'groundtruth_classes': sample.classes,
          'groundtruth_is_crowd': sample.is_crowd,
          'groundtruth_area': sample.area}


def test_make_sample_of_a_record_without_masks():
  sample = detection.make_sample(_decoded())
  assert sample.masks is None and sample.image_info is None
  with tf.Session() as session:
    assert session.run(sample.area).tolist() == [10., 20.]


def _groundtruths(decoded):
  """Of 3 objects at most."""
  return detection.Groundtruths(3, 'some.key')(
      detection.make_sample(decoded))['groundtruths']


def test_groundtruths_by_hand():
  with tf.Session() as session:
    result = session.run(_groundtruths(_decoded()))
  assert (result['source_id'], result['height'], result['width']) == (
      12, test_steps.HEIGHT, test_steps.WIDTH)
  assert result['num_detections'].tolist() == [2]
  # Pixels of the image; crowds are kept.
  np.testing.assert_allclose(
      result['boxes'], [[1, 0, 3, 4], [1, 1, 3, 5], [-1, -1, -1, -1]])
  assert result['classes'].tolist() == [1, 2, -1]
  assert result['areas'].tolist() == [10., 20., -1.]
  assert result['is_crowds'].tolist() == [0, 1, 0]


@pytest.mark.parametrize('num_objects', [0, 2, 3])
def test_groundtruths_emit_their_spec(num_objects):
  result = _groundtruths(_decoded(num_objects))
  spec = detection.Groundtruths(3, 'some.key').spec()['groundtruths']
  tf.nest.assert_same_structure(spec, result)
  for name, expected in spec.items():
    assert expected.shape == result[name].shape, name
    assert expected.dtype == result[name].dtype, name


def test_padding_is_no_image_and_no_object():
  padding = detection.Groundtruths(2, 'some.key').padding()
  with tf.Session() as session:
    result = session.run(padding)['groundtruths']
  assert result['source_id'] == fields.PADDING_ID
  assert result['num_detections'].tolist() == [0]
  assert (result['boxes'] == -1.).all() and (result['classes'] == -1).all()
  assert (result['areas'] == -1.).all() and (result['is_crowds'] == 0).all()


def test_check_classes_names_the_first_wrong_one():
  decoded = dict(_decoded(), groundtruth_classes=tf.constant([3, 0, 9]))
  checked = detection.check_classes(decoded, 4)['groundtruth_classes']
  with tf.Session() as session:
    with pytest.raises(tf.errors.InvalidArgumentError,
                       match='Image 12 has an object of class 0.'):
      session.run(checked)


@pytest.mark.parametrize('classes', [[], [1], [1, 3, 2]])
def test_check_classes_passes_right_ones(classes):
  decoded = dict(_decoded(), groundtruth_classes=tf.constant(
      classes, tf.int64, [len(classes)]))
  with tf.Session() as session:
    checked = session.run(detection.check_classes(decoded, 4)[
        'groundtruth_classes'])
  assert checked.tolist() == classes
