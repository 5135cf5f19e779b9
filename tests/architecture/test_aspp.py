"""Atrous spatial pyramid pooling: names, windows, gradients."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import aspp
from architecture import layers
from tests.architecture import graphs


def test_variables():
  aspp.ASPP(4)(tf.zeros([1, 8, 8, 3]), False)
  kernels = [(n, s) for n, s in graphs.variables() if 'kernel' in n]
  sides = [1, 1, 3, 3, 3, 1]
  assert kernels == [
      ('aspp/conv2d%s/kernel' % ('_%d' % i if i else ''),
       [side, side, 20 if i == 5 else 3, 4]) for i, side in enumerate(sides)]
  assert len(graphs.names()) == 6 * 5


@pytest.mark.parametrize('rate', [1, 2, 6])
def test_dilated_convolution_reads_every_rate_th_pixel(rate):
  rng = np.random.RandomState(0)
  x, kernel = rng.randn(1, 13, 11, 2), rng.randn(3, 3, 2, 4)
  y = layers.dilated_conv2d(tf.constant(x, tf.float32), 4, 3, rate)
  padded = np.pad(x, [(0, 0), (rate, rate), (rate, rate), (0, 0)], 'constant')
  expected = sum(
      np.tensordot(padded[:, i * rate:i * rate + 13, j * rate:j * rate + 11],
                   kernel[i, j], 1) for i in range(3) for j in range(3))
  np.testing.assert_allclose(graphs.run(y, {'conv2d/kernel': kernel}),
                             expected, atol=1e-5)


def test_all_kernels_learn():
  """CPU kernels lack gradients of dilated convolutions: another way is taken.
  """
  y = aspp.ASPP(2)(tf.constant(graphs.ramp(2, 24, 24, 3) % 7.), True)
  kernels = [v for v in tf.trainable_variables() if 'kernel' in v.name]
  gradients = graphs.run(tf.gradients(tf.reduce_sum(y ** 2), kernels))
  assert len(gradients) == 6
  for gradient in gradients:
    assert np.abs(gradient).max() > 0


def test_first_branch_sees_the_mean():
  x = np.zeros([1, 4, 4, 1], np.float32)
  x[0, 0, 0] = 16.
  y = aspp.ASPP(1)(tf.constant(x), False)
  last = np.zeros([1, 1, 5, 1], np.float32)
  last[0, 0, 0] = 1.
  got = graphs.run(y, {'aspp/conv2d/kernel': 1., 'aspp/conv2d_5/kernel': last})
  np.testing.assert_allclose(got, np.ones([1, 4, 4, 1]), rtol=1e-3)
