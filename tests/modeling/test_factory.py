"""Models of a configuration, and types that are not built."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from modeling import factory
from ops import detections


def _config(override=None):
  return config_factory.load_config('retinanet', None, override)[0]


@pytest.mark.parametrize('name', sorted(factory.MODELS))
def test_every_model(name):
  model = factory.build_model(config_factory.default_config(name))
  for method in ('outputs', 'losses', 'predictions'):
    assert callable(getattr(model, method))


@pytest.mark.parametrize('name', sorted(
    set(config_factory.MODELS) - set(factory.MODELS)))
def test_configurations_without_a_model_yet(name):
  with pytest.raises(ValueError) as e:
    factory.build_model(config_factory.default_config(name))
  assert str(e.value) == (
      'The model type %r is not built yet; built are: %s.'
      % (name, ', '.join(sorted(factory.MODELS))))


def test_anchors_of_the_configuration():
  anchors = factory.build_anchors(_config({
      'architecture': {'min_level': 4, 'max_level': 5},
      'anchor': {'num_scales': 1, 'aspect_ratios': [4.], 'anchor_size': 2.}}))
  boxes = anchors.boxes((32, 32))
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
