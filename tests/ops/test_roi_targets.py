"""Tests of ops/roi_targets.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import roi_targets
from tests import golden

_CASES = golden.load_cases('roi_sampling')


def _run(fetches, feeds=None):
  with tf.Session() as session:
    return session.run(fetches, feeds)


def _cases(*ends):
  return pytest.mark.parametrize(
      'case', [c for c in _CASES if c.name.endswith(ends)],
      ids=lambda case: case.name)


@_cases('matching')
def test_matching_equals_the_reference(case):
  matches, max_iou = _run(roi_targets.match_rois(
      tf.constant(case.inputs['boxes']), tf.constant(case.inputs['gt_boxes']),
      tf.constant(case.inputs['gt_classes'])))
  np.testing.assert_allclose(
      matches.matched_boxes, case.outputs['boxes'], atol=1e-4)
  np.testing.assert_array_equal(matches.classes, case.outputs['classes'])
  np.testing.assert_array_equal(matches.indices, case.outputs['indices'])
  np.testing.assert_allclose(max_iou, case.outputs['max_iou'], atol=1e-4)


def _sample(case, **draw):
  inputs, params = case.inputs, dict(case.params)
  if 'num_samples_per_image' in params:
    params['num_samples'] = params.pop('num_samples_per_image')
  return roi_targets.sample_rois(
      tf.constant(inputs['boxes']), tf.constant(inputs['gt_boxes']),
      tf.constant(inputs['gt_classes']), sample_padding=True,
      **dict(params, **draw))


@_cases('_ident', '_perm')
def test_sampling_equals_the_reference(case):
  sampled = _run(_sample(case, permutation=tf.constant(case.inputs['perm'])))
  for name, key in (('rois', 'rois'), ('matched_boxes', 'gt_boxes')):
    np.testing.assert_allclose(
        getattr(sampled, name), case.outputs[key], atol=1e-4)
  for name, key in (('classes', 'gt_classes'), ('indices', 'gt_indices')):
    np.testing.assert_array_equal(getattr(sampled, name), case.outputs[key])
    assert getattr(sampled, name).dtype == np.int32


@_cases('_random_counts')
def test_counts_of_random_draws_equal_the_reference(case):
  inputs = case.name.replace('random_counts', 'perm')
  case.inputs.update(case.meta['all_arrays'][inputs]['in'])
  sampled = _sample(case)
  with tf.Session() as session:
    for _ in range(3):
      classes = session.run(sampled.classes)
      for image, of_image in enumerate(classes):
        counts = [(of_image > 0).sum(), (of_image == 0).sum(),
                  (of_image < 0).sum()]
        expected = case.outputs['fg_bg_neg_counts'][:, image]
        if (expected == expected[0]).all():
          assert counts == expected[0].tolist()


@_cases('frcnn_box_targets')
def test_box_targets_equal_the_reference(case):
  inputs = case.inputs
  sampled = roi_targets.SampledRois(
      tf.constant(inputs['rois']), tf.constant(inputs['gt_boxes']),
      tf.constant(inputs['gt_classes']), None)
  targets = _run(roi_targets.encode_box_targets(
      sampled, case.params['weights']))
  np.testing.assert_allclose(targets, case.outputs['box_targets'], atol=1e-4)


@_cases('mask_8_14', 'mask_16_28')
def test_mask_targets_equal_the_reference(case):
  inputs = case.inputs or case.meta['all_arrays']['mask_8_14']['in']
  sampled = roi_targets.SampledRois(*[
      tf.constant(inputs[name])
      for name in ('rois', 'gt_boxes', 'gt_classes', 'gt_indices')])
  rois, classes, masks = _run(roi_targets.sample_mask_rois(
      sampled, tf.constant(inputs['gt_masks']),
      case.params['num_mask_samples_per_image'],
      case.params['mask_target_size']))
  np.testing.assert_allclose(rois, case.outputs['rois'], atol=1e-4)
  np.testing.assert_array_equal(classes, case.outputs['classes'])
  np.testing.assert_allclose(masks, case.outputs['masks'], atol=1e-4)
