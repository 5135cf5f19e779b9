"""What the mask branch samples, and its targets, with a head made by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from architecture import normalization
from architecture.heads import mask
from modeling import mask_branch
from ops import roi_targets
from tests.architecture import graphs

# The left half of an object is filled.
LEFT = np.concatenate([np.ones([28, 14]), np.zeros([28, 14])], axis=1)


def _branch(num_samples=2, calls=None):
  def head(roi_features, classes, is_training):
    if calls is not None:
      calls.append((roi_features.shape.as_list(), is_training))
    ones = tf.ones([1, roi_features.shape[1].value, 28, 28])
    return ones * tf.cast(classes, tf.float32)[:, :, tf.newaxis, tf.newaxis]
  return mask_branch.MaskBranch(head, crop_size=14, target_size=28,
                                num_samples=num_samples)


def _sampled(classes):
  """RoIs, of which those with a class match the object of 28 x 28 pixels."""
  rois = [[10., 10., 38., 38.], [10., 24., 38., 52.], [0., 0., 5., 5.]]
  classes = tf.constant([classes], tf.int32)
  matched = tf.constant([[[10., 10., 38., 38.]] * 3])
  return roi_targets.SampledRois(tf.constant([rois]), matched, classes,
                                 tf.zeros_like(classes))


def _train(branch, sampled):
  return branch.training_outputs(
      {2: tf.ones([1, 16, 16, 1])}, sampled,
      tf.constant(LEFT[np.newaxis, np.newaxis], tf.float32))


def test_targets_are_the_mask_within_the_region():
  calls = []
  outputs = _train(_branch(calls=calls), _sampled([3, 5, 0]))
  with tf.Session() as session:
    outputs = session.run(outputs)
  assert calls == [([1, 2, 14, 14, 1], True)]
  np.testing.assert_array_equal(outputs['sampled_class_targets'], [[3, 5]])
  np.testing.assert_allclose(outputs['mask_outputs'][0, :, 0, 0], [3., 5.])
  inside = outputs['mask_targets'][0, :, 4:-4]  # rows away from the edges
  assert inside[0, :, 2:12].min() == 1. and inside[0, :, 16:].max() == 0.
  # The second region starts where the filled half ends.
  assert inside[1, :, 2:].max() == 0.


def test_background_only_fills_up():
  outputs = _train(_branch(), _sampled([0, 0, 7]))
  with tf.Session() as session:
    classes = session.run(outputs['sampled_class_targets'])
  np.testing.assert_array_equal(classes, [[7, 0]])


def test_loss_counts_objects_only():
  """Logit 7 against an empty mask; background would add 0.69."""
  branch = _branch()
  outputs = _train(branch, _sampled([0, 7, 0]))
  outputs['mask_targets'] = tf.zeros_like(outputs['mask_targets'])
  with tf.Session() as session:
    losses = session.run(branch.losses(outputs))
  assert losses == pytest.approx({'mask_loss': 7. + np.log1p(np.exp(-7.))})


def test_no_object_gives_a_loss_of_zero():
  branch = _branch()
  outputs = _train(branch, _sampled([0, 0, 0]))
  with tf.Session() as session:
    assert session.run(branch.losses(outputs)) == {'mask_loss': 0.}


def test_detections_are_scores_of_the_predicted_class():
  outputs = _branch().detections(
      {2: tf.ones([1, 16, 16, 1])}, tf.zeros([1, 3, 4]),
      tf.constant([[2, 1, 1]]))
  with tf.Session() as session:
    masks = session.run(outputs)['detection_masks']
  assert masks.shape == (1, 3, 28, 28)
  np.testing.assert_allclose(masks[0, :, 5, 5],
                             1. / (1. + np.exp([-2., -1., -1.])), rtol=1e-5)


def _with_head(num_objects, skip_background):
  """A real head on 40 RoIs: loss, mask outputs and all gradients."""
  rng = np.random.RandomState(0)
  features = tf.constant(rng.randn(2, 16, 16, 3), tf.float32)
  low = rng.uniform(0, 30, [2, 40, 2])
  rois = np.concatenate([low, low + rng.uniform(5, 30, [2, 40, 2])], axis=2)
  classes = np.zeros([2, 40])
  classes[1, :num_objects] = rng.randint(1, 4, num_objects)
  sampled = roi_targets.SampledRois(
      tf.constant(rois, tf.float32), tf.constant(rois, tf.float32),
      tf.constant(classes, tf.int32), tf.zeros([2, 40], tf.int32))
  norm_activation = normalization.BatchNormActivation()
  branch = mask_branch.MaskBranch(
      mask.MaskHead(4, 1, 5, norm_activation=norm_activation), crop_size=3,
      target_size=6, num_samples=40, skip_background=skip_background)
  with tf.variable_scope('', reuse=tf.AUTO_REUSE):
    outputs = branch.training_outputs(
        {2: features}, sampled, tf.constant(rng.rand(2, 1, 8, 8), tf.float32))
  loss = branch.losses(outputs)['mask_loss']
  gradients = tf.gradients(loss, [features] + tf.trainable_variables())
  return loss, outputs['mask_outputs'], gradients


@pytest.mark.parametrize('num_objects', [0, 1, 32, 33, 40])
def test_background_may_be_left_out(num_objects):
  """The second group, of 8 RoIs, has an object from the 33rd on."""
  whole = _with_head(num_objects, False)
  assert 'Switch' not in {
      op.type for op in tf.get_default_graph().get_operations()}
  number = len(tf.global_variables())
  skipping = _with_head(num_objects, True)
  assert len(tf.global_variables()) == number
  assert None not in skipping[2]
  whole, skipping = graphs.run([whole, skipping])
  np.testing.assert_allclose(skipping[0], whole[0], rtol=1e-6)
  for got, want in zip(skipping[2], whole[2]):
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
  shown = 40 if num_objects > 32 else 32
  np.testing.assert_allclose(skipping[1][:, :shown], whole[1][:, :shown],
                             rtol=1e-4, atol=1e-5)
  assert not skipping[1][:, shown:].any() and whole[1][:, 32:].any()


def test_a_tpu_computes_all_masks():
  with tpu_function.tpu_shard_context(8):
    _with_head(1, True)
  types = {op.type for op in tf.get_default_graph().get_operations()}
  assert not types & {'Switch', 'If', 'StatelessIf'}
