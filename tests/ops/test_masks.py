"""Tests of ops/masks.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import boxes as box_ops
from ops import masks as mask_ops
from tests import golden
from tests.ops import slow_align

_CASES = [c for c in golden.load_cases('crop_ops')
          if c.name.startswith('mask_crop')]


def _run(fetches):
  with tf.Session() as session:
    return session.run(fetches)


def _random_inputs(seed, side=20):
  rng = np.random.RandomState(seed)
  masks = rng.uniform(size=[2, 8, side, side]).astype(np.float32)
  low = rng.uniform(0., 60., [2, 8, 2])
  gt_boxes = np.concatenate(
      [low, low + rng.uniform(1., 40., [2, 8, 2])], axis=2).astype(np.float32)
  shifts = rng.uniform(-8., 8., [2, 8, 4]).astype(np.float32)
  return masks, gt_boxes, gt_boxes + shifts


@pytest.mark.parametrize('case', _CASES, ids=lambda c: c.name)
def test_equals_the_reference(case):
  got = _run(mask_ops.crop_masks_in_boxes(
      tf.constant(case.inputs['masks']), tf.constant(case.inputs['boxes']),
      tf.constant(case.inputs['target_boxes']), case.params['output_size'],
      case.params['sample_offset']))
  for expected in case.outputs.values():  # its two forms agree
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize('size,offset', [(1, .5), (7, 0.), (28, .5)])
def test_equals_the_slow_path(size, offset):
  masks, gt_boxes, target_boxes = _random_inputs(size)
  got = _run(mask_ops.crop_masks_in_boxes(
      tf.constant(masks), tf.constant(gt_boxes), tf.constant(target_boxes),
      size, offset))
  for index in np.ndindex(2, 8):
    np.testing.assert_allclose(got[index], slow_align.crop_mask(
        masks[index], np.float64(gt_boxes[index]),
        np.float64(target_boxes[index]), size, offset), atol=1e-4)


def test_by_hand():
  """A mask of 2 x 2 in a box of 2 x 2 pixels, whose right half is wanted."""
  got = _run(mask_ops.crop_masks_in_boxes(
      tf.constant([[[[1., 2.], [4., 8.]]]]), tf.constant([[[4., 4., 6., 6.]]]),
      tf.constant([[[4., 5., 6., 6.]]]), 1))
  # One sample, 1 row below the first one and 1.5 columns beside: between the
  # last column and zero.
  assert got.ravel().tolist() == [4.]


def test_uniform_mask_is_one_inside_and_zero_far_outside():
  boxes = tf.constant([[[10., 10., 30., 30.]] * 3])
  targets = tf.constant([[[12., 12., 20., 20.], [50., 50., 60., 60.],
                          [-30., 12., -20., 20.]]])
  got = _run(mask_ops.crop_masks_in_boxes(
      tf.ones([1, 3, 14, 14]), boxes, targets, 7))
  np.testing.assert_allclose(got[0, 0], 1., rtol=1e-6)
  assert not got[0, 1:].any()


def test_boxes_without_area_padding_and_outside():
  """Whatever the pair of boxes: finite, no more than the mask, no NaN."""
  boxes = np.float32([
      [0, 0, 0, 0], [-1, -1, -1, -1], [5, 5, 5, 9], [5, 5, 6, 6],
      [9, 9, 3, 4], [2, 2, 20, 30], [-500, -500, -400, -400]])
  gt_boxes, targets = [
      grid.reshape([1, -1, 4]) for grid in (
          np.repeat(boxes, len(boxes), 0), np.tile(boxes, [len(boxes), 1]))]
  masks = tf.ones([1, gt_boxes.shape[1], 6, 6])
  crops = mask_ops.crop_masks_in_boxes(
      masks, tf.constant(gt_boxes), tf.constant(targets), 4)
  got, gradient = _run([crops, tf.gradients(crops, masks)[0]])
  assert np.isfinite(gradient).all()
  assert got.min() >= 0. and got.max() <= 1.00001


def test_no_masks():
  got = _run(mask_ops.crop_masks_in_boxes(
      tf.zeros([2, 0, 5, 5]), tf.zeros([2, 0, 4]), tf.zeros([2, 0, 4]), 3))
  assert got.shape == (2, 0, 3, 3)


def test_gradient_is_the_transposed_crop():
  masks, gt_boxes, target_boxes = _random_inputs(2, side=6)
  inputs = [tf.constant(x) for x in (masks, gt_boxes, target_boxes)]
  crops = mask_ops.crop_masks_in_boxes(*inputs, output_size=4)
  upstream = np.random.RandomState(3).normal(size=[2, 8, 4, 4])
  gradient, *of_boxes = tf.gradients(
      crops, inputs, tf.constant(upstream, tf.float32))
  assert of_boxes == [None, None]
  # The crop is linear: <crop(m), u> = <m, gradient>.
  value, gradient = _run([crops, gradient])
  np.testing.assert_allclose(
      np.sum(value * upstream, axis=(2, 3)),
      np.sum(gradient * masks, axis=(2, 3)), rtol=1e-3, atol=1e-4)


def test_bfloat16_is_summed_in_float32():
  masks, gt_boxes, target_boxes = _random_inputs(4)
  binary = tf.constant(np.round(masks))
  exact, rounded = [mask_ops.crop_masks_in_boxes(
      tf.cast(binary, dtype), tf.constant(gt_boxes), tf.constant(target_boxes),
      14) for dtype in (tf.float32, tf.bfloat16)]
  assert rounded.dtype == tf.bfloat16
  exact, rounded = _run([exact, tf.cast(rounded, tf.float32)])
  np.testing.assert_allclose(rounded, exact, rtol=2. ** -8)


def test_compiles_with_xla():
  inputs = [tf.constant(x) for x in _random_inputs(5)]

  def build(*tensors):
    return [mask_ops.crop_masks_in_boxes(*tensors, output_size=14)]

  plain, compiled = _run(
      [build(*inputs), tf.xla.experimental.compile(build, inputs)])
  np.testing.assert_allclose(compiled[0], plain[0], atol=1e-4)


def test_means_of_cells_by_hand():
  """A mask of 2 x 2 in a box of 4 x 4; the target begins a pixel later."""
  def crop(target, size):
    return _run(mask_ops.crop_masks_in_boxes(
        tf.constant([[[[0., 1.], [0., 1.]]]]),
        tf.constant([[[0., 0., 4., 4.]]]),
        tf.constant([[target]]), size, means_of_cells=True))[0, 0]
  np.testing.assert_allclose(crop([0., 0., 4., 4.], 2), [[0., 1.]] * 2)
  np.testing.assert_allclose(crop([0., 0., 4., 4.], 1), [[.5]])
  # Columns of pixels 1 to 5: nothing before the second half, nor beyond.
  np.testing.assert_allclose(crop([0., 1., 4., 5.], 4), [[0., 1., 1., 0.]] * 4,
                             atol=1e-6)
  np.testing.assert_allclose(crop([0., 1., 4., 5.], 2), [[.5, .5]] * 2,
                             atol=1e-6)
  # Below the box by half.
  np.testing.assert_allclose(crop([2., 2., 6., 4.], 1), [[.5]], atol=1e-6)


@pytest.mark.parametrize('target', [[2., 2., 2., 3.], [3., 3., 1., 1.],
                                    [-9., -9., -8., -8.]])
def test_means_of_cells_of_boxes_without_area_and_outside(target):
  got = _run(mask_ops.crop_masks_in_boxes(
      tf.ones([1, 1, 4, 4]), tf.constant([[[0., 0., 4., 4.]]]),
      tf.constant([[target]]), 3, means_of_cells=True))
  assert np.isfinite(got).all() and not got.any()


@pytest.mark.parametrize('means_of_cells', [False, True])
def test_a_box_without_a_side_stays_a_number_in_a_large_graph(means_of_cells):
  """Whose optimizer moves small constants to where they are lost."""
  fed = tf.placeholder(tf.float32, [1, 1, 4])
  outer = box_ops.outer_boxes(fed, tf.constant([[63., 63.]]), 1.25)
  masks = mask_ops.crop_masks_in_boxes(
      tf.ones([1, 1, 16, 16]), fed, outer, 16, sample_offset=0.,
      means_of_cells=means_of_cells)
  with tf.Session() as session:
    for box in ([0., 63., 53.846428, 63.], [63., 0., 63., 63.],
                [63., 63., 63., 63.]):
      assert np.isfinite(session.run(masks, {fed: [[box]]})).all()
