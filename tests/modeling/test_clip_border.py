"""`architecture.clip_boxes_to_border`: an object may end where its image does.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory
from dataloader import factory as dataloader_factory
from dataloader import shown_labels
from modeling import maskrcnn
from modeling import retinanet
from modeling import shape_mask_branch
from ops import anchors as anchor_ops
from ops import boxes as box_ops
from tests.dataloader import examples
from utils import modes

_SIDE = 64


def _labels(model, to_border):
  """Labels of training of an image whose object is all of it."""
  config = factory.load_config(model, extra={
      'architecture.clip_boxes_to_border': to_border,
      'architecture.use_bfloat16': False,
      'architecture.max_level': 5, 'architecture.num_classes': 2})[0]
  name = config.architecture.parser
  config = factory.load_config(model, extra={
      'architecture.clip_boxes_to_border': to_border,
      'architecture.use_bfloat16': False,
      'architecture.max_level': 5, 'architecture.num_classes': 2,
      name + '.output_size': [_SIDE, _SIDE],
      name + '.aug_rand_hflip': False, name + '.aug_scale_min': 1.,
      name + '.aug_scale_max': 1.})[0]
  parser = dataloader_factory.build_parser(config, modes.TRAIN)
  mask = np.ones([_SIDE, _SIDE], np.uint8)
  _, labels = parser(tf.constant(examples.serialize(
      examples.image(_SIDE, _SIDE), [[0., 0., 1., 1.]], [1], masks=[mask])),
                     seed=tf.constant([1, 2]))
  with tf.Session() as session:
    return config, session.run(labels)


@pytest.mark.parametrize('to_border', [False, True])
def test_targets(to_border):
  side = _SIDE if to_border else _SIDE - 1
  _, labels = _labels('mask_rcnn', to_border)
  assert labels['gt_boxes'][0].tolist() == [0, 0, side, side]
  _, labels = _labels('shapemask', to_border)
  assert labels['mask_outer_boxes'][0, 2:].max() == side
  config, labels = _labels('retinanet', to_border)
  anchors = anchor_ops.AnchorGenerator.of_sections(
      config.anchor, config.architecture).boxes((_SIDE, _SIDE))
  boxes = []
  for level, targets in labels['box_targets'].items():
    targets = targets.reshape([-1, 4])
    matched = targets.any(axis=1)
    boxes.append((targets[matched], anchors[level][matched]))
  decoded = shown_labels.decode_targets(
      *[np.concatenate(part) for part in zip(*boxes)])
  np.testing.assert_allclose(decoded[:, 2:], side, rtol=1e-4)


@pytest.mark.parametrize('to_border', [False, True])
def test_detections(to_border):
  """What models clip to: a box far too large."""
  info = tf.constant([[[_SIDE, _SIDE], [_SIDE, _SIDE], [1., 1.], [0., 0.]]])
  images, labels = tf.zeros([1, _SIDE, _SIDE, 3]), {'image_info': info}
  def clip(image_shape):
    return box_ops.clip_boxes(tf.constant([[[0., 0., 99., 99.]]]), image_shape)

  def detect(box_outputs, class_outputs, anchors, image_shape):
    del box_outputs, class_outputs, anchors
    return {'detection_boxes': clip(image_shape)}

  class Stage:
    """Region proposals and the box branch."""

    def outputs(self, features, image_size, image_shape, is_training):
      del features, image_size, is_training
      return {'rpn_rois': clip(image_shape)}

    def detections(self, features, rois, image_shape):
      del features, rois
      return {'detection_boxes': clip(image_shape)}

  def same(values, is_training):
    del is_training
    return values

  class Anchors:
    """No anchors."""

    def boxes(self, image_size):
      del image_size
      return {}

  dense = retinanet.RetinaNet(
      same, same, lambda features, is_training: ({}, {}), Anchors(), detect,
      None, 2, clip_to_border=to_border)
  two_stage = maskrcnn.MaskRCNN(same, same, Stage(), Stage(),
                                clip_to_border=to_border)
  outputs = two_stage.outputs(images, labels, modes.PREDICT)
  boxes = [dense.outputs(images, labels, modes.PREDICT)['detection_boxes'],
           outputs['rpn_rois'], outputs['detection_boxes']]
  shapes = shape_mask_branch.ShapeMaskBranch(
      lambda *args: (None, None), lambda *args: tf.zeros([1]),
      lambda *args: tf.zeros([1]), 1.25, None, clip_to_border=to_border)
  boxes.append(shapes.detections(
      {}, tf.constant([[[0., 0., 60., 60.]]]), None, input_size=(_SIDE, _SIDE))[
          'detection_outer_boxes'])
  with tf.Session() as session:
    for values in session.run(boxes):
      assert values[0, 0].tolist() == [0, 0] + [_SIDE - 1 + to_border] * 2
