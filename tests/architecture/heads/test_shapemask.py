"""ShapeMask's heads: names, and hand-made numbers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.heads import shapemask
from ops import roi_align
from tests.architecture import graphs

SIZE = 4
# The whole box, of which twice as large an outer box has the middle.
BOXES = np.array([[[8., 8., 16., 16.], [8., 8., 16., 16.]]], np.float32)
OUTER = np.array([[[4., 4., 20., 20.], [4., 4., 20., 20.]]], np.float32)
NORM = normalization.BatchNormActivation(trainable=False)


def _prior_head(priors, features=None, num_channels=3, classes=(0, 0)):
  if features is None:
    features = {3: tf.ones([1, 4, 4, 2])}
  head = shapemask.ShapePriorHead(np.float32(priors), num_channels)
  return head(features, tf.constant(BOXES), tf.constant(OUTER),
              tf.constant([classes], tf.int32))


def test_variables_and_shapes_of_the_priors():
  crops, masks = _prior_head(np.zeros([5, 7, SIZE, SIZE]))
  assert crops.shape.as_list()[1:] == [2, SIZE, SIZE, 3]
  assert masks.shape.as_list()[1:] == [2, SIZE, SIZE]
  assert graphs.variables() == [
      ('prior_mask/dense/kernel', [2, 3]), ('prior_mask/dense/bias', [3]),
      ('prior_mask/dense_1/kernel', [3, 35]),
      ('prior_mask/dense_1/bias', [35])]
  assert tf.get_default_graph().get_tensor_by_name(
      'prior_mask/shape_prior_weights:0').shape.as_list()[1:] == [7]


def test_projection_and_crop_may_change_places():
  """Crops are made of fewer channels; the reference projects the crops."""
  rng = np.random.RandomState(0)
  features = {level: tf.constant(rng.randn(1, 16 >> level, 16 >> level, 5),
                                 tf.float32) for level in (1, 2)}
  crops, _ = _prior_head(np.zeros([1, 1, SIZE, SIZE]), features)
  kernel, bias = tf.trainable_variables()[:2]
  plain = roi_align.multilevel_roi_align(features, tf.constant(OUTER), SIZE)
  plain = tf.tensordot(plain, kernel, 1) + bias
  crops, plain = graphs.run([crops, plain], {'prior_mask/dense/bias': .5})
  np.testing.assert_allclose(crops, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('num_classes', [1, 3])
def test_mixture_within_the_outer_box(num_classes):
  """Shares by softmax; the prior fills the middle of the outer box."""
  priors = np.zeros([num_classes, 2, SIZE, SIZE])
  priors[-1, 0], priors[-1, 1] = 1., .5
  _, masks = _prior_head(priors, classes=(2, 7))  # 7 is none: the last class
  bias = np.zeros([num_classes, 2])
  bias[-1] = np.log([3., 1.])
  masks = graphs.run(masks, {'prior_mask/dense_1/kernel': 0.,
                             'prior_mask/dense_1/bias': bias.ravel()})
  # Samples at the corners of the pixels: -2, 0, 2 and 4 of the prior's four,
  # the last of them behind its end.
  expected = np.outer([0., 1., 1., 0.], [0., 1., 1., 0.]) * (3. + .5) / 4.
  np.testing.assert_allclose(masks[0], [expected, expected], rtol=1e-5)


def test_shares_come_from_the_inside_of_the_box():
  """A logit is the mean of the features over the outer box, 0 outside."""
  head = _prior_head(np.stack([[np.ones([SIZE, SIZE]),
                                np.zeros([SIZE, SIZE])]]))
  weights = tf.get_default_graph().get_tensor_by_name(
      'prior_mask/shape_prior_weights:0')
  del head
  weights = graphs.run(weights, {
      'prior_mask/dense/kernel': 0., 'prior_mask/dense/bias': [8., 0., 0.],
      'prior_mask/dense_1/kernel': [[1., 0.], [0., 0.], [0., 0.]]})
  # A quarter of the pixels of the outer box is inside: 8 / 4.
  np.testing.assert_allclose(weights[0], np.array([np.exp(2.), 1.])
                             / (np.exp(2.) + 1.), rtol=1e-5)


def _refine(head, features, masks, classes=(0, 1), is_training=False):
  return head(tf.constant(features, tf.float32), tf.constant(masks, tf.float32),
              tf.constant([classes]), is_training)


@pytest.mark.parametrize('kind, factor', [('coarse', 1), ('fine', 4),
                                          ('fine', 1)])
def test_variables_and_shapes(kind, factor):
  if kind == 'coarse':
    head = shapemask.CoarseMaskHead(5, 2, normalization.BatchNormActivation())
  else:
    head = shapemask.FineMaskHead(5, 2, normalization.BatchNormActivation(),
                                  upsample_factor=factor)
  outputs = _refine(head, np.zeros([1, 2, SIZE, SIZE, 3]),
                    np.zeros([1, 2, SIZE, SIZE]), is_training=True)
  assert outputs.shape.as_list()[1:] == [2, SIZE * factor, SIZE * factor]
  names = [n.split('/', 1)[1] for n in graphs.names() if 'moving' not in n]
  upsampling = ['conv2d_transpose/kernel', 'conv2d_transpose/bias']
  assert names == [
      'dense/kernel', 'dense/bias', 'class-0/kernel', 'class-0/bias',
      'class-0-bn/gamma', 'class-0-bn/beta', 'class-1/kernel', 'class-1/bias',
      'class-1-bn/gamma', 'class-1-bn/beta'
  ] + upsampling * (factor > 1) + ['class-predict/kernel', 'class-predict/bias']
  assert all(n.startswith(kind + '_mask/') for n in graphs.names())
  bias = graphs.run({v.op.name: v for v in tf.global_variables()})[
      kind + '_mask/class-predict/bias']
  np.testing.assert_allclose(bias, -np.log(99.), rtol=1e-5)


def test_coarse_mask_by_hand():
  """Features and mask are added; the class picks the channel."""
  head = shapemask.CoarseMaskHead(3, 0, NORM)
  masks = np.zeros([1, 2, SIZE, SIZE])
  masks[0, :, 1, 2] = 1.
  outputs = graphs.run(
      _refine(head, np.full([1, 2, SIZE, SIZE, 1], 2.), masks, (2, 0)),
      {'coarse_mask/dense/kernel': 10., 'coarse_mask/dense/bias': .5,
       'coarse_mask/class-predict/kernel': [[[[0., 9., 1.]]]],
       'coarse_mask/class-predict/bias': [.25, 9., 1.]})
  np.testing.assert_allclose([outputs[0, 0, 1, 2], outputs[0, 0, 0, 0]],
                             [13.5, 3.5], rtol=1e-5)
  np.testing.assert_allclose(outputs[0, 1], .25)


def test_fine_mask_sees_how_pixels_differ_from_the_inside():
  head = shapemask.FineMaskHead(1, 0, NORM, upsample_factor=1)
  features = np.zeros([1, 2, SIZE, SIZE, 1])
  features[:, :, :2] = 6.  # the upper half
  logits = np.full([1, 2, SIZE, SIZE], -9.)
  logits[0, 0, :2] = 9.  # is inside of the first mask; the second is empty
  outputs = graphs.run(
      _refine(head, features, logits),
      {'fine_mask/dense/kernel': 0.,
       'fine_mask/class-predict/kernel': 1.,
       'fine_mask/class-predict/bias': 0.})
  np.testing.assert_allclose(outputs[0, 0], [[0.] * 4] * 2 + [[-6.] * 4] * 2,
                             atol=1e-5)
  np.testing.assert_allclose(outputs[0, 1], [[6.] * 4] * 2 + [[0.] * 4] * 2,
                             atol=1e-5)


def test_bfloat16():
  with tf.tpu.bfloat16_scope():
    crops, masks = _prior_head(np.ones([1, 2, SIZE, SIZE]),
                               {3: tf.ones([1, 4, 4, 2], tf.bfloat16)})
    assert crops.dtype == tf.bfloat16 and masks.dtype == tf.float32
    classes = tf.zeros([1, 2], tf.int32)
    norm = normalization.BatchNormActivation()
    coarse = shapemask.CoarseMaskHead(1, 1, norm)(crops, masks, classes, True)
    fine = shapemask.FineMaskHead(1, 1, norm)(crops, coarse, classes, True)
  assert coarse.dtype == fine.dtype == tf.bfloat16
  assert np.isfinite(graphs.run(tf.cast(fine, tf.float32))).all()
