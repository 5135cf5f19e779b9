"""Tests of ops/roi_losses.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import roi_losses
from tests import golden

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
