"""The dense head: what is shared, what is not, and where it starts."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.heads import retinanet
from tests.architecture import graphs

NUM_CLASSES, ANCHORS = 3, 2


def _head(min_level=3, max_level=4, **options):
  arguments = dict(num_convs=1, num_filters=4,
                   norm_activation=normalization.BatchNormActivation())
  return retinanet.RetinaNetHead(min_level, max_level, NUM_CLASSES, ANCHORS,
                                 **dict(arguments, **options))


def _features(levels=(3, 4), channels=4, value=1.):
  """{level: [2, h, w, channels]}: sides 2, 1."""
  return {level: tf.fill([2, 16 >> level, 16 >> level, channels], value)
          for level in levels}


def test_channels_of_the_outputs():
  classes, boxes = _head()(_features(), False)
  assert {level: v.shape.as_list() for level, v in classes.items()} == {
      3: [2, 2, 2, ANCHORS * NUM_CLASSES], 4: [2, 1, 1, ANCHORS * NUM_CLASSES]}
  assert {level: v.shape.as_list() for level, v in boxes.items()} == {
      3: [2, 2, 2, ANCHORS * 4], 4: [2, 1, 1, ANCHORS * 4]}


def test_variables_in_their_order():
  """Of each layer the convolution, then the normalizations of the levels."""
  _head(num_convs=2)(_features(), True)
  expected = []
  for tower in ('class', 'box'):
    scope = 'retinanet/%s_net/%s-' % (tower, tower)
    for i in (0, 1):
      expected += [scope + '%d/%s' % (i, kind) for kind in ('kernel', 'bias')]
      expected += [scope + '%d-%d/%s' % (i, level, kind)
                   for level in (3, 4) for kind in (
                       'gamma', 'beta', 'moving_mean', 'moving_variance')]
    expected += [scope + 'predict/' + kind for kind in ('kernel', 'bias')]
  assert graphs.names() == expected


def test_levels_share_the_convolutions():
  """The same features give the same outputs, whatever their level is."""
  features = tf.constant(np.random.RandomState(0).randn(2, 3, 3, 4),
                         tf.float32)
  outputs = _head(use_batch_norm=False, num_convs=2)(
      {3: features, 4: features}, False)
  # Larger kernels than those of the start, whose outputs hardly differ.
  large = {name: np.random.RandomState(i).randn(*shape)
           for i, (name, shape) in enumerate(graphs.variables())}
  for by_level in graphs.run(outputs, large):
    assert by_level[3].std() > 1.
    np.testing.assert_array_equal(by_level[3], by_level[4])


def test_levels_have_normalizations_of_their_own():
  classes, _ = _head()({3: tf.ones([1, 1, 1, 4]), 4: tf.ones([1, 1, 1, 4])},
                       False)
  predict = np.zeros([3, 3, 4, ANCHORS * NUM_CLASSES])
  predict[1, 1] = 1.
  classes = graphs.run(classes, {
      'retinanet/class_net/class-0/kernel': 0.,
      'retinanet/class_net/class-0-3/beta': 1.,
      'retinanet/class_net/class-0-4/beta': [2., -5., -5., -5.],
      'retinanet/class_net/class-predict/kernel': predict,
      'retinanet/class_net/class-predict/bias': 0.})
  np.testing.assert_allclose(classes[3].ravel(), [4.] * 6)
  # Negative values end at the relu after the normalization.
  np.testing.assert_allclose(classes[4].ravel(), [2.] * 6)


@pytest.mark.parametrize('use_separable_conv', [False, True])
def test_first_predictions_are_the_prior(use_separable_conv):
  """Every anchor is an object with probability 0.01, and its box the anchor.

  Also with separable convolutions, where the reference starts from Glorot's
  larger kernels (Q22).
  """
  tf.set_random_seed(0)
  classes, boxes = _head(use_separable_conv=use_separable_conv)(
      _features(value=3.), True)
  probability, boxes = graphs.run([
      {level: tf.sigmoid(logits) for level, logits in classes.items()}, boxes])
  for level in (3, 4):
    np.testing.assert_allclose(probability[level], .01, rtol=1e-3)
    np.testing.assert_allclose(boxes[level], 0., atol=1e-3)


def test_kernels_start_with_their_deviations():
  tf.set_random_seed(0)
  _head(num_filters=32)(_features(channels=32), True)
  values = graphs.run({v.op.name: v for v in tf.global_variables()})
  for tower in ('class', 'box'):
    scope = 'retinanet/%s_net/%s-' % (tower, tower)
    assert values[scope + '0/kernel'].std() == pytest.approx(.01, rel=.03)
    assert values[scope + 'predict/kernel'].std() == pytest.approx(1e-5,
                                                                   rel=.1)
    assert not values[scope + '0/bias'].any()
  np.testing.assert_allclose(values['retinanet/class_net/class-predict/bias'],
                             -np.log(99.), rtol=1e-6)
  assert not values['retinanet/box_net/box-predict/bias'].any()


def test_without_normalization_the_activation_stays():
  classes, _ = _head(4, 4, use_batch_norm=False)(_features((4,)), False)
  assert not [n for n in graphs.names() if 'gamma' in n]
  predict = np.ones([3, 3, 4, ANCHORS * NUM_CLASSES])
  classes = graphs.run(classes, {
      'retinanet/class_net/class-0/kernel': 0.,
      'retinanet/class_net/class-0/bias': [5., -1., -1., -1.],
      'retinanet/class_net/class-predict/kernel': predict,
      'retinanet/class_net/class-predict/bias': .5})
  np.testing.assert_allclose(classes[4], 5.5)


def test_no_convolution_before_the_prediction():
  _head(num_convs=0)(_features(), True)
  assert graphs.names() == [
      'retinanet/%s_net/%s-predict/%s' % (tower, tower, kind)
      for tower in ('class', 'box') for kind in ('kernel', 'bias')]
