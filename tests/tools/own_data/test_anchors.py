"""Anchors: fitted to sizes and shapes, few of them, and told honestly."""

import numpy as np
import pytest

from configs import detection
from dataloader import data_checks
from tools.own_data import anchors


def test_iou_with_the_best_anchor():
  """By hand: 10 x 20 in 20 x 20 covers half of it."""
  ious = data_checks.best_ious([[10., 20.], [20., 20.]],
                               np.array([[20., 20.], [100., 100.]]))
  np.testing.assert_allclose(ious, [.5, 1.])
  assert data_checks.best_ious(np.zeros([0, 2]), np.ones([1, 2])).shape == (0,)


def test_sizes_of_anchors():
  """Level 3, 2 strides: 16 px; ratio 4 is twice as wide, half as high."""
  sizes = data_checks.anchor_sizes(
      detection.Anchor(num_scales=1, aspect_ratios=(1., 4.), anchor_size=2.),
      3, 4)
  np.testing.assert_allclose(sizes, [[16, 16], [8, 32], [32, 32], [16, 64]])


def _objects(low, high, ratio=1., count=400):
  rng = np.random.RandomState(0)
  side = np.exp(rng.uniform(np.log(low), np.log(high), [count, 1]))
  return side * [ratio ** -.5, ratio ** .5]


def test_squares_need_one_ratio():
  choice = anchors.choose(_objects(16, 100), 3, 6)
  assert choice.anchor.aspect_ratios == (1.,)
  assert choice.share > .98


def test_long_objects_get_their_ratio():
  """The defaults have ratios up to 2, and fit none that are 6 times as wide."""
  choice = anchors.choose(_objects(20, 120, ratio=6.), 3, 6)
  assert choice.anchor.aspect_ratios == (6.,)
  assert choice.share_before < .1 < .95 < choice.share


def test_two_shapes():
  sides = np.concatenate([_objects(30, 60, .25), _objects(30, 60, 4.)])
  choice = anchors.choose(sides, 3, 6)
  assert choice.anchor.aspect_ratios == (.25, 4.)


def test_small_objects_have_small_anchors():
  choice = anchors.choose(_objects(8, 16), 3, 6)
  assert choice.anchor.anchor_size * 8 <= 16
  assert choice.max_level == 5  # No coarser one is of use.


def test_large_objects_have_large_anchors():
  choice = anchors.choose(_objects(100, 300), 3, 7)
  largest = data_checks.anchor_sizes(choice.anchor, 3, choice.max_level).max()
  assert largest >= 200 and choice.share > .9


def test_scaled_images_count():
  """Training enlarges twice: the anchors have to reach that far."""
  plain = anchors.choose(_objects(100, 140), 3, 7)
  jittered = anchors.choose(_objects(100, 140), 3, 7, jitter=(1., 3.))
  def largest(choice):
    return data_checks.anchor_sizes(choice.anchor, 3, choice.max_level).max()
  assert largest(jittered) > 1.5 * largest(plain)


def test_no_object():
  with pytest.raises(ValueError, match='no object'):
    anchors.choose(np.zeros([0, 2]), 3, 6)
