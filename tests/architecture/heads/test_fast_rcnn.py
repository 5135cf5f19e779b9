"""The box head: names, order of the numbers, and what they are made of."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.heads import fast_rcnn
from tests.architecture import graphs

NUM_CLASSES = 3


def _head(**options):
  arguments = dict(num_filters=4, fc_dims=5,
                   norm_activation=normalization.BatchNormActivation())
  return fast_rcnn.FastRCNNHead(NUM_CLASSES, **dict(arguments, **options))


def test_shapes_and_variables():
  classes, boxes = _head()(tf.zeros([2, 6, 7, 7, 2]), True)
  assert classes.shape.as_list() == [2, 6, NUM_CLASSES]
  assert boxes.shape.as_list() == [2, 6, NUM_CLASSES * 4]
  assert graphs.variables() == [
      ('fast_rcnn_head/fc6/kernel', [98, 5]), ('fast_rcnn_head/fc6/bias', [5]),
      ('fast_rcnn_head/fc7/kernel', [5, 5]), ('fast_rcnn_head/fc7/bias', [5]),
      ('fast_rcnn_head/class-predict/kernel', [5, 3]),
      ('fast_rcnn_head/class-predict/bias', [3]),
      ('fast_rcnn_head/box-predict/kernel', [5, 12]),
      ('fast_rcnn_head/box-predict/bias', [12])]


def test_normalizations_are_counted_through_convolutions_and_dense_layers():
  _head(num_convs=2, num_fcs=1, use_batch_norm=True)(
      tf.zeros([1, 2, 7, 7, 2]), True)
  names = [n.split('/', 1)[1] for n in graphs.names()
           if n.endswith(('kernel', 'gamma'))]
  assert names == [
      'conv_0/kernel', 'batch_normalization/gamma',
      'conv_1/kernel', 'batch_normalization_1/gamma',
      'fc6/kernel', 'batch_normalization_2/gamma',
      'class-predict/kernel', 'box-predict/kernel']


def test_rows_of_the_first_dense_layer():
  """Row (y * width + x) * channels + c, for each RoI on its own."""
  features = np.zeros([1, 2, 2, 2, 3], np.float32)
  features[0, 0, 1, 0, 2] = 1.  # row 8
  features[0, 1, 0, 1, 0] = 2.  # row 3
  classes, boxes = _head(num_fcs=1, fc_dims=1)(tf.constant(features), False)
  classes, boxes = graphs.run([classes, boxes], {
      'fast_rcnn_head/fc6/kernel': np.arange(12.)[:, np.newaxis],
      'fast_rcnn_head/class-predict/kernel': [[1., 0., -1.]],
      'fast_rcnn_head/class-predict/bias': [0., 7., 0.],
      'fast_rcnn_head/box-predict/kernel': np.eye(1, 12, 5)})
  np.testing.assert_allclose(classes, [[[8., 7., -8.], [6., 7., -6.]]])
  np.testing.assert_allclose(boxes[0, :, 5], [8., 6.])
  assert not np.delete(boxes, 5, axis=2).any()


def test_activations_between_the_layers():
  classes, _ = _head(fc_dims=2)(tf.ones([1, 1, 1, 1, 1]), False)
  classes = graphs.run(classes, {
      'fast_rcnn_head/fc6/kernel': [[1., -1.]],
      'fast_rcnn_head/fc7/kernel': [[2., -1.], [100., 100.]],
      'fast_rcnn_head/class-predict/kernel': [[1., 0., 3.], [9., 9., 9.]]})
  np.testing.assert_allclose(classes, [[[2., 0., 6.]]])


def test_one_box_for_all_classes():
  _, boxes = _head(class_agnostic_bbox_pred=True)(
      tf.zeros([2, 6, 7, 7, 2]), True)
  assert boxes.shape.as_list() == [2, 6, 4]


def test_separable_convolutions_before_plain_dense_layers():
  _head(num_convs=1, use_separable_conv=True)(tf.zeros([1, 1, 7, 7, 2]), True)
  assert graphs.variables()[:4] == [
      ('fast_rcnn_head/conv_0/depthwise_kernel', [3, 3, 2, 1]),
      ('fast_rcnn_head/conv_0/pointwise_kernel', [1, 1, 2, 4]),
      ('fast_rcnn_head/conv_0/bias', [4]),
      ('fast_rcnn_head/fc6/kernel', [196, 5])]


def test_predictions_straight_from_the_features():
  classes, _ = _head(num_fcs=0)(tf.ones([1, 2, 1, 1, 2]), False)
  classes = graphs.run(classes, {
      'fast_rcnn_head/class-predict/kernel': [[1., 2., 3.], [10., 20., 30.]]})
  np.testing.assert_allclose(classes, [[[11., 22., 33.]] * 2])


def test_kernels_start_with_their_deviations():
  tf.set_random_seed(0)
  _head(num_convs=1, num_filters=32, fc_dims=64)(
      tf.zeros([1, 1, 2, 2, 32]), True)
  values = graphs.run({v.op.name: v for v in tf.global_variables()})
  def deviation(name):
    return values['fast_rcnn_head/%s/kernel' % name].std()
  assert deviation('conv_0') == pytest.approx(np.sqrt(2. / (9 * 32)), rel=.05)
  assert deviation('fc6') == pytest.approx(np.sqrt(2. / (128 + 64)), rel=.05)
  assert deviation('class-predict') == pytest.approx(.01, rel=.2)
  assert deviation('box-predict') == pytest.approx(.001, rel=.1)
