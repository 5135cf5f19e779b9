"""The segmentation model with made-up parts."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import segmentation
from utils import modes

_LOSS = types.SimpleNamespace(
    ignore_label=255, use_groundtruth_dimension=True, class_weights=(),
    label_smoothing=0.)


def _model(level=3, aspp=None, use_pyramid_fusion=False):
  """Features of level l are l everywhere, in two channels."""
  def backbone(images, is_training):
    del is_training
    size = images.shape.as_list()[1]
    return {i: tf.fill([2, size >> i, size >> i, 2], float(i))
            for i in (2, 3, 4)}
  return segmentation.Segmentation(
      backbone, decoder=lambda features, is_training: features,
      head=lambda features, is_training: features * [1., 2.], level=level,
      loss_section=_LOSS, num_classes=2, aspp=aspp,
      use_pyramid_fusion=use_pyramid_fusion)


def _outputs(model, mode=modes.PREDICT):
  outputs = model.outputs(tf.zeros([2, 32, 32, 3]), None, mode)
  with tf.Session() as session:
    return session.run(outputs)


def test_head_gets_its_level():
  outputs = _outputs(_model(level=3))
  assert outputs['logits'].shape == (2, 4, 4, 2)
  np.testing.assert_allclose(outputs['logits'][0, 0, 0], [3., 6.])
  # The second class has the larger logit everywhere.
  assert outputs['masks'].shape == (2, 32, 32, 1)
  assert outputs['masks'].dtype == np.int32 and (outputs['masks'] == 1).all()


def test_label_maps_are_not_made_in_training():
  assert list(_outputs(_model(), modes.TRAIN)) == ['logits']


def test_pyramid_fusion():
  outputs = _outputs(_model(level=2, use_pyramid_fusion=True))
  assert outputs['logits'].shape == (2, 8, 8, 2)
  np.testing.assert_allclose(outputs['logits'][0, 0, 0], [9., 18.])


def test_aspp_is_on_the_coarsest_level_of_the_backbone():
  def aspp(features, is_training):
    del is_training
    return features + 10.
  np.testing.assert_allclose(
      _outputs(_model(4, aspp))['logits'][0, 0, 0], [14., 28.])
  np.testing.assert_allclose(
      _outputs(_model(3, aspp))['logits'][0, 0, 0], [3., 6.])


def test_a_level_that_does_not_exist():
  with pytest.raises(ValueError, match=r'level is 6.*\[2, 3, 4\].*fusion'):
    _outputs(_model(level=6))


def test_predictions():
  model = _model()
  logits = np.zeros([2, 2, 2, 2], np.float32)
  labels = {'source_id': tf.constant([7, 8]),
            'image_info': tf.zeros([2, 4, 2])}
  outputs = {'logits': tf.constant(logits),
             'masks': tf.zeros([2, 4, 4, 1], tf.int32)}
  assert sorted(model.predictions(outputs, labels)) == [
      'pred_image_info', 'pred_masks', 'pred_source_id']
  # Of the second image no pixel has a class.
  masks = np.zeros([2, 4, 4, 1], np.float32)
  masks[1] = 255.
  labels.update(masks=tf.constant(masks), valid_masks=tf.constant(masks == 0))
  predictions = model.predictions(outputs, labels)
  with tf.Session() as session:
    predictions = session.run(predictions)
  np.testing.assert_allclose(predictions['loss_model_loss'],
                             [np.log(2.), 0.], rtol=1e-5)
  assert {'gt_masks', 'gt_valid_masks'} <= set(predictions)
  assert 'loss_model_loss' not in model.predictions(outputs, labels, False)
