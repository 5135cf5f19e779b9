"""Tests of ops.views and utils.views: views, and the way back from them."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import views
from utils import mask_grids
from utils import views as views_lib

# An image of 30 x 41 pixels at 0.5 and, with another rounding, at 1.5.
_HALF = np.float32([[30, 41], [16, 32], [15 / 30, 20 / 41], [0, 0]])
_LARGE = np.float32([[30, 41], [48, 96], [45 / 30, 62 / 41], [0, 0]])


def _moved(box, source, target, is_mirrored):
  with tf.Session() as session:
    return session.run(views.move_boxes(
        tf.constant(np.reshape(box, [1, 1, 4])),
        tf.constant(source[np.newaxis]), tf.constant(target[np.newaxis]),
        is_mirrored))[0, 0]


def test_plan():
  assert views_lib.plan(False, ()) == []
  assert views_lib.plan(False, (1., 1)) == []
  assert views_lib.plan(True, ()) == [(1., True)]
  assert views_lib.plan(True, (1, .5)) == [(1., True), (.5, False), (.5, True)]
  assert views_lib.View(.5, True).size((33, 64)) == (17, 32)
  assert views_lib.View(.1, True).size((3, 64)) == (1, 6)


def test_boxes_by_hand():
  image_box = np.float32([3, 5, 9, 41])
  in_half = image_box * np.tile(_HALF[2], 2)
  np.testing.assert_allclose(
      _moved(in_half, _HALF, _LARGE, False), image_box * np.tile(_LARGE[2], 2),
      rtol=1e-6)
  # 41 pixels wide: what reaches from 5 to the border begins at it.
  mirrored = np.float32([3, 0, 9, 36])
  np.testing.assert_allclose(
      _moved(in_half, _HALF, _LARGE, True), mirrored * np.tile(_LARGE[2], 2),
      rtol=1e-6, atol=1e-5)


def test_there_and_back():
  box = np.float32([1.5, 2.25, 7., 19.])
  there = _moved(box, _HALF, _LARGE, True)
  np.testing.assert_allclose(_moved(there, _LARGE, _HALF, True), box, rtol=1e-6)


@pytest.mark.parametrize('size', [(30, 41), (41, 30), (64, 64), (7, 90)])
def test_a_view_is_the_input_of_another_image(size):
  image = np.random.RandomState(0).randint(0, 256, size + (3,)).astype(np.uint8)
  with tf.Session() as session:
    def made(pixels, view):
      return session.run(views.make(tf.constant(pixels), view, (40, 60), 32))
    mirrored = made(image, views_lib.View(1., True))
    other = made(image[:, ::-1].copy(), views_lib.PLAIN)
    larger = made(image, views_lib.View(1.5, False))
  for found, expected in zip(mirrored, other):
    np.testing.assert_array_equal(found, expected)
  assert mirrored[0].shape == (64, 64, 3) and larger[0].shape == (64, 96, 3)
  np.testing.assert_array_equal(larger[1][1], [60, 90])
  np.testing.assert_allclose(
      larger[1][2] * size,
      np.round(np.array(size) * min(60 / size[0], 90 / size[1])), rtol=1e-6)


def _mirrored(masks, grid):
  with tf.Session() as session:
    return session.run(views.mirror_masks(tf.constant(masks), grid))


def test_masks_of_cells():
  masks = np.random.RandomState(0).rand(2, 3, 4, 5).astype(np.float32)
  for grid in (mask_grids.CELLS, mask_grids.corners()):
    np.testing.assert_array_equal(_mirrored(masks, grid), masks[..., ::-1])


def test_masks_of_corners():
  """A mask that rises from left to right falls in a mirrored box."""
  grid, samples = mask_grids.corners(56), 28
  # As mask_grids says: sample j reads the crop at (j + 1/2) * C / S, whose
  # samples lie at u = i / (C - 1).
  u = (np.arange(samples) + .5) * 56 / samples / 55
  mirrored = np.tile(np.float32(1 - u), [1, 1, samples, 1])
  found = _mirrored(mirrored, grid)
  # Left of the first sample there is none to read.
  np.testing.assert_allclose(
      found[..., :-1], np.tile(u, [1, 1, samples, 1])[..., :-1], atol=1e-6)
