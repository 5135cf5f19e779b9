"""The head of the region proposal network: names, sharing, numbers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.heads import rpn
from tests.architecture import graphs

ANCHORS = 2


def _head(min_level=2, max_level=3, **options):
  arguments = dict(num_filters=3,
                   norm_activation=normalization.BatchNormActivation())
  return rpn.RPNHead(min_level, max_level, ANCHORS,
                     **dict(arguments, **options))


def _features(levels=(2, 3), channels=3):
  """{level: [1, h, w, channels] of ones}: sides 2, 1."""
  return {level: tf.ones([1, 8 >> level, 8 >> level, channels])
          for level in levels}


def test_shapes_and_variables():
  scores, boxes = _head()(_features(channels=5), True)
  assert {level: v.shape.as_list() for level, v in scores.items()} == {
      2: [1, 2, 2, ANCHORS], 3: [1, 1, 1, ANCHORS]}
  assert {level: v.shape.as_list() for level, v in boxes.items()} == {
      2: [1, 2, 2, ANCHORS * 4], 3: [1, 1, 1, ANCHORS * 4]}
  assert graphs.variables() == [
      ('rpn_head/rpn/kernel', [3, 3, 5, 3]), ('rpn_head/rpn/bias', [3]),
      ('rpn_head/rpn-class/kernel', [1, 1, 3, ANCHORS]),
      ('rpn_head/rpn-class/bias', [ANCHORS]),
      ('rpn_head/rpn-box/kernel', [1, 1, 3, ANCHORS * 4]),
      ('rpn_head/rpn-box/bias', [ANCHORS * 4])]


def test_names_of_further_convolutions_and_normalizations():
  _head(num_convs=2, use_batch_norm=True)(_features(), True)
  names = [n for n in graphs.names() if not n.endswith(('bias', 'beta'))
           and 'moving' not in n]
  assert names == [
      'rpn_head/rpn/kernel', 'rpn_head/rpn-l2-bn/gamma',
      'rpn_head/rpn-l3-bn/gamma',
      'rpn_head/rpn-1/kernel', 'rpn_head/rpn-l2-bn-1/gamma',
      'rpn_head/rpn-l3-bn-1/gamma',
      'rpn_head/rpn-class/kernel', 'rpn_head/rpn-box/kernel']


def test_numbers_by_hand():
  """Pixels of ones: a 3x3 kernel of ones counts those inside of the map."""
  scores, boxes = _head(num_filters=1)(_features(channels=1), False)
  scores, boxes = graphs.run([scores, boxes], {
      'rpn_head/rpn/kernel': 1., 'rpn_head/rpn/bias': -2.,
      'rpn_head/rpn-class/kernel': [[[[1., -1.]]]],
      'rpn_head/rpn-class/bias': [0., 5.],
      'rpn_head/rpn-box/kernel': np.arange(8.).reshape(1, 1, 1, 8)})
  # Level 2 sees 4 pixels from each of its 4, level 3 only one: relu(1 - 2).
  np.testing.assert_allclose(scores[2], np.broadcast_to([2., 3.], [1, 2, 2, 2]))
  np.testing.assert_allclose(scores[3], [[[[0., 5.]]]])
  np.testing.assert_allclose(boxes[2][0, 1, 1], 2. * np.arange(8.))
  np.testing.assert_allclose(boxes[3][0, 0, 0], np.zeros(8))


def test_normalizations_belong_to_a_level():
  scores, _ = _head(num_filters=1, use_batch_norm=True)(
      _features(channels=1), False)
  scores = graphs.run(scores, {
      'rpn_head/rpn/kernel': 0., 'rpn_head/rpn-l2-bn/beta': 3.,
      'rpn_head/rpn-l3-bn/beta': -3., 'rpn_head/rpn-class/kernel': 1.})
  np.testing.assert_allclose(scores[2], np.full([1, 2, 2, 2], 3.))
  np.testing.assert_allclose(scores[3], np.zeros([1, 1, 1, 2]))


def test_separable_convolutions_all_over():
  _head(use_separable_conv=True)(_features(), False)
  assert [n.split('/', 1)[1] for n in graphs.names()] == [
      layer + '/' + kind for layer in ('rpn', 'rpn-class', 'rpn-box')
      for kind in ('depthwise_kernel', 'pointwise_kernel', 'bias')]


@pytest.mark.parametrize('use_separable_conv', [False, True])
def test_kernels_start_small(use_separable_conv):
  tf.set_random_seed(0)
  _head(num_filters=64, use_separable_conv=use_separable_conv)(
      _features(channels=64), True)
  values = graphs.run({v.op.name: v for v in tf.global_variables()})
  kind = 'pointwise_kernel' if use_separable_conv else 'kernel'
  for name in ('rpn-class', 'rpn-box'):
    assert values['rpn_head/%s/%s' % (name, kind)].std() == pytest.approx(
        .01, rel=.2)
    assert not values['rpn_head/%s/bias' % name].any()
  if not use_separable_conv:
    assert values['rpn_head/rpn/kernel'].std() == pytest.approx(.01, rel=.02)


@pytest.mark.parametrize('cast_to_float32,dtype', [
    (False, tf.bfloat16), (True, tf.float32)])
def test_predictions_in_float32_on_request(cast_to_float32, dtype):
  features = {3: tf.ones([1, 2, 2, 3], tf.bfloat16)}
  with tf.tpu.bfloat16_scope():
    scores, boxes = _head(3, 3, cast_to_float32=cast_to_float32)(features, True)
  assert scores[3].dtype == boxes[3].dtype == dtype
  assert all(v.dtype.base_dtype == tf.float32 for v in tf.global_variables())
