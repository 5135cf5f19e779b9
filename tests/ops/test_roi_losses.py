"""Tests of ops/roi_losses.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import roi_losses
from tests import golden
from tests import runtimes

CASES = golden.load_cases('losses')


def _cases(*starts):
  cases = [case for case in CASES if case.name.startswith(starts)]
  assert cases
  return pytest.mark.parametrize('case', cases, ids=lambda case: case.name)


def _run(fetches, feeds=None):
  with tf.Session() as session:
    return session.run(fetches, feeds)


def _check(outputs, loss, case):
  """Loss and gradient of tensors or levels."""
  names = ['grad']
  if isinstance(outputs, dict):
    names = ['grad.L%d' % level for level in sorted(outputs)]
    outputs = [outputs[level] for level in sorted(outputs)]
  got, gradients = _run([loss, tf.gradients(loss, outputs)])
  np.testing.assert_allclose(got, case.outputs['loss'], rtol=1e-5)
  for name, gradient in zip(names, gradients):
    if name in case.outputs:
      np.testing.assert_allclose(
          gradient, case.outputs[name], rtol=1e-4, atol=1e-5)
    assert np.isfinite(gradient).all()
    if not got:
      assert not gradient.any()


def _levels(case, name):
  return {level: tf.constant(value)
          for level, value in golden.levels(case.inputs, name).items()}


@_cases('rpn_score')
def test_rpn_score_loss_equals_the_reference(case):
  outputs = _levels(case, 'score_outputs')
  _check(outputs, roi_losses.rpn_score_loss(
      outputs, _levels(case, 'score_targets'), **case.params), case)


@_cases('rpn_box')
def test_rpn_box_loss_equals_the_reference(case):
  outputs = _levels(case, 'box_outputs')
  _check(outputs, roi_losses.rpn_box_loss(
      outputs, _levels(case, 'box_targets'), **case.params), case)


@_cases('frcnn_class')
def test_class_loss_equals_the_reference(case):
  outputs = tf.constant(case.inputs['class_outputs'])
  _check(outputs, roi_losses.fast_rcnn_class_loss(
      outputs, tf.constant(case.inputs['class_targets'])), case)


@_cases('frcnn_box')
def test_box_loss_equals_the_reference(case):
  inputs = case.inputs
  outputs = tf.constant(inputs['box_outputs'])
  _check(outputs, roi_losses.fast_rcnn_box_loss(
      outputs, tf.constant(inputs['class_targets']),
      tf.constant(inputs['box_targets']),
      class_agnostic=inputs['box_outputs'].shape[2] == 4, **case.params), case)


@_cases('mask')
def test_mask_loss_equals_the_reference(case):
  outputs = tf.constant(case.inputs['mask_outputs'])
  _check(outputs, roi_losses.mask_loss(
      outputs, tf.constant(case.inputs['mask_targets']),
      tf.constant(case.inputs['select_class_targets'])), case)


def _check_slow(loss, outputs, slow_loss, slow_gradient):
  value, gradients = _run([loss, tf.gradients(loss, outputs)])
  np.testing.assert_allclose(value, slow_loss, rtol=1e-5)
  for gradient, expected in zip(gradients, slow_gradient):
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def _slow_entropy(logits, targets):
  """Cross entropy of sigmoids and its slope, in float64."""
  p = 1. / (1. + np.exp(-np.float64(logits)))
  return -(targets * np.log(p) + (1. - targets) * np.log(1. - p)), p - targets


def test_rpn_score_loss_equals_the_slow_one():
  rng = np.random.RandomState(0)
  logits = {level: rng.normal(0., 3., [2, 4, 3, 3]).astype(np.float32)
            for level in (2, 3)}
  labels = {level: rng.randint(-2, 3, [2, 4, 3, 3]).astype(np.int32)
            for level in (2, 3)}
  total, slopes = 0., []
  for level in (2, 3):
    entropy, slope = _slow_entropy(logits[level], labels[level])
    counts = (labels[level] == 0) | (labels[level] == 1)
    total += np.where(counts, entropy, 0.).sum() / (2. * 10.)
    slopes.append(np.where(counts, slope, 0.) / (2. * 10.))
  outputs = {level: tf.constant(value) for level, value in logits.items()}
  loss = roi_losses.rpn_score_loss(
      outputs, {level: tf.constant(value) for level, value in labels.items()},
      10)
  _check_slow(loss, [outputs[2], outputs[3]], total, slopes)


def test_rpn_box_loss_by_hand():
  """Levels are averaged for themselves; zeros do not count."""
  outputs = {2: tf.constant([1., 0., 9., 9.], shape=[1, 1, 1, 4]),
             3: tf.constant([9., 9., .5, 9.], shape=[1, 1, 1, 4])}
  targets = {2: tf.constant([3., .1, 0., 0.], shape=[1, 1, 1, 4]),
             3: tf.constant([0., 0., 1., 0.], shape=[1, 1, 1, 4])}
  loss = roi_losses.rpn_box_loss(outputs, targets, 1.)
  # Errors 2 and 0.1 in one level, 0.5 in the other.
  slopes = [np.reshape([-.5, -.05, 0., 0.], [1, 1, 1, 4]),
            np.reshape([0., 0., -.5, 0.], [1, 1, 1, 4])]
  _check_slow(loss, [outputs[2], outputs[3]],
              (1.5 + .005) / 2. + .125, slopes)


def test_class_loss_by_hand():
  """Even odds cost log C; a negative target nothing, and teaches nothing."""
  outputs = tf.zeros([1, 4, 5])
  loss = roi_losses.fast_rcnn_class_loss(outputs, tf.constant([[0, 4, -1, -1]]))
  slopes = np.zeros([1, 4, 5])
  slopes[0, :2] = .2 / 4.
  slopes[0, 0, 0] = slopes[0, 1, 4] = -.8 / 4.
  _check_slow(loss, [outputs], 2. * np.log(5.) / 4., [slopes])


@pytest.mark.parametrize('class_agnostic', [False, True])
def test_box_loss_by_hand(class_agnostic):
  """Of every region the box of its class; background does not count."""
  outputs = np.zeros([2, 2, 1 if class_agnostic else 3, 4], np.float32)
  classes = [[0, 2], [1, 0]]
  of_class = (0, 0) if class_agnostic else (2, 1)
  outputs[0, 0] = 100.
  outputs[0, 1, of_class[0]] = [.5, 0., 0., 0.]
  outputs[1, 0, of_class[1]] = [0., 3., 0., 0.]
  tensor = tf.constant(outputs.reshape([2, 2, -1]))
  loss = roi_losses.fast_rcnn_box_loss(
      tensor, tf.constant(classes), tf.zeros([2, 2, 4]), 1., class_agnostic)
  slopes = np.zeros(outputs.shape)
  slopes[0, 1, of_class[0], 0] = .5 / 8.
  slopes[1, 0, of_class[1], 1] = 1. / 8.
  # Two regions with four coordinates each.
  _check_slow(loss, [tensor], (.125 + 2.5) / 8., [slopes.reshape([2, 2, -1])])


@pytest.mark.parametrize('depth,class_agnostic', [(4, False), (12, True)])
def test_box_outputs_of_the_other_kind_are_an_error(depth, class_agnostic):
  with pytest.raises(ValueError, match='%d channels.*class_agnostic' % depth):
    roi_losses.fast_rcnn_box_loss(
        tf.zeros([1, 2, depth]), tf.zeros([1, 2], tf.int32),
        tf.zeros([1, 2, 4]), 1., class_agnostic)


def test_mask_loss_equals_the_slow_one():
  rng = np.random.RandomState(1)
  logits = rng.normal(0., 3., [2, 3, 4, 4]).astype(np.float32)
  masks = rng.uniform(size=[2, 3, 4, 4]).astype(np.float32)
  classes = np.array([[1, 0, 3], [0, -1, 2]], np.int32)
  entropy, slope = _slow_entropy(logits, masks)
  is_object = (classes > 0)[:, :, np.newaxis, np.newaxis]
  outputs = tf.constant(logits)
  loss = roi_losses.mask_loss(outputs, tf.constant(masks),
                              tf.constant(classes))
  _check_slow(loss, [outputs], (entropy * is_object).sum() / (3. * 16.),
              [slope * is_object / (3. * 16.)])


def _all_losses(value, label):
  """The losses of outputs `value` and class or score targets `label`.

  Args:
    value: float, of all outputs.
    label: int, of all targets.

  Returns:
    [outputs], [loss].
  """
  outputs = [tf.fill(shape, value) for shape in (
      [2, 3, 3, 2], [2, 3, 3, 8], [2, 5, 4], [2, 5, 16], [2, 5, 4],
      [2, 5, 6, 6])]
  classes = tf.fill([2, 5], label)
  boxes = tf.fill([2, 5, 4], float(max(label, 0)))
  return outputs, [
      roi_losses.rpn_score_loss(
          {3: outputs[0]}, {3: tf.fill([2, 3, 3, 2], label)}, 256),
      roi_losses.rpn_box_loss(
          {3: outputs[1]}, {3: tf.fill([2, 3, 3, 8], float(max(label, 0)))},
          1. / 9.),
      roi_losses.fast_rcnn_class_loss(outputs[2], classes),
      roi_losses.fast_rcnn_box_loss(outputs[3], classes, boxes, 1.),
      roi_losses.fast_rcnn_box_loss(outputs[4], classes, boxes, 1., True),
      roi_losses.mask_loss(outputs[5], tf.zeros([2, 5, 6, 6]), classes)]


@pytest.mark.parametrize('value, label', runtimes.product(
    [0., 1e4, -1e4, 1e30, -1e30], [-1, 0, 1]))
def test_extremes_stay_finite(value, label):
  """Also all background, all ignored, and outputs that are far off."""
  outputs, losses = _all_losses(value, label)
  gradients = [tf.gradients(loss, output)[0]
               for output, loss in zip(outputs, losses)]
  losses, gradients = _run([losses, gradients])
  assert np.isfinite(losses).all()
  assert all(np.isfinite(gradient).all() for gradient in gradients)
  if label == -1:
    assert not np.any(losses)
    assert not any(gradient.any() for gradient in gradients)
  if label == 0:  # Background teaches nothing but what it is.
    del losses[2], losses[0], gradients[2], gradients[0]
    assert not np.any(losses)
    assert not any(gradient.any() for gradient in gradients)


def test_compiles_with_xla():
  rng = np.random.RandomState(2)
  classes = rng.randint(-1, 4, [2, 5]).astype(np.int32)
  boxes = rng.normal(size=[2, 5, 4]).astype(np.float32)

  def build(scores, deltas, class_outputs, box_outputs, masks):
    tensors = [scores, deltas, class_outputs, box_outputs, masks]
    losses = [
        roi_losses.rpn_score_loss(
            {3: scores}, {3: tf.constant([[[[0, 1, -1]]]] * 2)}, 4),
        roi_losses.rpn_box_loss(
            {3: deltas}, {3: tf.constant([[[[0., 1.]]]] * 2)}, .1),
        roi_losses.fast_rcnn_class_loss(class_outputs, tf.constant(classes)),
        roi_losses.fast_rcnn_box_loss(box_outputs, tf.constant(classes),
                                      tf.constant(boxes), 1.),
        roi_losses.mask_loss(masks, tf.ones([2, 5, 4, 4]),
                             tf.constant(classes))]
    return losses + tf.gradients(losses, tensors)

  tensors = [tf.constant(rng.normal(size=shape), tf.float32) for shape in (
      [2, 1, 1, 3], [2, 1, 1, 2], [2, 5, 4], [2, 5, 16], [2, 5, 4, 4])]
  plain, compiled = _run(
      [build(*tensors), tf.xla.experimental.compile(build, tensors)])
  for expected, value in zip(plain, compiled):
    np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
