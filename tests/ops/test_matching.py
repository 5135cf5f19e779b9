"""Tests of ops/matching.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import anchors
from ops import boxes as box_ops
from ops import matching
from tests import golden
from tests import runtimes
from tests.ops import full_matching


@pytest.mark.parametrize('case', golden.load_cases('argmax_matcher'),
                         ids=lambda case: case.name)
def test_equals_the_reference(case):
  params = case.params
  similarity = tf.placeholder(tf.float32, [None, None])
  match = full_matching.match_anchors(
      similarity, params['match_threshold'], params['unmatched_threshold'],
      params['negatives_lower_than_unmatched'],
      params['force_match_for_each_row'])
  with tf.Session() as session:
    got = session.run(match, {similarity: case.inputs['similarity']})
  assert got.dtype == np.int32
  np.testing.assert_array_equal(got, case.outputs['match'])


def _match(similarity, *args, **kwargs):
  with tf.Session() as session:
    return session.run(full_matching.match_anchors(
        tf.constant(similarity, tf.float32), *args, **kwargs)).tolist()


def test_values_worked_out_by_hand():
  similarity = [[.9, .5, .1, .45, .0], [.2, .5, .3, .1, .0]]
  # Anchor 1 is a tie, so row 0; anchor 1 is also the best of row 1, so row 1.
  assert _match(similarity, .5, .4) == [0, 1, -1, -2, -1]
  assert _match(similarity, .5, .4, force_match_for_each_row=False) == [
      0, 0, -1, -2, -1]
  assert _match(similarity, .5, .4, negatives_lower_than_unmatched=False,
                force_match_for_each_row=False) == [0, 0, -2, -1, -2]
  # Both rows insist on anchor 0: the first one gets it.
  assert _match([[.0, .0], [.2, .1]], .5, .5) == [0, -1]


def test_no_boxes_of_static_shape():
  assert _match(np.zeros([0, 3]), .5, .4) == [-1, -1, -1]


def test_thresholds_out_of_order():
  with pytest.raises(ValueError, match='0.6 must not exceed match_thr'):
    full_matching.match_anchors(tf.zeros([1, 1]), .5, .6)


def _random_boxes(rng, kind, size, grid):
  """Boxes of one kind of trouble: [K, 4], K from 0 to 9."""
  count = rng.randint(0, 10)
  height, width = size
  if kind == 'anchors':  # overlaps of exactly 1, and ties
    return grid.boxes[rng.randint(0, len(grid.boxes), count)]
  if kind == 'integers':  # many exact ties, empty boxes
    corners = np.sort(rng.randint(0, min(size), [count, 2, 2]), axis=1)
    return corners.reshape([count, 4])
  ranges = {'tiny': (.01, 4.), 'any': (2., 1.5 * max(size))}
  low, high = np.log(ranges[kind])
  half = np.exp(rng.uniform(low, high, [count, 2])) / 2.
  center = rng.uniform(0., 1., [count, 2]) * size
  corners = np.concatenate([center - half, center + half], axis=1)
  return np.clip(corners, 0, [height - 1, width - 1] * 2)


@pytest.mark.parametrize('of_anchors, thresholds', runtimes.product(
    [((128, 192), (3, 6, 2, [1., 2., .5], 4.)),
     ((100, 60), (3, 4, 2, [.3, 1., 3.3], 4.)),
     ((64, 64), (5, 7, 1, [1.], 1.))], [(.5, .5), (.7, .3), (.9, .05)]),
                         ids=str)
def test_grid_matches_equal_the_full_matrix(of_anchors, thresholds):
  size, anchor_args = of_anchors
  grid = anchors.make_grid(
      anchors.AnchorGenerator(*anchor_args).boxes(size), size)
  boxes = tf.placeholder(tf.float32, [None, 4])
  sparse = matching.match_grid_anchors(boxes, grid, *thresholds)
  full = full_matching.match_anchors(
      box_ops.paired_iou(boxes[:, tf.newaxis], grid.boxes[np.newaxis]),
      *thresholds)
  rng = np.random.RandomState(1)
  with tf.Session() as session:
    for kind in ('any', 'anchors', 'integers', 'tiny') * 4:
      matches, expected = session.run(
          [sparse, full], {boxes: _random_boxes(rng, kind, size, grid)})
      got = np.full_like(expected, -1)
      got[matches.anchor_ids] = np.where(matches.is_positive, matches.box_ids,
                                         -2)
      np.testing.assert_array_equal(got, expected, err_msg=kind)


def test_grid_ignores_padding_and_survives_nan():
  size = (64, 64)
  grid = anchors.make_grid(
      anchors.AnchorGenerator(3, 4, 1, [1.], 4.).boxes(size), size)
  boxes = [[-1.] * 4, [8., 8., 39., 40.], [np.nan, 0., 9., 9.], [-1.] * 4]
  with tf.Session() as session:
    padded, alone = session.run([
        matching.match_grid_anchors(tf.constant(b, tf.float32), grid, .5, .4)
        for b in (boxes[:2] + boxes[3:], boxes[1:2])])
    session.run(matching.match_grid_anchors(tf.constant(boxes), grid, .5, .4))
  np.testing.assert_array_equal(padded.anchor_ids, alone.anchor_ids)
  assert set(padded.box_ids) == {1} and set(alone.box_ids) == {0}


def test_grid_needs_a_positive_threshold():
  grid = anchors.make_grid(
      anchors.AnchorGenerator(3, 4, 1, [1.], 4.).boxes((64, 64)), (64, 64))
  with pytest.raises(ValueError, match='above 0'):
    matching.match_grid_anchors(tf.zeros([1, 4]), grid, .5, 0.)
