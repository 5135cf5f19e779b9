"""Masks pasted in a graph are those that are pasted outside of it."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving import mask_pasting
from utils import mask_grids
from utils import masks as mask_utils

SIZES = [(40, 60), (23, 31)]
SCALES = [(1., 1.), (1.6, 1.5)]
GRIDS = [mask_grids.CELLS, mask_grids.corners(), mask_grids.corners(112)]


def _masks_and_boxes(seed):
  """[2, 24, 7, 9] smooth values, and boxes in pixels of the network's input."""
  rng = np.random.RandomState(seed)
  masks = rng.uniform(0., 1., [2, 24, 7, 9]).astype(np.float32)
  boxes = np.zeros([2, 24, 4], np.float32)
  for i, scale in enumerate(SCALES):
    start = rng.uniform(-4., 20., [24, 2])
    stop = start + rng.uniform(0., 30., [24, 2])
    boxes[i] = np.concatenate([start, stop], axis=1) * np.tile(scale, 2)
  boxes[:, 0] = 0.  # without area, at the corner
  boxes[:, 1] = [[5.2, 5.2, 5.3, 5.3]]  # between the places of two pixels
  boxes[:, 2] = [[0., 0., 200., 200.]]  # beyond the image
  boxes[:, 3] = [[-9., -9., -3., -3.]]  # outside of it
  return masks, boxes


@pytest.mark.parametrize('grid', GRIDS, ids=lambda g: '%s%d' % g)
def test_as_outside_of_the_graph(grid):
  masks, boxes = _masks_and_boxes(0)
  infos = np.array([[size, [64, 64], scale, [0, 0]]
                    for size, scale in zip(SIZES, SCALES)], np.float32)
  with tf.Session() as session:
    pasted = session.run(mask_pasting.paste(
        tf.constant(masks), tf.constant(boxes), tf.constant(infos), grid))
  assert pasted.shape == (2, 24, 40, 60) and pasted.dtype == np.uint8
  assert not pasted[1, :, 23:].any() and not pasted[1, :, :, 31:].any()
  for i, (height, width) in enumerate(SIZES):
    y0, x0, y1, x1 = np.moveaxis(boxes[i] / np.tile(infos[i, 2], 2), -1, 0)
    expected = mask_utils.paste_masks(
        masks[i], np.stack([x0, y0, x1 - x0, y1 - y0], axis=-1), height, width,
        grid)
    differs = (pasted[i, :, :height, :width] != expected).mean(axis=(1, 2))
    assert differs.max() < 2e-3  # of a pixel that is half covered
    assert (expected.mean(axis=(1, 2)) > .01).sum() > 10


def test_upstreams_paste_is_refused():
  with pytest.raises(ValueError, match='legacy_mask_paste'):
    mask_pasting.paste(tf.zeros([1, 1, 2, 2]), tf.zeros([1, 1, 4]),
                       tf.zeros([1, 4, 2]), mask_grids.LEGACY)
