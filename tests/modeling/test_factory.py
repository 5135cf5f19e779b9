"""Models of a configuration."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from modeling import factory
from ops import anchors as anchor_ops
from ops import detections


def _config(override=None):
  return config_factory.load_config('retinanet', None, override)[0]


@pytest.mark.parametrize('name', config_factory.MODELS)
def test_every_model(name):
  model = factory.build_model(config_factory.default_config(name))
  for method in ('outputs', 'losses', 'predictions'):
    assert callable(getattr(model, method))


def test_anchors_of_the_configuration():
  config = _config({
      'architecture': {'min_level': 4, 'max_level': 5},
      'anchor': {'num_scales': 1, 'aspect_ratios': [4.], 'anchor_size': 2.}})
  boxes = anchor_ops.AnchorGenerator.of_sections(
      config.anchor, config.architecture).boxes((32, 32))
  assert sorted(boxes) == [4, 5]
  # Around (16, 16) 64 px in area: twice as wide, half as high.
  np.testing.assert_allclose(boxes[5], [[0., -48., 32., 80.]])


def test_settings_of_the_detection_generator(monkeypatch):
  """Every key of `postprocess` arrives under its own name."""
  seen = {}

  def generate(box_outputs, class_outputs, anchors, image_shape, **options):
    seen.update(options)
    return {}

  monkeypatch.setattr(detections, 'generate_one_stage_detections', generate)
  changes = {'apply_nms': True, 'apply_sigmoid': False, 'nms_version': 'v2',
             'use_batched_nms': True, 'max_total_size': 7,
             'nms_iou_threshold': .25, 'score_threshold': .125,
             'pre_nms_num_boxes': 99}
  config = _config({
      'postprocess': changes, 'resnet': {'resnet_depth': 10},
      'retinanet_head': {'num_convs': 0}, 'fpn': {'fpn_feat_dims': 2}})
  factory.build_model(config).outputs(
      tf.zeros([1, 128, 128, 3]), {'image_info': tf.zeros([1, 4, 2])},
      'predict')
  assert seen == changes


@pytest.mark.parametrize('is_asked_for', [False, True])
def test_features_in_one_row(is_asked_for):
  """A tensor of the graph for those who fetch it by name; no output."""
  config = _config({
      'architecture': {'output_flat_fpn_features': is_asked_for,
                       'min_level': 4, 'max_level': 5},
      'resnet': {'resnet_depth': 10}, 'fpn': {'fpn_feat_dims': 2},
      'retinanet_head': {'num_convs': 0}})
  outputs = factory.build_model(config).outputs(
      tf.zeros([3, 64, 32, 3]), {'image_info': tf.zeros([3, 4, 2])},
      'predict')
  graph = tf.get_default_graph()
  names = [op.name for op in graph.get_operations()]
  assert ('RawFpnFeatures' in names) == is_asked_for
  assert 'RawFpnFeatures' not in outputs
  if is_asked_for:
    flat = graph.get_tensor_by_name('RawFpnFeatures:0')
    assert flat.shape.as_list() == [3, 4 * 2 * 2 + 2 * 1 * 2]
    levels = [graph.get_tensor_by_name('fpn/p%d-bn/FusedBatchNormV3:0' % level)
              for level in (4, 5)]
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      flat, *levels = session.run([flat] + levels)
    np.testing.assert_allclose(flat, np.concatenate(
        [values.reshape([3, -1]) for values in levels], axis=1))
