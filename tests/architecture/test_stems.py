"""The first convolution of backbones, folded for XLA."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from architecture import stems
from ops import preprocess
from tests.architecture import graphs


def test_folded_pixels_are_those_of_the_input_pipeline():
  images = tf.constant(np.random.RandomState(0).randn(2, 6, 8, 3), tf.float32)
  got, want = graphs.run([
      stems.fold(images), preprocess.transpose_images(images, 2, False)])
  np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize('size, folds', [
    ((6, 8), True), ((2, 2), True), ((7, 8), False), ((8, 5), False)])
def test_xla_gets_the_same_convolution(size, folds):
  """Values and both gradients, with the same variable."""
  rng = np.random.RandomState(0)
  images = tf.constant(rng.randn(2, size[0], size[1], 3), tf.float32)
  results = []
  for name in ('plain', 'folded'):
    with tf.variable_scope(name):
      if name == 'folded':
        with tpu_function.tpu_shard_context(1):
          outputs = stems.conv7x7(images, 5)
      else:
        outputs = stems.conv7x7(images, 5)
    kernel = tf.trainable_variables()[-1]
    assert kernel.op.name == name + '/conv2d/kernel'
    assert kernel.shape.as_list() == [7, 7, 3, 5]
    weights = np.random.RandomState(1).randn(*outputs.shape.as_list())
    results.append([outputs] + tf.gradients(
        tf.reduce_sum(outputs * weights.astype(np.float32)), [images, kernel]))
  values = rng.randn(7, 7, 3, 5)
  got, want = graphs.run(results, {'plain/conv2d/kernel': values,
                                   'folded/conv2d/kernel': values})
  for left, right in zip(got, want):
    np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)
  depths = {op.inputs[0].shape[-1].value
            for op in tf.get_default_graph().get_operations()
            if op.type == 'Conv2D'}
  assert depths == ({3, 12} if folds else {3})
