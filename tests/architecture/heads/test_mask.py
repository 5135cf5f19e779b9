"""The mask head: names, the channel of a class, and hand-made numbers."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from architecture import normalization
from architecture.heads import mask
from tests.architecture import graphs

NUM_CLASSES = 4


def _head(**options):
  arguments = dict(num_convs=1, num_filters=3,
                   norm_activation=normalization.BatchNormActivation())
  return mask.MaskHead(NUM_CLASSES, **dict(arguments, **options))


def test_shapes_and_variables():
  outputs = _head(num_convs=2)(
      tf.zeros([2, 5, 14, 14, 2]), tf.zeros([2, 5], tf.int32), True)
  assert outputs.shape.as_list() == [2, 5, 28, 28]
  assert graphs.variables() == [
      ('mask_head/mask-conv-l0/kernel', [3, 3, 2, 3]),
      ('mask_head/mask-conv-l0/bias', [3]),
      ('mask_head/mask-conv-l1/kernel', [3, 3, 3, 3]),
      ('mask_head/mask-conv-l1/bias', [3]),
      ('mask_head/conv5-mask/kernel', [2, 2, 3, 3]),
      ('mask_head/conv5-mask/bias', [3]),
      ('mask_head/mask_fcn_logits/kernel', [1, 1, 3, NUM_CLASSES]),
      ('mask_head/mask_fcn_logits/bias', [NUM_CLASSES])]


def test_normalizations_are_counted():
  _head(num_convs=2, use_batch_norm=True)(
      tf.zeros([1, 1, 14, 14, 2]), tf.zeros([1, 1], tf.int32), True)
  names = [n.split('/', 1)[1] for n in graphs.names()
           if n.endswith(('kernel', 'gamma'))]
  assert names == [
      'mask-conv-l0/kernel', 'batch_normalization/gamma',
      'mask-conv-l1/kernel', 'batch_normalization_1/gamma',
      'conv5-mask/kernel', 'batch_normalization_2/gamma',
      'mask_fcn_logits/kernel']


@pytest.mark.parametrize('is_training', [False, True])
def test_numbers_by_hand(is_training):
  """One pixel becomes four; the class of the RoI picks the channel."""
  features = tf.reshape(tf.constant([1., 2., -5.]), [1, 3, 1, 1, 1])
  outputs = _head(num_filters=1)(
      features, tf.constant([[3, 0, 3]]), is_training)
  outputs = graphs.run(outputs, {
      'mask_head/mask-conv-l0/kernel': graphs.centered(),
      'mask_head/conv5-mask/kernel': np.reshape([[1., 2.], [3., -4.]],
                                                [2, 2, 1, 1]),
      'mask_head/mask_fcn_logits/kernel': [[[[10., 0., 0., -1.]]]],
      'mask_head/mask_fcn_logits/bias': [.5, 9., 9., .25]})
  np.testing.assert_allclose(outputs[0], [
      [[-.75, -1.75], [-2.75, .25]], [[20.5, 40.5], [60.5, .5]],
      [[.25, .25], [.25, .25]]])


@pytest.mark.parametrize('use_separable_conv', [False, True])
@pytest.mark.parametrize('use_batch_norm', [False, True])
def test_training_computes_what_prediction_does(use_separable_conv,
                                                use_batch_norm):
  """Of one class in training, of all classes in prediction."""
  tf.set_random_seed(0)
  # Frozen statistics are the same in both modes.
  norm = normalization.BatchNormActivation(trainable=False)
  head = _head(use_separable_conv=use_separable_conv, norm_activation=norm,
               use_batch_norm=use_batch_norm)
  rng = np.random.RandomState(0)
  features = tf.constant(rng.randn(2, 4, 6, 6, 2), tf.float32)
  classes = tf.constant(rng.randint(0, NUM_CLASSES, [2, 4]), tf.int32)
  trained = head(features, classes, True)
  number = len(tf.global_variables())
  with tf.variable_scope(tf.get_variable_scope(), reuse=True):
    predicted = head(features, classes, False)
  assert len(tf.global_variables()) == number
  trained, predicted = graphs.run([trained, predicted])
  np.testing.assert_allclose(trained, predicted, rtol=1e-4, atol=1e-5)
  assert np.abs(trained).max() > .01


@pytest.mark.parametrize('is_training', [False, True])
def test_one_mask_for_all_classes(is_training):
  outputs = _head(class_agnostic_mask_pred=True)(
      tf.ones([1, 2, 3, 3, 2]), tf.constant([[0, 3]]), is_training)
  assert outputs.shape.as_list() == [1, 2, 6, 6]
  assert graphs.variables()[-2:] == [
      ('mask_head/mask_fcn_logits/kernel', [1, 1, 3, 1]),
      ('mask_head/mask_fcn_logits/bias', [1])]
  outputs = graphs.run(outputs)
  np.testing.assert_allclose(outputs[0, 0], outputs[0, 1])


def test_all_but_the_upsampling_may_be_separable():
  _head(use_separable_conv=True)(
      tf.zeros([1, 1, 14, 14, 2]), tf.zeros([1, 1], tf.int32), True)
  names = [n.split('/', 1)[1] for n in graphs.names() if 'kernel' in n]
  assert names == [
      'mask-conv-l0/depthwise_kernel', 'mask-conv-l0/pointwise_kernel',
      'conv5-mask/kernel',
      'mask_fcn_logits/depthwise_kernel', 'mask_fcn_logits/pointwise_kernel']


@pytest.mark.parametrize('is_training', [False, True])
def test_bfloat16(is_training):
  with tf.tpu.bfloat16_scope():
    outputs = _head()(tf.ones([1, 2, 3, 3, 2], tf.bfloat16),
                      tf.constant([[1, 2]]), is_training)
  assert outputs.dtype == tf.bfloat16
  assert np.isfinite(graphs.run(tf.cast(outputs, tf.float32))).all()


def test_kernels_start_with_the_deviation_of_their_outputs():
  tf.set_random_seed(0)
  _head(num_filters=64)(
      tf.zeros([1, 1, 2, 2, 64]), tf.zeros([1, 1], tf.int32), True)
  values = graphs.run({v.op.name: v for v in tf.global_variables()})
  for name, fan_out in (('mask-conv-l0', 9 * 64), ('conv5-mask', 4 * 64),
                        ('mask_fcn_logits', NUM_CLASSES)):
    kernel = values['mask_head/%s/kernel' % name]
    assert kernel.std() == pytest.approx(np.sqrt(2. / fan_out), rel=.1), name


def test_the_form_for_xla_is_the_same():
  """Logits and the gradients of the features and all variables."""
  rng = np.random.RandomState(0)
  features = tf.constant(rng.randn(2, 3, 4, 6, 5), tf.float32)
  classes = tf.constant(rng.randint(0, NUM_CLASSES, [2, 3]))
  weights = tf.constant(rng.randn(2, 3, 8, 12), tf.float32)
  head = _head(num_filters=7)
  plain = head(features, classes, True)
  variables = tf.trainable_variables()
  with tf.variable_scope('', reuse=True), tpu_function.tpu_shard_context(1):
    for_xla = head(features, classes, True)
  assert tf.trainable_variables() == variables
  sources = [features] + variables
  got, want = graphs.run([
      [outputs] + tf.gradients(tf.reduce_sum(outputs * weights), sources)
      for outputs in (for_xla, plain)])
  for left, right in zip(got, want):
    np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-4)


def test_xla_gets_no_blocks_of_pixels():
  with tpu_function.tpu_shard_context(1):
    _head()(tf.zeros([1, 2, 14, 14, 2]), tf.zeros([1, 2], tf.int32), True)
  operations = tf.get_default_graph().get_operations()
  # One map for each pixel of a block, after the convolution of the tower.
  assert sum(op.type == 'Conv2D' for op in operations) == 5
