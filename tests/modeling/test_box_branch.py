"""What passes between the stages of a cascade, with heads made by hand."""

import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import box_branch
from ops import detections
from ops import roi_targets
from utils import fields

IMAGE_SHAPE = np.float32([[[64., 64.]]])
# Two RoIs of 10 x 10 pixels, with sizes as the box code counts them.
ROIS = np.float32([[[10., 10., 19., 19.], [40., 40., 49., 49.]]])


def _features():
  return {2: tf.ones([1, 16, 16, 1])}


def _head(logits, deltas, calls=None):
  """A head that gives the same for every RoI: logits [C], deltas [4 or 4C]."""
  def head(roi_features, is_training):
    if calls is not None:
      calls.append((roi_features.shape.as_list(), is_training))
    number = roi_features.shape[1].value
    return [tf.tile(tf.constant(values, tf.float32, [1, 1, len(values)]),
                    [1, number, 1]) for values in (logits, deltas)]
  return head


def _take_all(threshold=.5):
  return functools.partial(
      roi_targets.sample_rois, fg_iou_thresh=threshold,
      bg_iou_thresh_hi=threshold, mix_gt_boxes=False, skip_subsampling=True)


def _labels(boxes, classes):
  return {fields.GT_BOXES: tf.constant([boxes], tf.float32),
          fields.GT_CLASSES: tf.constant([classes], tf.int64)}


def _cascade(heads, **options):
  weights = [(1., 1., 1., 1.), (2., 2., 2., 2.), (4., 4., 4., 4.)]
  stages = [box_branch.Stage(head, _take_all(), weights[i], '_%d' % i)
            for i, head in enumerate(heads)]
  detect = options.pop('detect', lambda *args, **kwargs: {
      'args': args, 'weights': kwargs['regression_weights']})
  return box_branch.BoxBranch(stages, detect, 1., **options)


def _run(fetches):
  with tf.Session() as session:
    return session.run(fetches)


def test_boxes_of_a_stage_are_the_regions_of_the_next():
  """The first head moves down by half a height, that is 5 pixels."""
  calls = []
  branch = _cascade([_head([0., 1.], [.5, 0., 0., 0.], calls),
                     _head([0., 1.], [1., 0., 0., 0.], calls)],
                    class_agnostic=True)
  outputs, sampled = branch.training_outputs(
      _features(), tf.constant(ROIS),
      _labels([[15., 10., 24., 19.]], [1]), IMAGE_SHAPE)
  outputs, sampled = _run([outputs, sampled])
  np.testing.assert_allclose(sampled.rois, ROIS + [5., 0., 5., 0.], atol=1e-4)
  # 4.5 of 13.5 rows overlap at first, all of them then.
  np.testing.assert_array_equal(outputs['class_targets_0'], [[0, 0]])
  np.testing.assert_array_equal(outputs['class_targets_1'], [[1, 0]])
  np.testing.assert_allclose(outputs['box_targets_1'], np.zeros([1, 2, 4]),
                             atol=1e-5)
  assert calls == [([1, 2, 7, 7, 1], True)] * 2


def test_no_gradient_flows_from_a_stage_into_the_boxes_of_the_last():
  """They are where the next one looks, not what it learns."""
  deltas = tf.constant([.5, 0., 0., 0.])
  branch = _cascade([lambda roi_features, is_training: [
      tf.zeros([1, 2, 2]), tf.tile(deltas[tf.newaxis, tf.newaxis], [1, 2, 1])],
                     _head([0., 1.], [1., 0., 0., 0.])], class_agnostic=True)
  outputs, sampled = branch.training_outputs(
      _features(), tf.constant(ROIS),
      _labels([[15., 10., 24., 19.]], [1]), IMAGE_SHAPE)
  assert tf.gradients(outputs['box_outputs_0'], deltas)[0] is not None
  assert tf.gradients([sampled.rois, outputs['box_targets_1']],
                      deltas) == [None]


def test_weights_of_the_stage_scale_its_boxes():
  """The second stage counts half as much, and the third a quarter."""
  heads = [_head([0.], [0., -.4, 0., 0.])] * 3
  outputs = _cascade(heads, class_agnostic=True).detections(
      _features(), tf.constant(ROIS), IMAGE_SHAPE)
  assert outputs['weights'] == (4., 4., 4., 4.)
  _, _, rois, _ = outputs['args']
  moved = np.float32([0., 4. + 2., 0., 4. + 2.])
  np.testing.assert_allclose(_run(rois), ROIS - moved, atol=1e-4)


def test_regions_end_at_the_image():
  outputs = _cascade([_head([0.], [-2., 2., 0., 0.]), _head([0.], [0.] * 4)],
                     class_agnostic=True).detections(
                         _features(), tf.constant(ROIS), IMAGE_SHAPE)
  _, _, rois, _ = outputs['args']
  np.testing.assert_allclose(_run(rois), [[[0., 30., 0., 39.],
                                           [20., 60., 29., 63.]]], atol=1e-4)


# Boxes of background, class 1 and class 2: up, right, down by a size.
_OF_CLASSES = [-1., 0., 0., 0., 0., 1., 0., 0., 1., 0., 0., 0.]


def test_next_regions_are_boxes_of_the_matched_class_in_training():
  branch = _cascade([_head([0., 9., 0.], _OF_CLASSES)] * 2)
  _, sampled = branch.training_outputs(
      _features(), tf.constant(ROIS),
      _labels([[40., 40., 49., 49.], [-1.] * 4], [2, -1]), IMAGE_SHAPE)
  # The first is background.
  np.testing.assert_allclose(_run(sampled.rois), [[
      [0., 10., 9., 19.], [50., 40., 59., 49.]]], atol=1e-4)


@pytest.mark.parametrize('logits,moved', [
    ([0., 1., 2.], [10., 0., 10., 0.]), ([0., 2., 1.], [0., 10., 0., 10.]),
    ([3., 2., 1.], [-10., 0., -10., 0.])])
def test_next_regions_are_boxes_of_the_best_class_in_prediction(logits, moved):
  """Background included, as published models were evaluated."""
  outputs = _cascade([_head(logits, _OF_CLASSES)] * 2).detections(
      _features(), tf.constant(ROIS), IMAGE_SHAPE)
  _, _, rois, _ = outputs['args']
  np.testing.assert_allclose(_run(rois), ROIS + np.float32(moved), atol=1e-4)


@pytest.mark.parametrize('class_ensemble,expected', [
    (False, [4., 0., 0.]), (True, [2., 2., 1.])])
def test_ensemble_is_the_mean_of_the_logits(class_ensemble, expected):
  heads = [_head([0., 4., 2.], [0.] * 4), _head([4., 0., 0.], [0.] * 4)]
  outputs = _cascade(heads, class_agnostic=True,
                     class_ensemble=class_ensemble).detections(
                         _features(), tf.constant(ROIS), IMAGE_SHAPE)
  np.testing.assert_allclose(_run(outputs['args'][1]),
                             np.float32([[expected] * 2]))


def test_no_gradient_between_the_stages():
  first, second = tf.Variable([.1] * 4), tf.Variable([.2] * 4)
  def head(deltas):
    def run(roi_features, is_training):
      del is_training
      boxes = tf.tile(tf.reshape(deltas, [1, 1, 4]), [1, 2, 1])
      return tf.reduce_sum(roi_features, [2, 3]) * [0., 1.], boxes
    return run
  branch = _cascade([head(first), head(second)], class_agnostic=True)
  outputs, _ = branch.training_outputs(
      _features(), tf.constant(ROIS), _labels([[10., 10., 19., 19.]], [1]),
      IMAGE_SHAPE)
  of_second = tf.reduce_sum(outputs['box_outputs_1'] +
                            outputs['box_targets_1'])
  of_second += tf.reduce_sum(outputs['class_outputs_1'])
  assert tf.gradients(of_second, first) == [None]
  assert tf.gradients(of_second, second) != [None]


def test_losses_are_means_over_the_stages():
  """Log of two, and of 1 + e; box errors 0.5 and 1.5 in one of four numbers."""
  branch = _cascade([_head([0., 0.], [.5, 0., 0., 0.]),
                     _head([0., 1.], [1.5, 0., 0., 0.])], class_agnostic=True)
  outputs = {
      'class_outputs_0': tf.constant([[[0., 0.]]]),
      'class_outputs_1': tf.constant([[[1., 0.]]]),
      'box_outputs_0': tf.constant([[[.5, 0., 0., 0.]]]),
      'box_outputs_1': tf.constant([[[1.5, 0., 0., 0.]]])}
  for i in range(2):
    outputs['class_targets_%d' % i] = tf.constant([[1]])
    outputs['box_targets_%d' % i] = tf.zeros([1, 1, 4])
  losses = _run(dict(branch.losses(outputs),
                     **branch.shares_of_objects(outputs)))
  expected = {'fast_rcnn_class_loss_0': np.log(2.),
              'fast_rcnn_class_loss_1': np.log(1. + np.e),
              'fast_rcnn_box_loss_0': .125 / 4, 'fast_rcnn_box_loss_1': 1. / 4,
              'fg_bg_ratio_0': 1., 'fg_bg_ratio_1': 1.}
  for kind in ('class', 'box'):
    name = 'fast_rcnn_%s_loss' % kind
    expected[name] = (expected[name + '_0'] + expected[name + '_1']) / 2
  assert losses == pytest.approx(expected, rel=1e-5)


def test_one_stage_without_a_number_reports_its_losses_only():
  stage = box_branch.Stage(_head([0., 0.], [0.] * 8), _take_all(),
                           (10., 10., 5., 5.), '')
  branch = box_branch.BoxBranch(
      [stage], detections.generate_two_stage_detections, 1.)
  outputs, _ = branch.training_outputs(
      _features(), tf.constant(ROIS), _labels([[10., 10., 19., 19.]], [1]),
      IMAGE_SHAPE)
  assert set(outputs) == {'class_outputs', 'box_outputs', 'class_targets',
                          'box_targets'}
  assert set(branch.losses(outputs)) == {'fast_rcnn_class_loss',
                                         'fast_rcnn_box_loss'}
  assert not branch.shares_of_objects(outputs)


def test_detections_of_one_stage():
  """Class 1 everywhere, and a box twice as high; others score too little."""
  deltas = [0.] * 4 + [0., 0., 5. * np.log(2.), 0.] + [0.] * 4
  stage = box_branch.Stage(_head([0., 3., 0.], deltas), None,
                           (10., 10., 5., 5.), '')
  branch = box_branch.BoxBranch(
      [stage], detections.generate_two_stage_detections, 1.)
  outputs = _run(branch.detections(_features(), tf.constant(ROIS),
                                   IMAGE_SHAPE))
  np.testing.assert_array_equal(outputs['num_detections'], [2])
  np.testing.assert_array_equal(outputs['detection_classes'][0, :2], [1, 1])
  np.testing.assert_allclose(
      sorted(outputs['detection_boxes'][0, :2].tolist()),
      ROIS[0] + [-5., 0., 5., 0.], atol=1e-4)
