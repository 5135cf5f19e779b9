"""Models accept what the parsers say that they emit.

That the parsers do emit it is tested in tests/dataloader; here a random batch
of the specification goes through the model of the same configuration.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from configs import metric_names
from dataloader import factory as dataloader_factory
from modeling import factory
from tests import runtimes
from utils import fields
from utils import modes

BATCH, SIDE = 2, 64
_TWO_STAGE = {
    'use_tpu': False, 'resnet': {'resnet_depth': 10},
    'architecture': {'num_classes': 4, 'max_level': 5, 'use_bfloat16': False},
    'fpn': {'fpn_feat_dims': 8}, 'rpn_head': {'num_filters': 8},
    'frcnn_head': {'fc_dims': 8},
    'mrcnn_head': {'num_convs': 1, 'num_filters': 8},
    'maskrcnn_parser': {'output_size': [SIDE, SIDE], 'max_num_instances': 5},
    'roi_proposal': {'rpn_post_nms_top_k': 16, 'test_rpn_post_nms_top_k': 16},
    'roi_sampling': {'num_samples_per_image': 8},
    'mask_sampling': {'num_mask_samples_per_image': 4},
    'train': {'transpose_input': False}}
# The smallest configuration of each model.
SMALL = {
    'classification': {
        'use_tpu': False, 'resnet': {'resnet_depth': 10},
        'architecture': {'num_classes': 4, 'use_bfloat16': False},
        'classification_head': {'endpoints_num_filters': 4,
                                'dropout_rate': .5},
        'classification_parser': {'output_size': [SIDE, SIDE]},
        'train': {'transpose_input': False, 'label_smoothing': .1}},
    'retinanet': {
        'use_tpu': False, 'resnet': {'resnet_depth': 10},
        'architecture': {'num_classes': 4, 'max_level': 5,
                         'use_bfloat16': False},
        'fpn': {'fpn_feat_dims': 8},
        'retinanet_head': {'num_convs': 1, 'num_filters': 8},
        'retinanet_parser': {'output_size': [SIDE, SIDE],
                             'max_num_instances': 5},
        'train': {'transpose_input': False}},
    'segmentation': {
        'use_tpu': False, 'resnet': {'resnet_depth': 10},
        'architecture': {'num_classes': 4, 'max_level': 5, 'use_aspp': True,
                         'use_bfloat16': False, 'use_pyramid_fusion': True},
        'fpn': {'fpn_feat_dims': 8},
        'segmentation_head': {'level': 2, 'upsample_factor': 2,
                              'upsample_num_filters': 4},
        'segmentation_loss': {'class_weights': [1., 2., 3., 4.]},
        'segmentation_parser': {'output_size': [SIDE, SIDE]}},
    'mask_rcnn': _TWO_STAGE,
    'cascade_mask_rcnn': dict(_TWO_STAGE, roi_sampling={
        'num_samples_per_image': 8, 'cascade_iou_thresholds': [0.6]}),
    'shapemask': {
        'use_tpu': False, 'resnet': {'resnet_depth': 10},
        'architecture': {'num_classes': 4, 'max_level': 5,
                         'use_bfloat16': False},
        'fpn': {'fpn_feat_dims': 8},
        'retinanet_head': {'num_convs': 1, 'num_filters': 8},
        'shapemask_head': {'num_convs': 1, 'num_downsample_channels': 8,
                           'mask_crop_size': 8},
        'shapemask_parser': {'output_size': [SIDE, SIDE],
                             'max_num_instances': 5, 'num_sampled_masks': 3,
                             'mask_crop_size': 8},
        'postprocess': {'max_total_size': 5},
        'train': {'transpose_input': False}},
}
ESTIMATOR_MODES = {modes.TRAIN: tf.estimator.ModeKeys.TRAIN,
                   modes.PREDICT: tf.estimator.ModeKeys.PREDICT,
                   modes.PREDICT_WITH_GT: tf.estimator.ModeKeys.PREDICT}


def random_batch(spec, seed=0):
  """A nest of constants [BATCH, ...] of a nest of tf.TensorSpec.

  Integers are -2 to 3, as class targets are; what means a size is positive.
  """
  rng = np.random.RandomState(seed)

  def constant(one):
    shape = [BATCH] + one.shape.as_list()
    values = (rng.randint(-2, 4, shape) if one.dtype.is_integer
              else rng.uniform(0., 2., shape))
    return tf.constant(values, one.dtype)

  batch = tf.nest.map_structure(constant, spec)
  if isinstance(batch, dict) and fields.IMAGE_INFO in batch:
    batch[fields.IMAGE_INFO] = tf.constant(
        [[[SIDE, SIDE], [SIDE, SIDE], [1., 1.], [0., 0.]]] * BATCH)
  return batch


def _config(model):
  return config_factory.load_config(model, None, SMALL[model])[0]


def test_every_model_has_a_small_configuration():
  assert set(SMALL) == set(config_factory.MODELS)


@pytest.mark.parametrize('mode', runtimes.alternate(
    sorted(ESTIMATOR_MODES), both=(modes.TRAIN,)))
@pytest.mark.parametrize('model', sorted(config_factory.MODELS))
def test_a_random_batch_of_the_specification(model, mode):
  config = _config(model)
  labels = random_batch(dataloader_factory.build_parser(
      config, mode).labels_spec())
  images = tf.constant(np.random.RandomState(1).randn(BATCH, SIDE, SIDE, 3),
                       tf.float32)
  features = images
  if ESTIMATOR_MODES[mode] == tf.estimator.ModeKeys.PREDICT:
    features, labels = {'images': images, 'labels': labels}, None
  spec = factory.build_model_fn(config)(features, labels,
                                        ESTIMATOR_MODES[mode], {})
  with tf.Session() as session:
    session.run([tf.global_variables_initializer(),
                 tf.local_variables_initializer()])
    if mode == modes.TRAIN:
      loss, _ = session.run([spec.loss, spec.train_op])
      assert np.isfinite(loss)
    else:
      predictions = session.run(spec.predictions)
      assert {len(value) for value in predictions.values()} == {BATCH}
      assert fields.PRED + fields.SOURCE_ID in predictions
      names = (metric_names.losses(config) if mode == modes.PREDICT_WITH_GT
               else ())
      assert {name for name in predictions if name.startswith(fields.LOSS)
              } == {fields.LOSS + name for name in names}


@pytest.mark.parametrize('model', sorted(config_factory.MODELS))
def test_a_batch_of_padding_alone(model):
  """What fills up the last batch gives finite numbers."""
  config = _config(model)
  parser = dataloader_factory.build_parser(config, modes.PREDICT_WITH_GT)
  features = tf.nest.map_structure(lambda t: tf.stack([t] * BATCH),
                                   parser.padding_example())
  spec = factory.build_model_fn(config)(
      features, None, tf.estimator.ModeKeys.PREDICT, {})
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    predictions = session.run(spec.predictions)
  assert (predictions[fields.PRED + fields.SOURCE_ID] == -1).all()
  for name, value in predictions.items():
    if name.startswith((fields.LOSS, fields.PRED)):
      assert np.isfinite(value).all(), name
