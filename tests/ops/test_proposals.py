"""Tests of ops/proposals.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import proposals
from tests import golden

_CASES = [c for c in golden.load_cases('roi_proposals') if c.outputs]
LEVELS = (3, 4, 5)


def _run(fetches, feeds=None):
  with tf.Session() as session:
    return session.run(fetches, feeds)


def _constants(by_level):
  return {level: tf.constant(value) for level, value in by_level.items()}


def _reference(case, **changes):
  inputs = case.meta['all_arrays']['inputs']['in']
  params = dict(case.params)
  del params['levels'], params['num_anchors_per_location']
  # The functions here are of the RPN anyway.
  params = {key.replace('rpn_', '').replace('_to_score', ''): value
            for key, value in params.items()}
  params.update(changes)
  return proposals.generate_proposals(
      _constants(golden.levels(inputs, 'rpn_boxes')),
      _constants(golden.levels(inputs, 'rpn_scores')),
      _constants(golden.levels(inputs, 'anchors')),
      tf.constant(inputs['image_shape']), **params)


@pytest.mark.parametrize('case', _CASES, ids=lambda case: case.name)
def test_equals_the_reference(case):
  rois, scores = _run(_reference(case))
  np.testing.assert_allclose(rois, case.outputs['rois'], atol=1e-3)
  np.testing.assert_allclose(scores, case.outputs['scores'], atol=1e-5)
