"""Tests of ops/shapemask_losses.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import shapemask_losses
from tests import golden

CASES = [case for case in golden.load_cases('losses')
         if case.name.startswith('shapemask')]


def _losses(outputs, targets, is_valid):
  """{name in the files: (loss, gradient of the outputs)}."""
  outputs = tf.constant(outputs, tf.float32)
  losses = {
      name: loss(outputs, tf.constant(targets, tf.float32),
                 tf.constant(is_valid))
      for name, loss in (('mse', shapemask_losses.prior_loss),
                         ('ce', shapemask_losses.mask_loss))}
  with tf.Session() as session:
    return session.run({name: (loss, tf.gradients(loss, outputs)[0])
                        for name, loss in losses.items()})


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_losses_equal_the_reference(case):
  for name, (loss, gradient) in _losses(
      case.inputs['outputs'], case.inputs['labels'],
      case.inputs['valid_mask']).items():
    np.testing.assert_allclose(loss, case.outputs[name], rtol=1e-5)
    if 'grad_' + name in case.outputs:
      np.testing.assert_allclose(gradient, case.outputs['grad_' + name],
                                 rtol=1e-4, atol=1e-5)


def test_by_hand():
  """Two masks of four pixels, three of which are inside; the second counts."""
  outputs = [[[[.5, .5], [.5, .5]], [[0., 1.], [.5, 0.]]]]
  targets = [[[[1., 1.], [0., 0.]], [[0., 1.], [0., 0.]]]]
  losses = _losses(outputs, targets, [[0, 1]])
  assert losses['mse'][0] == pytest.approx(.5 * .25 / 3.)
  expected = (2 * np.log(2.) + np.log1p(np.exp(-1.)) + np.log1p(np.exp(.5)))
  assert losses['ce'][0] == pytest.approx(expected / 3.)
  assert not losses['ce'][1][0, 0].any() and losses['ce'][1][0, 1].all()


def test_nothing_to_learn_from():
  losses = _losses(np.ones([1, 2, 3, 3]), np.ones([1, 2, 3, 3]), [[0, 0]])
  assert losses['mse'][0] == losses['ce'][0] == 0.
