"""Tests of ops/anchors.py."""

import numpy as np
import pytest

from ops import anchors
from tests import golden


def _generator(params):
  return anchors.AnchorGenerator(
      params['min_level'], params['max_level'], params['num_scales'],
      params['aspect_ratios'], params['anchor_size'])


@pytest.mark.parametrize('case', golden.load_cases('anchors'),
                         ids=lambda case: case.name)
def test_equals_the_reference(case):
  generator = _generator(case.params)
  size = case.params['image_size']
  assert generator.anchors_per_location == case.params['anchors_per_location']
  np.testing.assert_allclose(generator.flat(size), case.outputs['boxes'],
                             rtol=0, atol=1e-4)
  by_level = generator.boxes(size)
  for level, expected in golden.levels(case.outputs, 'multilevel').items():
    np.testing.assert_allclose(by_level[level], expected, rtol=0, atol=1e-4)


def test_values_worked_out_by_hand():
  """Stride 8, base 4 strides, so 32 pixels; ratio 4 is 64 wide, 16 high."""
  generator = anchors.AnchorGenerator(3, 4, 2, [1., 4.], 4.)
  boxes = generator.boxes((16, 32))
  assert boxes[3].shape == (2 * 4 * 4, 4) and boxes[4].shape == (1 * 2 * 4, 4)
  np.testing.assert_allclose(boxes[3][0], [-12., -12., 20., 20.])
  np.testing.assert_allclose(boxes[3][1], [-4., -28., 12., 36.])
  half = 16. * 2 ** 0.5
  np.testing.assert_allclose(boxes[3][2], [4 - half, 4 - half, 4 + half,
                                           4 + half], rtol=1e-6)
  # The second cell is one stride to the right, the fifth one stride down.
  np.testing.assert_allclose(boxes[3][4] - boxes[3][0], [0, 8, 0, 8])
  np.testing.assert_allclose(boxes[3][16] - boxes[3][0], [8, 0, 8, 0])
  np.testing.assert_allclose(boxes[4][0], [-24., -24., 40., 40.])


def test_sizes_are_those_of_the_boxes():
  generator = anchors.AnchorGenerator(3, 4, 2, [1., 4.], 4.)
  sizes = generator.sizes()
  np.testing.assert_allclose(sizes[:2], [[32., 32.], [16., 64.]])
  by_level = generator.boxes((16, 32))
  first = np.concatenate([by_level[level][:4] for level in (3, 4)])
  np.testing.assert_allclose(first[:, 2:] - first[:, :2], sizes, rtol=1e-6)


def test_cells_of_sizes_between_strides():
  assert anchors.cells((640, 64), 5) == (20, 2)
  assert anchors.cells((60, 8), 4) == (4, 0)  # centres at 8, 24, 40, 56
  assert anchors.cells((100, 60), 3) == (12, 7)


def test_boxes_are_computed_once_and_read_only():
  generator = anchors.AnchorGenerator(3, 5, 1, [1.], 4.)
  first, again = generator.boxes((64, 64)), generator.boxes([64, 64])
  assert first[3] is again[3] and first is not again
  with pytest.raises(ValueError):
    first[3][0, 0] = 0.


@pytest.mark.parametrize('arguments', [
    (4, 3, 1, [1.], 4.), (3, 4, 0, [1.], 4.), (3, 4, 1, [], 4.),
    (3, 4, 1, [1.], 0.), (3, 4, 1, [-1.], 4.)])
def test_bad_parameters(arguments):
  with pytest.raises(ValueError):
    anchors.AnchorGenerator(*arguments)


def test_grid_describes_the_anchors():
  generator = anchors.AnchorGenerator(3, 5, 2, [1., 2.], 4.)
  size = (64, 100)
  grid = anchors.make_grid(generator.boxes(size), size)
  np.testing.assert_array_equal(grid.boxes, generator.flat(size))
  assert grid.level_shapes == {3: (8, 12, 4), 4: (4, 6, 4), 5: (2, 3, 4)}
  for t in range(len(grid.strides)):
    row, col = grid.rows[t] - 1, grid.cols[t] // 2
    index = grid.starts[t] + (row * grid.cols[t] + col) * grid.steps[t]
    center = (np.array([row, col]) + 0.5) * grid.strides[t]
    half = np.array([grid.heights[t], grid.widths[t]]) / 2.
    np.testing.assert_allclose(
        grid.boxes[index], np.concatenate([center - half, center + half]),
        atol=1e-4)


def test_grid_refuses_other_anchors():
  generator = anchors.AnchorGenerator(3, 4, 1, [1., 2.], 4.)
  boxes = generator.boxes((64, 64))
  with pytest.raises(ValueError, match='level 3.*regular grid'):
    anchors.make_grid(boxes, (64, 72))
  boxes[4] = boxes[4] + np.linspace(0., 1., len(boxes[4]))[:, None]
  with pytest.raises(ValueError, match='level 4.*regular grid'):
    anchors.make_grid(boxes, (64, 64))
