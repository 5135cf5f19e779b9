"""Tests of ops/boxes.py."""

import math

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import shown_labels
from ops import boxes as box_ops
from tests import golden

CASES = golden.load_cases('box_utils')


def _cases(start):
  cases = [case for case in CASES if case.name.startswith(start)]
  assert cases
  return pytest.mark.parametrize('case', cases, ids=lambda case: case.name)


def _run(fetches):
  with tf.Session() as session:
    return session.run(fetches)


def _check(got, expected):
  np.testing.assert_allclose(_run(got), expected, rtol=1e-5, atol=1e-4)


@_cases('encode_decode')
def test_coding_equals_the_reference(case):
  boxes, anchors = case.inputs['boxes'], case.inputs['anchors']
  weights = case.params['weights']
  encoded = box_ops.encode_boxes(boxes, anchors, weights)
  _check(encoded, case.outputs['encoded'])
  _check(box_ops.decode_boxes(case.outputs['encoded'], anchors, weights),
         case.outputs['decoded'])
  _check(box_ops.decode_boxes(case.inputs['encoded2'], anchors, weights),
         case.outputs['decoded2'])


@_cases('coder')
def test_anchor_coding_equals_the_reference(case):
  boxes, anchors = case.inputs['boxes'], case.inputs['anchors']
  weights = case.params['scale_factors']
  _check(box_ops.encode_anchor_targets(boxes, anchors, weights),
         case.outputs['enc'])
  deltas = case.outputs['enc'] / np.float32(weights or [1.])
  np.testing.assert_allclose(shown_labels.decode_targets(deltas, anchors),
                             case.outputs['dec'], rtol=1e-5, atol=1e-4)


@_cases('simple')
def test_simple_functions_equal_the_reference(case):
  boxes, expected = case.inputs['boxes'], case.outputs
  for kind, shape in (('list', [float(x) for x in case.inputs['image_shape']]),
                      ('tensor', case.inputs['image_shape_tensor'])):
    _check(box_ops.clip_boxes(boxes, shape), expected['clip_' + kind])
    # The stored input is the boxes divided by 200.
    _check(box_ops.denormalize_boxes(boxes / np.float32(200.), shape),
           expected['denorm_' + kind])
  for name, scale in (('outer_1', 1.), ('outer_125', 1.25), ('outer_2', 2.)):
    _check(box_ops.outer_boxes(boxes[1], list(case.inputs['image_shape']),
                               scale), expected[name])
  np.testing.assert_array_equal(_run(box_ops.non_empty_indices(boxes[0])),
                                expected['nonempty'])
  np.testing.assert_array_equal(_run(box_ops.non_empty_indices(boxes[0], 20.)),
                                expected['nonempty20'])


@_cases('filter')
def test_filters_equal_the_reference(case):
  boxes, scores = case.inputs['boxes'], case.inputs['scores']
  if 'image_shape' in case.inputs:
    got = box_ops.filter_by_size(boxes, scores, case.inputs['image_shape'],
                                 case.params['min_size_threshold'])
  else:
    got = box_ops.filter_by_score(boxes, scores,
                                  case.params['min_score_threshold'])
  got_boxes, got_scores = _run(got)
  np.testing.assert_allclose(got_boxes, case.outputs['boxes'], atol=1e-4)
  np.testing.assert_allclose(got_scores, case.outputs['scores'], atol=1e-5)


@_cases('topk')
def test_top_k_equals_the_reference(case):
  got = _run(box_ops.top_k_boxes(tf.constant(case.inputs['boxes']),
                                 tf.constant(case.inputs['scores']),
                                 case.params['k']))
  np.testing.assert_allclose(got[0], case.outputs['boxes'], atol=1e-4)
  np.testing.assert_allclose(got[1], case.outputs['scores'], atol=1e-5)


@pytest.mark.parametrize('case', [c for c in CASES if c.name == 'iou'],
                         ids=lambda case: case.name)
def test_overlaps_equal_the_reference(case):
  _check(box_ops.pairwise_iou(case.inputs['boxes'], case.inputs['gt_boxes']),
         case.outputs['iou'])


@_cases('iou_boxlist')
def test_overlaps_of_lists_equal_the_reference(case):
  boxes, others = case.inputs['boxes1'], case.inputs['boxes2']
  _check(box_ops.paired_iou(boxes[:, np.newaxis], others[np.newaxis]),
         case.outputs['iou'])
  def intersection(boxes, others):
    return box_ops._intersection(*(
        tf.unstack(boxes, axis=-1) + tf.unstack(others, axis=-1)))
  _check(intersection(boxes[:, np.newaxis], others[np.newaxis]),
         case.outputs['inter'])
  # Of a box with itself: its area.
  _check(intersection(others, others), case.outputs['area'])


@_cases('jitter')
def test_jitter_equals_the_reference(case):
  got = box_ops.jitter_boxes(case.inputs['boxes'], case.params['noise_scale'],
                             unit_normal=case.inputs['unit_normal'])
  _check(got, case.outputs['boxes'])


def test_decode_by_hand():
  """Down by half a height, twice as wide around its centre; sizes plus one."""
  deltas = [[.5, 0., 0., math.log(2.)]]
  got = _run(box_ops.decode_boxes(deltas, [[0., 0., 9., 19.]]))
  np.testing.assert_allclose(got, [[5., -10., 14., 29.]], atol=1e-5)
  got = shown_labels.decode_targets(np.array(deltas),
                                       np.array([[0., 0., 10., 20.]]))
  np.testing.assert_allclose(got, [[5., -10., 15., 30.]], atol=1e-5)


def test_decode_clamps_the_size():
  got = _run(box_ops.decode_boxes([[0., 0., 1e4, 50.]], [[0., 0., 15., 31.]],
                                  weights=(1., 1., 1., 2.)))
  np.testing.assert_allclose(got[0, 2:] - got[0, :2] + 1., [1000., 2000.],
                             rtol=1e-5)


@pytest.mark.parametrize('weights', [None, (10., 10., 5., 5.)])
def test_round_trips(weights):
  rng = np.random.RandomState(0)
  corners = np.sort(rng.uniform(0., 300., [2, 50, 2, 2]), axis=2)
  boxes, anchors = corners.reshape([2, 50, 4]).astype(np.float32)
  # No anchor so thin that the clamp matters.
  anchors[:, 2:] = np.maximum(anchors[:, 2:], anchors[:, :2] + 20.)
  deltas = box_ops.encode_boxes(boxes, anchors, weights)
  _check(box_ops.decode_boxes(deltas, anchors, weights), boxes)
  deltas = _run(box_ops.encode_anchor_targets(boxes, anchors, weights))
  deltas /= np.float32(weights or [1.])
  np.testing.assert_allclose(shown_labels.decode_targets(deltas, anchors),
                             boxes, rtol=1e-5, atol=1e-4)
  shape = (200, 100)
  _check(box_ops.denormalize_boxes(boxes / np.float32(shape * 2), shape), boxes)


def test_empty_inputs_and_empty_boxes():
  none = tf.zeros([0, 4])
  for value in _run([
      box_ops.encode_boxes(none, none), box_ops.decode_boxes(none, none),
      box_ops.encode_anchor_targets(none, none),
      box_ops.clip_boxes(none, (9, 9)), box_ops.outer_boxes(none, (9, 9), 2.),
      box_ops.jitter_boxes(none)]):
    assert value.shape == (0, 4)
  assert _run(box_ops.non_empty_indices(none)).shape == (0,)
  assert _run(box_ops.pairwise_iou(tf.zeros([2, 5, 4]),
                                   tf.zeros([2, 0, 4]))).shape == (2, 5, 0)
  point = [[5., 5., 5., 5.]]
  assert _run(box_ops.paired_iou(point, point)) == [0.]


@pytest.mark.parametrize('encode', [box_ops.encode_boxes,
                                    box_ops.encode_anchor_targets])
def test_codes_of_empty_boxes_are_finite(encode):
  """Through a placeholder: constants are folded before they are optimized."""
  boxes = tf.placeholder(tf.float32, [None, 4])
  codes = encode(boxes, tf.constant([[0., 0., 10., 10.]]))
  with tf.Session() as session:
    values = session.run(codes, {boxes: [[5., 5., 5., 5.], [9., 9., 3., 3.]]})
  assert np.isfinite(values).all()


def test_overlap_by_hand():
  boxes = [[[0., 0., 10., 10.], [0., 0., 5., 5.], [20., 20., 30., 30.]]]
  gt_boxes = [[[0., 5., 10., 15.], [-1.] * 4, [0., 0., 10., 10.]]]
  got = _run(box_ops.pairwise_iou(tf.constant(boxes), tf.constant(gt_boxes)))
  np.testing.assert_allclose(
      got[0], [[1. / 3, -1., 1.], [0., -1., .25], [0., -1., 0.]], atol=1e-6)


def test_gradients_of_coding_are_finite():
  deltas = tf.constant([[0., 0., 100., -100.], [1., -1., 5., 0.]])
  anchors = tf.constant([[0., 0., 9., 9.], [0., 0., 0., 0.]])
  decoded = box_ops.decode_boxes(deltas, anchors)
  gradient, = tf.gradients(decoded, deltas)
  assert np.isfinite(_run(gradient)).all()


def test_outer_boxes_do_not_shrink():
  with pytest.raises(ValueError, match='at least 1'):
    box_ops.outer_boxes(tf.zeros([1, 4]), (9, 9), .5)


def test_last_dimension_is_checked():
  for function in (box_ops.encode_boxes, box_ops.decode_boxes,
                   box_ops.encode_anchor_targets):
    with pytest.raises(ValueError):
      function(tf.zeros([2, 3]), tf.zeros([2, 4]))
    with pytest.raises(ValueError):
      function(tf.zeros([2, 4]), tf.zeros([2, 5]))
