"""Tests of modeling.many_views on networks of every family."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import factory as dataloader_factory
from modeling import factory
from modeling import many_views
from modeling import retinanet
from serving import predictor
from tests import model_kinds
from tests import runtimes
from tests.serving import small_models
from utils import modes

pytestmark = pytest.mark.usefixtures('unoptimized')

_ALL = {'flip': True, 'scales': [.5, 1.5]}
# What comes out mirrored when an image is: nothing is cut off at a border that
# lies elsewhere, and masks have no samples off their middle.
_SYMMETRIC = {'architecture': {'clip_boxes_to_border': True}}
_GRIDS = {'mask_rcnn': {'maskrcnn_parser': {'mask_crop_grid': 'cells'}},
          'cascade_mask_rcnn': {
              'maskrcnn_parser': {'mask_crop_grid': 'cells'}}}
_KINDS = ['retinanet', runtimes.only('tf2', 'mask_rcnn'),
          runtimes.only('tf1', 'cascade_mask_rcnn'),
          runtimes.only('tf1', 'shapemask')]


def _config(kind, **settings):
  return config_factory.load_config(kind, None, model_kinds.content(
      kind, eval={'test_time_augmentation': settings}))[0]


def _names(config):
  """Names of the variables, and of the losses, of an evaluation's graph."""
  parser = dataloader_factory.build_parser(config, modes.PREDICT_WITH_GT)
  labels = tf.nest.map_structure(
      lambda s: tf.placeholder(s.dtype, [2] + s.shape.as_list()),
      parser.labels_spec())
  model = factory.build_model(config)
  images = tf.placeholder(tf.float32, [2, model_kinds.SIDE, model_kinds.SIDE,
                                       3])
  outputs = model.outputs(images, labels, modes.PREDICT)
  predictions = model.predictions(outputs, labels)
  return ([v.name for v in tf.global_variables()],
          {name: value.shape.as_list() for name, value in predictions.items()})


@pytest.mark.parametrize('kind', [
    runtimes.only('tf1', 'retinanet'),
    pytest.param('mask_rcnn', marks=pytest.mark.slow),
    pytest.param('cascade_mask_rcnn', marks=pytest.mark.slow),
    pytest.param('shapemask', marks=pytest.mark.slow)])
def test_variables_and_predictions_are_those_of_the_model(kind):
  plain = _names(_config(kind))
  tf.reset_default_graph()
  assert _names(_config(kind, flip=True)) == plain
  assert any(name.startswith('loss_') for name in plain[1])


def test_off_by_default():
  config = _config('retinanet')
  assert type(factory.build_model(config)) is retinanet.RetinaNet
  for mode in modes.ALL:
    for settings, has_views in (({}, False), (_ALL, mode.startswith('pre'))):
      spec = dataloader_factory.build_parser(
          _config('retinanet', **settings), mode).labels_spec()
      assert ('views' in spec) == has_views
  assert sorted(spec['views']) == [0, 1, 2, 3, 4]
  assert [v['images'].shape.as_list() for v in spec['views'].values()] == [
      [64, 64, 3]] + [[32, 32, 3]] * 2 + [[96, 96, 3]] * 2


def test_models_without_the_method_are_named(monkeypatch):
  monkeypatch.delattr(retinanet.RetinaNet, 'outputs_and_masks')
  factory.build_model(_config('retinanet'))
  with pytest.raises(ValueError, match="'retinanet' cannot look"):
    factory.build_model(_config('retinanet', flip=True))


def _load(folder, kind, **settings):
  override = dict(_SYMMETRIC, **_GRIDS.get(kind, {}))
  override['eval'] = {'test_time_augmentation': settings}
  return predictor.load(folder, params_override=override)


@pytest.mark.parametrize('kind', _KINDS)
def test_a_mirrored_image_has_mirrored_answers(kind, tmp_path):
  """Its views are those of the image, in another order."""
  small_models.make(tmp_path, kind)
  width = 83 if kind == 'retinanet' else 61
  image = small_models.image(width * 2 // 3, width)
  scales = [1.5] if kind == 'retinanet' else []
  plain, mirrored = [
      _load(tmp_path, kind, **settings)([image, image[:, ::-1].copy()])
      for settings in ({}, {'flip': True, 'scales': scales})]
  found, other = mirrored
  assert len(found) == len(other) > 3
  np.testing.assert_allclose(found.scores, other.scores, rtol=1e-4)
  np.testing.assert_array_equal(found.classes, other.classes)
  y0, x0, y1, x1 = other.boxes.T
  np.testing.assert_allclose(
      found.boxes, np.stack([y0, width - x1, y1, width - x0], 1), atol=1e-2)
  if kind != 'retinanet':
    masks = found.pasted_masks()
    assert 0 < masks.mean() < 1
    assert np.mean(masks != other.pasted_masks()[..., ::-1]) < 1e-3
  # The network does not see that: it does not go without saying.
  assert np.abs(plain[0].scores - plain[1].scores).max() > 1e-3


def test_the_plain_view_is_among_them(tmp_path):
  """Where no view finds anything better, what the plain one found stays."""
  small_models.make(tmp_path, 'retinanet')
  image = small_models.image(50, 80)
  plain, all_views = [
      predictor.load(tmp_path, params_override={
          'postprocess': {'nms_iou_threshold': 1., 'max_total_size': 200},
          'eval': {'test_time_augmentation': settings}})(image)
      for settings in ({}, {'scales': [.5, 1.5]})]
  # Of 200 only the best of all views are left.
  kept = plain.scores > all_views.scores[-1] + 1e-4
  assert len(all_views) == 200 and np.sum(kept) > 3
  for box, score in zip(plain.boxes[kept], plain.scores[kept]):
    is_same = (np.abs(all_views.scores - score) < 1e-4) & np.all(
        np.abs(all_views.boxes - box) < 1e-2, axis=1)
    assert is_same.any()


@pytest.mark.one_runtime('tf2')
def test_exports_and_training_see_the_plain_image():
  config = _config('retinanet', **_ALL)
  model = factory.build_model(config)
  assert isinstance(model, many_views.ManyViews)
  images = tf.zeros([1, 64, 64, 3])
  info = tf.constant([[[64., 64.], [64., 64.], [1., 1.], [0., 0.]]])
  with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
    outputs = model.outputs(images, {'image_info': info}, modes.PREDICT)
    number = len(tf.get_default_graph().get_operations())
  tf.reset_default_graph()
  factory.build_model(_config('retinanet')).outputs(
      tf.zeros([1, 64, 64, 3]), {'image_info': tf.constant(
          [[[64., 64.], [64., 64.], [1., 1.], [0., 0.]]])}, modes.PREDICT)
  assert len(tf.get_default_graph().get_operations()) == number
  assert outputs['detection_boxes'].shape.as_list()[1:] == [10, 4]
