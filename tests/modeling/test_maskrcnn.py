"""The R-CNN family by its rules, with a backbone of next to nothing.

Against the reference: test_maskrcnn_reference.py.
"""

import dataclasses
import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from configs import backbones
from configs import factory as config_factory
from modeling import factory
from modeling.training import initial_values
from modeling.training import summaries
from tests import runtimes
from utils import fields
from utils import modes

pytestmark = pytest.mark.usefixtures('unoptimized')

BATCH, SIZE, NUM_CLASSES = 2, 64, 4
SMALL = {
    'architecture': {'num_classes': NUM_CLASSES, 'min_level': 3, 'max_level': 5,
                     'use_bfloat16': False},
    'fpn': {'fpn_feat_dims': 8},
    'rpn_head': {'num_filters': 8},
    'frcnn_head': {'num_filters': 8, 'fc_dims': 16},
    'mrcnn_head': {'num_convs': 1, 'num_filters': 8},
    'roi_proposal': {'rpn_pre_nms_top_k': 20, 'rpn_post_nms_top_k': 12,
                     'test_rpn_pre_nms_top_k': 20,
                     'test_rpn_post_nms_top_k': 8},
    'roi_sampling': {'num_samples_per_image': 10},
    'mask_sampling': {'num_mask_samples_per_image': 4},
    'postprocess': {'max_total_size': 6},
    'train': {'transpose_input': False, 'learning_rate': {
        'warmup_steps': 0, 'init_learning_rate': 0.01}},
}
@pytest.fixture(autouse=True)
def small_backbone(monkeypatch):
  """One convolution a level, instead of a ResNet."""
  def backbone(images, is_training):
    del is_training
    return {level: layers.conv2d(
        tf.nn.avg_pool2d(images, 2 ** level, 2 ** level, 'SAME'), 8, 1)
            for level in (3, 4, 5)}
  # With its section: the classes of experiments may be made meanwhile.
  monkeypatch.setitem(backbones.BACKBONES, 'resnet', dataclasses.replace(
      backbones.BACKBONES['resnet'],
      build=lambda config, norm_activation: backbone))


def _config(model='mask_rcnn', **sections):
  changes = {name: dict(values) for name, values in SMALL.items()}
  for name, values in sections.items():
    changes[name] = dict(changes.get(name, {}), **values)
  config, _ = config_factory.load_config(
      model, None, dict(changes, use_tpu=False))
  return config


def _images():
  return tf.constant(np.random.RandomState(0).randn(BATCH, SIZE, SIZE, 3),
                     tf.float32)


def _labels(objects=2):
  """Labels of two images; `objects` of five places are in use."""
  rng = np.random.RandomState(1)
  in_use = np.arange(5) < objects
  low = rng.uniform(0, 30, [BATCH, 5, 2])
  boxes = np.concatenate([low, low + rng.uniform(10, 30, [BATCH, 5, 2])], 2)
  boxes[:, ~in_use] = -1.
  classes = np.where(in_use, rng.randint(1, NUM_CLASSES, [BATCH, 5]), -1)
  masks = rng.randint(0, 2, [BATCH, 5, 28, 28]).astype(np.float32)
  masks[:, ~in_use] = -1.
  labels = {fields.IMAGE_INFO: tf.constant(
      np.tile([[[SIZE, SIZE], [SIZE, SIZE], [1., 1.], [0., 0.]]],
              [BATCH, 1, 1]), tf.float32),
            fields.GT_BOXES: tf.constant(boxes, tf.float32),
            fields.GT_CLASSES: tf.constant(classes, tf.int64),
            fields.GT_MASKS: tf.constant(masks),
            fields.RPN_SCORE_TARGETS: {}, fields.RPN_BOX_TARGETS: {}}
  for level in (3, 4, 5):
    side = SIZE >> level
    scores = rng.randint(-1, 2 if objects else 1, [BATCH, side, side, 3])
    matched = np.repeat(scores == 1, 4, axis=3)
    labels[fields.RPN_SCORE_TARGETS][level] = tf.constant(scores, tf.int32)
    labels[fields.RPN_BOX_TARGETS][level] = tf.constant(
        matched * rng.randn(*matched.shape), tf.float32)
  return labels


class _Training:
  """The training step of a configuration, on labels that are fed."""

  def __init__(self, config):
    with tf.Graph().as_default() as graph, tf.Session() as session:
      tf.set_random_seed(0)
      images, labels = _images(), _labels()
      self._images, labels = session.run([images, labels])
      self._labels = tf.nest.map_structure(
          lambda x: tf.placeholder(x.dtype, x.shape), labels)
      spec = factory.build_model_fn(config)(
          tf.constant(self._images), self._labels,
          tf.estimator.ModeKeys.TRAIN, {})
      self._step = [spec.loss, dict(tf.get_collection(
          summaries.TRAINING_SCALARS)), spec.train_op]
      self._start = tf.global_variables_initializer()
      self._trained = tf.trainable_variables()
      self.variables = tf.global_variables()
    self._session = tf.Session(graph=graph)

  def run(self, labels=None, steps=2):
    """(losses over steps, scalars of the first), from the start on."""
    with tf.Graph().as_default(), tf.Session() as session:
      labels = session.run(_labels() if labels is None else labels())
    fed = dict(zip(tf.nest.flatten(self._labels), tf.nest.flatten(labels)))
    self._session.run(self._start)
    values = [self._session.run(self._step, fed)[:2] for _ in range(steps)]
    parameters = self._session.run(self._trained)
    assert all(np.isfinite(values).all() for values in parameters)
    return [loss for loss, _ in values], values[0][1]


@functools.lru_cache(maxsize=None)
def _mask_rcnn():
  """The training step that several tests share."""
  return _Training(_config())


def _training(options):
  return _Training(_config(**options)) if options else _mask_rcnn()


def _predict(config, **options):
  """Predictions on two images, as arrays."""
  spec = factory.build_model_fn(config)(
      {'images': _images(), 'labels': {
          fields.IMAGE_INFO: _labels()[fields.IMAGE_INFO]}}, None,
      tf.estimator.ModeKeys.PREDICT, options)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    return session.run(spec.predictions)


CASCADE = dict(model='cascade_mask_rcnn', roi_sampling={
    'cascade_iou_thresholds': [.6, .7]})


_OF_STAGES = {
    '%s_%d' % (name, i) for i in range(3)
    for name in ('fg_bg_ratio', 'fast_rcnn_class_loss', 'fast_rcnn_box_loss')}
_WITHOUT_MASKS = {'architecture': {'include_mask': False},
                  'eval': {'type': 'box'}}


@pytest.mark.parametrize('options, tags', [
    ({}, {'mask_loss'}), runtimes.only('tf2', _WITHOUT_MASKS, set()),
    runtimes.only('tf1', dict(CASCADE, **_WITHOUT_MASKS), _OF_STAGES),
    (dict(CASCADE, frcnn_head={'class_agnostic_bbox_pred': True,
                               'cascade_class_ensemble': True}),
     {'mask_loss'} | _OF_STAGES)],
                         ids=['mask', 'faster', 'cascade', 'agnostic cascade'])
def test_training_lowers_the_loss(options, tags):
  """And has the public tags of its scalars."""
  losses, scalars = _training(options).run(steps=8)
  assert np.isfinite(losses).all() and losses[-1] < losses[0]
  assert scalars['model_loss'] == pytest.approx(sum(
      scalars[name] for name in fields.TWO_STAGE_LOSSES if name in scalars),
                                                rel=1e-5)
  assert set(scalars) == tags | {
      'rpn_score_loss', 'rpn_box_loss', 'fast_rcnn_class_loss',
      'fast_rcnn_box_loss', 'model_loss', 'l2_regularization_loss',
      'learning_rate', 'gradient_norm'}


OPTIONS = {
    'class-agnostic': {'frcnn_head': {'class_agnostic_bbox_pred': True},
                       'mrcnn_head': {'class_agnostic_mask_pred': True}},
    'normalized': {name: {'use_batch_norm': True, 'num_convs': 2}
                   for name in ('rpn_head', 'frcnn_head', 'mrcnn_head')},
    'separable': {name: {'use_separable_conv': True, 'num_convs': 1}
                  for name in ('rpn_head', 'frcnn_head', 'mrcnn_head')},
    'bfloat16': {'architecture': {'use_bfloat16': True},
                 'rpn_head': {'cast_to_float32': True}},
    'batched NMS': {'roi_proposal': {'use_batched_nms': True},
                    'postprocess': {'nms_version': 'batched'}},
    'other size of masks': {'architecture': {'mask_target_size': 14}},
}


@pytest.mark.parametrize('name', runtimes.alternate(sorted(OPTIONS)))
def test_options_train_and_predict(name):
  """Mask R-CNN with class-agnostic boxes does not build in the reference."""
  config = _config(**OPTIONS[name])
  training = _Training(config)
  assert np.isfinite(training.run()[0]).all()
  assert all(v.dtype.base_dtype != tf.bfloat16 for v in training.variables)
  side = config.architecture.mask_target_size
  predictions = _predict(config)
  assert predictions['pred_detection_masks'].shape == (BATCH, 6, side, side)
  assert predictions['pred_detection_boxes'].dtype == np.float32


@pytest.mark.parametrize('options', [{}, runtimes.only('tf2', CASCADE)],
                         ids=['mask', 'cascade'])
def test_images_without_objects(options):
  """Padding only: no object for any loss, and nothing that is not a number."""
  losses, scalars = _training(options).run(lambda: _labels(objects=0))
  assert np.isfinite(losses).all()
  assert scalars['rpn_box_loss'] == scalars['fast_rcnn_box_loss'] == 0.
  assert scalars['mask_loss'] == 0.
  assert scalars['rpn_score_loss'] > 0 and scalars['fast_rcnn_class_loss'] > 0


def test_gradients_without_any_sampled_anchor():
  """As for an image that only fills up a batch."""
  def labels():
    result = _labels(objects=0)
    for level in (3, 4, 5):
      result[fields.RPN_SCORE_TARGETS][level] *= 0
      result[fields.RPN_SCORE_TARGETS][level] -= 1
    return result
  losses, scalars = _mask_rcnn().run(labels)
  assert np.isfinite(losses).all() and scalars['rpn_score_loss'] == 0.


@pytest.mark.parametrize('use_batch_norm', runtimes.alternate([False, True]))
def test_batch_statistics_of_masks_are_those_of_all_regions(use_batch_norm):
  """So background may be left out without them only."""
  factory.build_model(_config(
      mrcnn_head={'use_batch_norm': use_batch_norm},
      roi_sampling={'num_samples_per_image': 48},
      roi_proposal={'rpn_post_nms_top_k': 48},
      mask_sampling={'num_mask_samples_per_image': 40})).outputs(
          _images(), _labels(), modes.TRAIN)
  names = [op.name for op in tf.get_default_graph().get_operations()
           if op.type == 'Switch' and op.name.startswith('cond')]
  assert bool(names) != use_batch_norm


def test_prediction_keys_and_shapes():
  predictions = _predict(_config())
  assert {name: value.shape for name, value in predictions.items()} == {
      'pred_image_info': (BATCH, 4, 2), 'pred_num_detections': (BATCH,),
      'pred_detection_boxes': (BATCH, 6, 4),
      'pred_detection_classes': (BATCH, 6),
      'pred_detection_scores': (BATCH, 6),
      'pred_detection_masks': (BATCH, 6, 28, 28)}
  masks = predictions['pred_detection_masks']
  assert masks.min() >= 0. and masks.max() <= 1.


@pytest.mark.one_runtime('tf1')
def test_without_masks():
  predictions = _predict(_config(architecture={'include_mask': False},
                                 eval={'type': 'box'}))
  assert 'pred_detection_masks' not in predictions
  assert not [v for v in tf.global_variables() if 'mask' in v.op.name]


@pytest.mark.one_runtime('tf2')
def test_without_suppression_boxes_and_scores_come_raw():
  """There are no detections that masks could belong to."""
  predictions = _predict(_config(postprocess={'apply_nms': False}))
  assert {name: value.shape for name, value in predictions.items()} == {
      'pred_image_info': (BATCH, 4, 2),
      'pred_raw_boxes': (BATCH, 8, NUM_CLASSES - 1, 4),
      'pred_raw_scores': (BATCH, 8, NUM_CLASSES - 1)}


# All RoIs are sampled, which training and evaluation draw in other ways, and
# no statistics of a batch.
_ALL = {'roi_sampling': {'num_samples_per_image': 17},
        'fpn': {'use_batch_norm': False}}
_EVALUATED = [
    runtimes.only('tf1', _ALL), runtimes.only('tf2', dict(
        _ALL, **_WITHOUT_MASKS)),
    runtimes.only('tf1', dict(_ALL, model='cascade_mask_rcnn', roi_sampling={
        'num_samples_per_image': 17, 'cascade_iou_thresholds': [.6, .7]}))]


def _placeholders(nest):
  """For any number of images."""
  return tf.nest.map_structure(
      lambda t: tf.placeholder(t.dtype, [None] + t.shape.as_list()[1:]), nest)


def _run(fetches, inputs, values):
  """Runs on some images, with the same weights at every call."""
  tf.set_random_seed(1)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    fed = session.run(values)
    return session.run(fetches, dict(zip(
        tf.nest.flatten(inputs), tf.nest.flatten(fed))))


def _part(nest, first, last):
  return tf.nest.map_structure(lambda t: t[first:last], nest)


@pytest.mark.parametrize('options', _EVALUATED, ids=['mask', 'faster',
                                                     'cascade'])
def test_losses_of_an_evaluation_are_those_of_training(options):
  """Of each image alone, without a variable or a detection of their own."""
  model = factory.build_model(_config(**options))
  batch = _images(), _labels()
  inputs = images, labels = _placeholders(batch)
  def predict(labels):
    return model.predictions(
        model.outputs(images, labels, modes.PREDICT), labels)
  with initial_values.seeded(1), tf.variable_scope('model'):
    without = predict({fields.IMAGE_INFO: labels[fields.IMAGE_INFO]})
  variables = list(tf.global_variables())
  with tf.variable_scope('model', reuse=True):
    predictions = predict(labels)
  with tf.variable_scope('model', reuse=True):
    losses = model.losses(model.outputs(images, labels, modes.TRAIN), labels)
  assert tf.global_variables() == variables
  without, predictions = _run([without, predictions], inputs, batch)
  for name, value in without.items():
    np.testing.assert_array_equal(predictions.pop(name), value, name)
  alone = [_run(losses, inputs, _part(batch, i, i + 1)) for i in range(BATCH)]
  expected = {'loss_' + name: [one[name] for one in alone]
              for name in alone[0] if not name.startswith('fg_bg')}
  assert set(predictions) == set(expected)
  for name, value in predictions.items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6,
                               err_msg=name)


@pytest.mark.parametrize('options', runtimes.alternate([{}, CASCADE]))
def test_losses_of_an_evaluation_do_not_depend_on_its_batches(options):
  """Ten of 17 RoIs are drawn, in every run and batch the same."""
  model = factory.build_model(_config(**options))
  batch = tf.nest.map_structure(
      lambda t: tf.concat([t, t[::-1]], axis=0), (_images(), _labels()))
  inputs = images, labels = _placeholders(batch)
  with initial_values.seeded(1):
    predictions = model.predictions(
        model.outputs(images, labels, modes.PREDICT), labels)
  losses = {name: value for name, value in predictions.items()
            if name.startswith('loss_')}
  whole, again, one, two = [
      _run(losses, inputs, _part(batch, *limits))
      for limits in ((0, 3), (0, 3), (0, 1), (1, 3))]
  assert 'loss_model_loss' in whole
  for name, value in whole.items():
    np.testing.assert_array_equal(value, again[name], name)
    np.testing.assert_allclose(np.concatenate([one[name], two[name]]), value,
                               rtol=1e-4, atol=1e-6, err_msg=name)


def test_losses_need_targets():
  model = factory.build_model(_config())
  info = {fields.IMAGE_INFO: _labels()[fields.IMAGE_INFO]}
  outputs = model.outputs(_images(), info, modes.PREDICT)
  with pytest.raises(ValueError, match='no .rpn_score_targets'):
    model.losses(outputs, info)


@pytest.mark.one_runtime('tf1')
def test_head_of_a_cascade_of_one_stage_has_the_name_of_its_layer():
  """Published copy-paste models are of this kind."""
  model = factory.build_model(_config('cascade_mask_rcnn'))
  outputs = model.outputs(_images(), _labels(), modes.PREDICT)
  assert 'class_outputs_0' in outputs and 'class_outputs' not in outputs
  names = [v.op.name for v in tf.global_variables()]
  assert 'frcnn_layer_0/fast_rcnn_head/fc6/kernel' in names


def test_masks_of_an_odd_size():
  with pytest.raises(ValueError, match='mask_target_size is 27.*even'):
    factory.build_model(_config(architecture={'mask_target_size': 27}))


def test_batch_size_may_be_open_in_prediction():
  images = tf.placeholder(tf.float32, [None, SIZE, SIZE, 3])
  info = tf.placeholder(tf.float32, [None, 4, 2])
  model = factory.build_model(_config(**CASCADE))
  outputs = model.outputs(images, {fields.IMAGE_INFO: info}, modes.PREDICT)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for batch in (1, 3):
      masks = session.run(outputs[fields.DETECTION_MASKS], {
          images: np.zeros([batch, SIZE, SIZE, 3]),
          info: np.tile([[[SIZE] * 2] * 2 + [[1.] * 2, [0.] * 2]],
                        [batch, 1, 1])})
      assert masks.shape == (batch, 6, 28, 28)
