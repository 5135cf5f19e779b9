"""Pools and rankings of pairs of box and class, by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import nms_candidates

# Logits of a class that no anchor of these tests has.
NEVER = -100.


def _run(nest):
  with tf.Session() as session:
    return session.run(nest)


def _box(index):
  """Anchor number `index`, 10 px large (11 with the extra pixel)."""
  return [10. * index, 0., 10. * index + 10., 10.]


def _dense(logits, apply_sigmoid=True, deltas=None):
  """DenseOutputs of two levels: four anchors and one; deltas are zeros.

  Args:
    logits: [5][C].
    apply_sigmoid: bool.
    deltas: [5][4] or None.
  """
  logits = np.float32(logits)
  deltas = np.zeros([5, 4]) if deltas is None else np.array(deltas)
  shapes = {3: (2, 1, 2), 4: (1, 1, 1)}  # h, w, anchors
  rows = {3: slice(0, 4), 4: slice(4, 5)}
  def by_level(values):
    return {level: tf.constant(
        values[rows[level]].reshape([1, h, w, -1]), tf.float32)
            for level, (h, w, _) in shapes.items()}
  anchors = {3: np.float32([_box(i) for i in range(4)]),
             4: np.float32([_box(4)])}
  return nms_candidates.DenseOutputs(
      by_level(deltas), by_level(logits), anchors, tf.constant([[45., 9.]]),
      apply_sigmoid)


# Background and classes 1, 2 of five anchors; the last is of another level.
LOGITS = [[9., 1., 0.], [0., 3., -2.], [0., NEVER, 4.], [0., -1., -1.],
          [0., NEVER, 2.]]


def _sigmoid(x):
  return 1. / (1. + np.exp(-np.float64(x)))


def test_pool_of_all_anchors():
  pool = _dense(LOGITS).pool()
  assert pool.bound is None
  boxes, scores = _run([pool.boxes, pool.scores])
  # Decoded boxes are the anchors, cut at (45, 9): at most 44 and 8.
  np.testing.assert_allclose(
      boxes[0, :, 0], [[0, 0, 10, 8], [10, 0, 20, 8], [20, 0, 30, 8],
                       [30, 0, 40, 8], [40, 0, 44, 8]], atol=1e-4)
  np.testing.assert_allclose(scores[0], _sigmoid(np.array(LOGITS)[:, 1:]),
                             atol=1e-6)


def test_pool_of_more_anchors_than_there_are():
  assert _dense(LOGITS).pool(5).bound is None
  assert _dense(LOGITS).pool(99).scores.shape.as_list() == [1, 5, 2]


def test_small_pool_keeps_the_order_and_bounds_the_rest():
  """Best logits, the background counts: 9, 3, 4, 0, 2."""
  pool = _run(_dense(LOGITS).pool(3))
  np.testing.assert_allclose(pool.boxes[0, :, 0, 0], [0., 10., 20.],
                             atol=1e-4)
  np.testing.assert_allclose(
      pool.scores[0], _sigmoid([[1., 0.], [3., -2.], [NEVER, 4.]]), atol=1e-6)
  np.testing.assert_allclose(pool.bound, [_sigmoid(3.)], rtol=1e-5)
  # Nothing that was left out scores more.
  assert pool.bound[0] >= _sigmoid(3.)


def test_small_pool_over_two_levels():
  logits = np.array(LOGITS)
  logits[4, 2] = 10.
  pool = _run(_dense(logits).pool(2))
  np.testing.assert_allclose(pool.boxes[0, :, 0, 0], [0., 40.], atol=1e-4)
  np.testing.assert_allclose(
      pool.scores[0], _sigmoid([[1., 0.], [NEVER, 10.]]), atol=1e-6)


def test_scores_that_are_no_logits():
  scores = _run(_dense(LOGITS, apply_sigmoid=False).pool().scores)
  np.testing.assert_allclose(scores[0], np.array(LOGITS)[:, 1:])


def test_deltas_move_the_boxes():
  deltas = np.zeros([5, 4])
  deltas[1] = [1., 0., 0., 0.]  # One height, 11 px, down.
  outputs = _dense(LOGITS, deltas=deltas)
  boxes, encoded = _run([outputs.pool().boxes, outputs.encoded_boxes])
  np.testing.assert_allclose(boxes[0, 1, 0], [21., 0., 31., 8.], atol=1e-4)
  np.testing.assert_allclose(encoded[0], deltas)


def test_first_class_box_of_a_dense_head():
  np.testing.assert_allclose(_run(_dense(LOGITS).first_class_box()),
                             [[10., 0., 20., 8.]], atol=1e-4)


def _regions(num_boxes):
  """Two regions, three classes; zeros but for class 2 of the first one."""
  deltas = np.zeros([1, 2, num_boxes, 4], np.float32)
  deltas[0, 0, -1] = [10., 0., 0., 0.]  # A weight of 10: one height down.
  logits = np.float32([[[0., 1., 2.], [3., 0., 0.]]])
  return nms_candidates.RegionOutputs(
      tf.constant(deltas.reshape([1, 2, -1])), tf.constant(logits),
      tf.constant([[_box(0), _box(1)]]), tf.constant([[[45., 9.]]]),
      (10., 10., 5., 5.))


def test_regions_with_a_box_for_each_class():
  pool = _regions(3).pool(1)
  assert pool.bound is None
  boxes, scores = _run([pool.boxes, pool.scores])
  # The box of the background is left out.
  np.testing.assert_allclose(
      boxes[0], [[[0, 0, 10, 8], [11, 0, 21, 8]],
                 [[10, 0, 20, 8], [10, 0, 20, 8]]], atol=1e-4)
  exp = np.exp([[0., 1., 2.], [3., 0., 0.]])
  np.testing.assert_allclose(
      scores[0], (exp / exp.sum(axis=1, keepdims=True))[:, 1:], atol=1e-6)


def test_regions_with_one_box_for_all_classes():
  outputs = _regions(1)
  boxes, best = _run([outputs.pool().boxes, outputs.first_class_box()])
  np.testing.assert_allclose(boxes[0], [[[11, 0, 21, 8]], [[10, 0, 20, 8]]],
                             atol=1e-4)
  np.testing.assert_allclose(best, [[11, 0, 21, 8]], atol=1e-4)


def _pool(scores, bound=None, boxes_per_row=1):
  """Pool of one image; the box of row r and class c begins at 10 r + c."""
  scores = np.float32([scores])
  boxes = np.zeros([1, scores.shape[1], boxes_per_row, 4], np.float32)
  boxes[0, :, :, 0] = (10. * np.arange(scores.shape[1])[:, None]
                       + np.arange(boxes_per_row))
  return nms_candidates.Pool(tf.constant(boxes), tf.constant(scores),
                             None if bound is None else tf.constant([bound]))


# Rows are boxes, columns classes.
SCORES = [[.9, .2], [.5, .8], [.1, .8]]


def _rank(pool, size=None, limit=None, score_threshold=.15):
  ranking = nms_candidates.rank(pool, size, limit, score_threshold)
  present = {k: v for k, v in ranking._asdict().items() if v is not None}
  return ranking._replace(**_run(present))


def test_pairs_come_best_first_and_equals_by_box():
  ranking = _rank(_pool(SCORES))
  np.testing.assert_allclose(ranking.scores[0], [.9, .8, .8, .5, .2, .1])
  assert ranking.classes[0].tolist() == [0, 1, 1, 0, 1, 0]
  assert ranking.boxes[0, :, 0].tolist() == [0., 10., 20., 10., 0., 20.]
  assert ranking.valid[0].tolist() == [True] * 5 + [False]
  assert ranking.complete is None


def test_equals_come_by_class_first():
  ranking = _rank(_pool([[.5, .5], [.5, .5]]))
  assert ranking.classes[0].tolist() == [0, 0, 1, 1]
  assert ranking.boxes[0, :, 0].tolist() == [0., 10., 0., 10.]


def test_boxes_of_each_class():
  ranking = _rank(_pool(SCORES, boxes_per_row=2))
  assert ranking.boxes[0, :, 0].tolist() == [0., 11., 21., 10., 1., 20.]


@pytest.mark.parametrize('size,score_threshold,complete', [
    (3, .15, False),   # .5 is missing
    (4, .5, True),     # what is missing is below .5
    (4, .15, False), (6, .15, None), (99, .15, None)])
def test_first_pairs(size, score_threshold, complete):
  ranking = _rank(_pool(SCORES), size=size, score_threshold=score_threshold)
  assert len(ranking.scores[0]) == min(size, 6)
  np.testing.assert_allclose(ranking.scores[0, :3], [.9, .8, .8])
  if complete is None:
    assert ranking.complete is None
  else:
    assert ranking.complete.tolist() == [complete]


@pytest.mark.parametrize('bound,valid,complete', [
    (.6, [True] * 3 + [False] * 3, False),
    # A pair that was left out might tie with it and belong in front.
    (.8, [True] + [False] * 5, False),
    (.1, [True] * 5 + [False], True)])
def test_pairs_below_what_was_left_out_are_not_valid(bound, valid, complete):
  ranking = _rank(_pool(SCORES, bound=bound))
  assert ranking.valid[0].tolist() == valid
  assert ranking.complete.tolist() == [complete]


@pytest.mark.parametrize('size', [None, 5])
@pytest.mark.parametrize('limit,expected', [
    (1, [.9, .8]), (2, [.9, .8, .8, .5]), (3, [.9, .8, .8, .5, .2])])
def test_limit_of_each_class(size, limit, expected):
  """Of class 0 .9, .5, .1 and of class 1 .8, .8, .2."""
  ranking = _rank(_pool(SCORES), size=size, limit=limit)
  np.testing.assert_allclose(ranking.scores[0][ranking.valid[0]], expected)
