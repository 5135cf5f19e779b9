"""Tests of ops/targets.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import anchors
from ops import boxes as box_ops
from ops import targets
from tests import golden


def _label(generator, size, boxes, classes, *thresholds):
  """Labels through placeholders of unknown K, as the input pipeline has."""
  box_input = tf.placeholder(tf.float32, [None, 4])
  class_input = tf.placeholder(tf.int64, [None])
  labels = targets.label_retinanet_anchors(
      generator.boxes(size), box_input, class_input, size, *thresholds)
  with tf.Session() as session:
    result = session.run(labels, {box_input: np.reshape(boxes, [-1, 4]),
                                  class_input: classes})
  for level, value in labels[0].items():  # shapes are static
    assert value.shape.as_list() == list(result[0][level].shape)
    assert labels[1][level].shape.as_list() == list(result[1][level].shape)
  return result


@pytest.mark.parametrize('case', golden.load_cases('anchor_labels_retinanet'),
                         ids=lambda case: case.name)
def test_equals_the_reference(case):
  params = case.params
  generator = anchors.AnchorGenerator(
      params['min_level'], params['max_level'], params['num_scales'],
      params['aspect_ratios'], params['anchor_size'])
  cls_targets, box_targets, num_positives = _label(
      generator, params['image_size'], case.inputs['gt_boxes'],
      case.inputs['gt_classes'], params['match_threshold'],
      params['unmatched_threshold'])
  expected = golden.levels(case.outputs, 'cls_targets')
  assert sorted(cls_targets) == sorted(expected)
  for level, value in expected.items():
    assert cls_targets[level].dtype == np.int32
    np.testing.assert_array_equal(cls_targets[level], value)
  for level, value in golden.levels(case.outputs, 'box_targets').items():
    np.testing.assert_allclose(box_targets[level], value, rtol=0, atol=1e-4)
  assert num_positives == case.outputs['num_positives']
  assert num_positives.dtype == np.float32


GENERATOR = anchors.AnchorGenerator(3, 4, 1, [1., 2.], 4.)
SIZE = (64, 96)


def test_values_worked_out_by_hand():
  """A box that is the anchor of cell (2, 3) of level 3, one pixel lower."""
  box = GENERATOR.boxes(SIZE)[3][(2 * 12 + 3) * 2] + [1., 0., 1., 0.]
  cls_targets, box_targets, num_positives = _label(GENERATOR, SIZE, [box], [7],
                                                   .9, .8)
  # Shifted by 1 of 32 pixels: IoU 31/33 = 0.94. Its neighbours in x are shifted
  # by 8 as well: 0.57, background.
  assert num_positives == 1.
  assert cls_targets[3][2, 3].tolist() == [7, -1]
  assert cls_targets[3][2, 4].tolist() == [-1, -1]
  assert (cls_targets[3] != -1).sum() == 1 and (cls_targets[4] != -1).sum() == 0
  np.testing.assert_allclose(box_targets[3][2, 3],
                             [1. / 32, 0, 0, 0, 0, 0, 0, 0], atol=1e-6)
  assert np.count_nonzero(box_targets[4]) == 0


def test_ignored_anchors_have_no_box():
  box = GENERATOR.boxes(SIZE)[3][(2 * 12 + 3) * 2]
  cls_targets, box_targets, num_positives = _label(GENERATOR, SIZE, [box], [7],
                                                   .9, .55)
  # Neighbours are 8 of 32 pixels away: IoU 24/40 = 0.6.
  assert num_positives == 1.
  neighbours = [(1, 3), (3, 3), (2, 2), (2, 4)]
  assert all(cls_targets[3][y, x, 0] == -2 for y, x in neighbours)
  assert (cls_targets[3] == -2).sum() == 4 and (cls_targets[4] == -2).sum() == 0
  assert np.count_nonzero(box_targets[3][1, 3]) == 0


def test_no_boxes():
  cls_targets, box_targets, num_positives = _label(GENERATOR, SIZE,
                                                   np.zeros([0, 4]), [], .5, .4)
  assert num_positives == 0.
  assert cls_targets[3].shape == (8, 12, 2)
  assert box_targets[4].shape == (4, 6, 8)
  assert all((value == -1).all() for value in cls_targets.values())
  assert not any(value.any() for value in box_targets.values())


def test_padding_changes_nothing():
  boxes, classes = [[10., 12., 40., 44.], [0., 50., 63., 90.]], [3, 5]
  plain = _label(GENERATOR, SIZE, boxes, classes, .5, .4)
  padded = _label(GENERATOR, SIZE, boxes + [[-1.] * 4] * 3, classes + [-1] * 3,
                  .5, .4)
  for level in (3, 4):
    np.testing.assert_array_equal(plain[0][level], padded[0][level])
    np.testing.assert_array_equal(plain[1][level], padded[1][level])
  assert plain[2] == padded[2] > 0


def test_targets_decode_to_their_boxes():
  boxes = np.array([[10., 12., 40., 44.], [0., 50., 63., 90.]], np.float32)
  cls_targets, box_targets, _ = _label(GENERATOR, SIZE, boxes, [1, 2], .5, .4)
  for level, anchor_boxes in GENERATOR.boxes(SIZE).items():
    labels = cls_targets[level].reshape([-1])
    deltas = box_targets[level].reshape([-1, 4])
    with tf.Session() as session:
      decoded = session.run(box_ops.decode_anchor_targets(deltas, anchor_boxes))
    positive = labels > 0
    np.testing.assert_allclose(decoded[positive], boxes[labels[positive] - 1],
                               atol=1e-3)


def test_sizes_between_strides_agree_with_the_anchors():
  size = (100, 60)
  cls_targets, box_targets, _ = _label(GENERATOR, size, [[0., 0., 50., 50.]],
                                       [1], .5, .5)
  assert cls_targets[3].shape == (12, 7, 2)
  assert cls_targets[4].shape == (6, 4, 2)
  assert box_targets[4].shape == (6, 4, 8)


def _first(size, count):
  return tf.range(tf.minimum(size, count))


def _last(size, count):
  return size - 1 - _first(size, count)


def _label_rpn(generator, size, boxes, *parameters):
  """RPN labels through placeholders of unknown K, with static shapes out."""
  box_input = tf.placeholder(tf.float32, [None, 4])
  labels = targets.label_rpn_anchors(
      generator.boxes(size), box_input, size, *parameters)
  with tf.Session() as session:
    result = session.run(labels, {box_input: np.reshape(boxes, [-1, 4])})
  for tensors, values in zip(labels, result):
    for level, value in values.items():
      assert tensors[level].shape.as_list() == list(value.shape)
  return result


def _flat(by_level):
  return np.concatenate([by_level[level].ravel() for level in sorted(by_level)])


@pytest.mark.parametrize('case', golden.load_cases('anchor_labels_rpn'),
                         ids=lambda case: case.name)
def test_rpn_labels_equal_the_reference(case):
  params = case.params
  generator = anchors.AnchorGenerator(
      params['min_level'], params['max_level'], params['num_scales'],
      params['aspect_ratios'], params['anchor_size'])

  def label(batch_size, draw):
    return _label_rpn(
        generator, params['image_size'], case.inputs['gt_boxes'],
        params['match_threshold'], params['unmatched_threshold'], batch_size,
        params['rpn_fg_fraction'], draw)

  for name, draw, batch_size in (
      ('ident', _first, params['rpn_batch_size_per_im']),
      ('rev', _last, params['rpn_batch_size_per_im']),
      ('all', _first, 10 ** 6)):
    score_targets, box_targets = label(batch_size, draw)
    np.testing.assert_array_equal(
        _flat(score_targets), case.outputs['score_' + name])
    assert score_targets[3].dtype == np.int32
    for level, value in golden.levels(case.outputs, 'box_targets').items():
      np.testing.assert_allclose(box_targets[level], value, rtol=0, atol=1e-4)
  matched = case.outputs['match'] >= 0
  assert not _flat(box_targets).reshape([-1, 4])[~matched].any()
