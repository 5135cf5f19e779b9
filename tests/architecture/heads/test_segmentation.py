"""The segmentation head: values by hand, names, upsampling."""

import numpy as np
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.heads import segmentation
from tests.architecture import graphs


def _head(num_classes=2, activation='relu', **settings):
  return segmentation.SegmentationHead(
      num_classes, normalization.BatchNormActivation(activation=activation),
      **settings)


def test_variables_with_upsampling():
  _head(5, num_convs=1, upsample_factor=2, upsample_num_filters=3)(
      tf.zeros([1, 4, 4, 2]), False)
  norm = ['gamma', 'beta', 'moving_mean', 'moving_variance']
  assert graphs.variables() == (
      [('segmentation/conv-0/kernel', [3, 3, 2, 2]),
       ('segmentation/conv-0/bias', [2])]
      + [('segmentation/conv-0-bn/' + n, [2]) for n in norm]
      + [('segmentation/deconv-upsample/kernel', [2, 2, 3, 2]),
         ('segmentation/deconv-upsample/bias', [3])]
      + [('segmentation/conv-upsample-bn/' + n, [3]) for n in norm]
      + [('segmentation/conv2d/kernel', [1, 1, 3, 5]),
         ('segmentation/conv2d/bias', [5])])


def test_without_batch_norm():
  _head(use_batch_norm=False, num_convs=2)(tf.zeros([1, 4, 4, 3]), True)
  assert graphs.names() == [
      'segmentation/conv-0/kernel', 'segmentation/conv-0/bias',
      'segmentation/conv-1/kernel', 'segmentation/conv-1/bias',
      'segmentation/conv2d/kernel', 'segmentation/conv2d/bias']


def test_values_by_hand():
  """Copies, cut at 0, then a class twice as strong as the other."""
  x = np.array([[1., -2.], [3., 4.]], np.float32).reshape([1, 2, 2, 1])
  logits = graphs.run(
      _head(use_batch_norm=False, num_convs=1)(tf.constant(x), False),
      {'segmentation/conv-0/kernel': graphs.centered(),
       'segmentation/conv2d/kernel': np.array([[[[1., 2.]]]])})
  np.testing.assert_allclose(logits[0, :, :, 0], [[1., 0.], [3., 4.]])
  np.testing.assert_allclose(logits[0, :, :, 1], [[2., 0.], [6., 8.]])


def test_upsampling_is_a_transposed_convolution():
  rng = np.random.RandomState(0)
  x, kernel = rng.randn(2, 3, 4, 2), rng.randn(2, 2, 3, 2)
  weights = rng.randn(1, 1, 3, 2)
  logits = _head(use_batch_norm=False, num_convs=0, upsample_factor=2,
                 upsample_num_filters=3)(tf.constant(x, tf.float32), False)
  expected = tf.nn.conv2d_transpose(
      tf.constant(x, tf.float32), tf.constant(kernel, tf.float32),
      [2, 6, 8, 3], [1, 2, 2, 1], 'VALID')
  expected = tf.nn.conv2d(tf.nn.relu(expected),
                          tf.constant(weights, tf.float32), [1] * 4, 'SAME')
  assert logits.shape.as_list() == [2, 6, 8, 2]
  logits, expected = graphs.run([logits, expected], {
      'segmentation/deconv-upsample/kernel': kernel,
      'segmentation/conv2d/kernel': weights})
  np.testing.assert_allclose(logits, expected, atol=1e-5)
