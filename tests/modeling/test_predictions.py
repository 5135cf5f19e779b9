"""The flat dictionary that leaves the Estimator."""

import tensorflow.compat.v1 as tf

from modeling import predictions

BATCH = 2


def _outputs():
  return {'cls_outputs': {3: tf.zeros([BATCH, 1, 1, 2])},
          'box_outputs': {3: tf.zeros([BATCH, 1, 1, 4])},
          'num_detections': tf.constant([1, 0]),
          'detection_boxes': tf.ones([BATCH, 3, 4]),
          'detection_masks': tf.ones([BATCH, 3, 2, 2])}


def _labels(**more):
  return dict(image_info=tf.ones([BATCH, 4, 2]), **more)


def test_detections_alone():
  result = predictions.detection_predictions(_outputs(), _labels())
  # Outputs by level are no part of it.
  assert set(result) == {'pred_image_info', 'pred_num_detections',
                         'pred_detection_boxes', 'pred_detection_masks'}


def test_raw_outputs_are_passed_on():
  result = predictions.detection_predictions(
      {'raw_boxes': tf.ones([BATCH, 5, 1, 4])}, _labels())
  assert set(result) == {'pred_image_info', 'pred_raw_boxes'}


def test_source_id_of_labels_without_ground_truth():
  ids = tf.constant([7, 8], tf.int64)
  result = predictions.detection_predictions(_outputs(),
                                             _labels(source_id=ids))
  assert result['pred_source_id'] is ids
  assert not [name for name in result if name.startswith('gt_')]


def test_ground_truth_gives_the_source_id():
  ids = tf.constant([7, 8], tf.int64)
  groundtruths = {'source_id': ids, 'boxes': tf.zeros([BATCH, 2, 4]),
                  'num_detections': tf.ones([BATCH, 1]),
                  'num_groundtruths': tf.ones([BATCH, 1])}
  labels = _labels(groundtruths=groundtruths,
                   source_id=tf.constant([0, 0], tf.int64))
  result = predictions.detection_predictions(_outputs(), labels)
  assert result['pred_source_id'] is ids and result['gt_source_id'] is ids
  assert result['gt_boxes'] is groundtruths['boxes']
  assert result['gt_image_info'] is labels['image_info']
  # The second name of the count is not a public key.
  assert 'gt_num_detections' in result
  assert 'gt_num_groundtruths' not in result


def test_losses_are_those_of_each_image():
  losses = {'cls_loss': tf.zeros([BATCH]), 'model_loss': tf.ones([BATCH])}
  result = predictions.loss_predictions(losses)
  assert result == {'loss_cls_loss': losses['cls_loss'],
                    'loss_model_loss': losses['model_loss']}
