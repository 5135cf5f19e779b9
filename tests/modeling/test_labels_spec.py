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

pytestmark = pytest.mark.usefixtures('unoptimized')

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


# Both runtimes train the simple ones, and build the others in one mode each.
_TRAINED = ['classification', 'retinanet', 'segmentation',
            runtimes.only('tf1', 'mask_rcnn'),
            runtimes.only('tf1', 'shapemask'),
            runtimes.only('tf2', 'cascade_mask_rcnn')]
_ON_TF1 = ('cascade_mask_rcnn', 'classification', 'retinanet')
_EVALUATED = [runtimes.only('tf1' if model in _ON_TF1 else 'tf2', model)
              for model in sorted(SMALL)]
_PREDICTED = [runtimes.only('tf2' if model in _ON_TF1 else 'tf1', model)
              for model in sorted(SMALL)]


def test_every_model_is_built_in_every_mode():
  for cases in (_TRAINED, _EVALUATED, _PREDICTED):
    names = [getattr(case, 'values', (case,))[0] for case in cases]
    assert sorted(names) == sorted(config_factory.MODELS)


def _images():
  return tf.constant(np.random.RandomState(1).randn(BATCH, SIDE, SIDE, 3),
                     tf.float32)


def _spec(features, config, mode):
  """The EstimatorSpec; `features` are (images, labels)."""
  images, labels = features
  if ESTIMATOR_MODES[mode] == tf.estimator.ModeKeys.PREDICT:
    images, labels = {'images': images, 'labels': labels}, None
  return factory.build_model_fn(config)(images, labels, ESTIMATOR_MODES[mode],
                                        {})


def _random(config, mode):
  """Images and labels of the parser's specification."""
  return _images(), random_batch(dataloader_factory.build_parser(
      config, mode).labels_spec())


def _check_predictions(predictions, losses):
  assert {len(value) for value in predictions.values()} == {BATCH}
  assert fields.PRED + fields.SOURCE_ID in predictions
  assert {name for name in predictions if name.startswith(fields.LOSS)
          } == {fields.LOSS + name for name in losses}


@pytest.mark.parametrize('model', _TRAINED)
def test_a_random_batch_is_trained_on(model):
  config = _config(model)
  spec = _spec(_random(config, modes.TRAIN), config, modes.TRAIN)
  with tf.Session() as session:
    session.run([tf.global_variables_initializer(),
                 tf.local_variables_initializer()])
    loss, _ = session.run([spec.loss, spec.train_op])
    assert np.isfinite(loss)


@pytest.mark.parametrize('model', _PREDICTED)
def test_a_random_batch_without_ground_truth(model):
  config = _config(model)
  spec = _spec(_random(config, modes.PREDICT), config, modes.PREDICT)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    _check_predictions(session.run(spec.predictions), losses=())


@pytest.mark.parametrize('model', _EVALUATED)
def test_batches_of_an_evaluation(model):
  """A random one, and one of what fills up the last batch."""
  config, mode = _config(model), modes.PREDICT_WITH_GT
  example = dataloader_factory.build_parser(config, mode).padding_example()
  padding = tf.nest.map_structure(
      lambda t: tf.stack([t] * BATCH), (example['images'], example['labels']))
  inputs = tf.nest.map_structure(
      lambda t: tf.placeholder(t.dtype, t.shape), padding)
  spec = _spec(inputs, config, mode)
  predictions = []
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for batch in session.run([_random(config, mode), padding]):
      tf.nest.assert_same_structure(batch, inputs)
      predictions.append(session.run(spec.predictions, dict(zip(
          tf.nest.flatten(inputs), tf.nest.flatten(batch)))))
  _check_predictions(predictions[0], metric_names.losses(config))
  # Padding gives finite numbers.
  assert (predictions[1][fields.PRED + fields.SOURCE_ID] == -1).all()
  for name, value in predictions[1].items():
    if name.startswith((fields.LOSS, fields.PRED)):
      assert np.isfinite(value).all(), name
