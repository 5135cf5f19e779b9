"""Tests of ops/proposals.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import anchors as anchor_ops
from ops import boxes as box_ops
from ops import proposals
from tests import golden
from tests import graphs
from tests import runtimes
from tests.ops import greedy_nms

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


def _slow(decoded, scores_by_level, image_shape, pre_nms_top_k, post_nms_top_k,
          nms_threshold, score_threshold=0., min_size_threshold=0.,
          use_batched_nms=False, clip_boxes=True):
  """One image, level by level and box by box; (boxes, scores) without padding.

  Args:
    decoded: {level: boxes [h * w * A, 4]}.
    scores_by_level: {level: scores [h, w, A]}.
  """
  found = []
  for level in LEVELS:
    boxes = np.array(decoded[level])
    if clip_boxes:
      boxes = np.clip(boxes, 0., np.tile(image_shape - 1., 2))
    scores = scores_by_level[level].ravel()
    if min_size_threshold > 0:
      sizes = boxes[:, 2:] - boxes[:, :2] + 1.
      centers = boxes[:, :2] + sizes / 2.
      keep = ((sizes > max(min_size_threshold, 1.)) & (centers > 0.) &
              (centers < image_shape)).all(axis=1)
      boxes, scores = boxes * keep[:, np.newaxis], scores * keep
    limit = len(scores) if use_batched_nms else pre_nms_top_k
    rows = np.argsort(-scores, kind='stable')[:limit]
    if use_batched_nms or score_threshold > 0:
      rows = rows[scores[rows] > np.float32(score_threshold)]
    if not use_batched_nms:
      rows = rows[boxes[rows].any(axis=1)]
    if nms_threshold > 0:
      rows = rows[greedy_nms.keep(
          boxes[rows], nms_threshold, not use_batched_nms, post_nms_top_k)]
    rows = rows[:min(pre_nms_top_k, post_nms_top_k)]
    found.extend((scores[row], boxes[row]) for row in rows)
  found.sort(key=lambda pair: -pair[0])  # equal ones stay in order
  scores, boxes = zip(*found[:post_nms_top_k]) if found else ((), ())
  return np.reshape(boxes, [-1, 4]), np.array(scores)


def _outputs(seed, batch_size=2, size=(64, 96)):
  """Random outputs of a head; ({level: boxes}, {level: scores}, anchors)."""
  rng = np.random.RandomState(seed)
  generator = anchor_ops.AnchorGenerator(3, 5, 1, [1., 2., .5], 4.)
  box_outputs, score_outputs = {}, {}
  for level in LEVELS:
    shape = (batch_size, size[0] >> level, size[1] >> level)
    box_outputs[level] = rng.normal(0., .5, shape + (12,)).astype(np.float32)
    score_outputs[level] = rng.normal(0., 2., shape + (3,)).astype(np.float32)
  return box_outputs, score_outputs, generator.boxes(size)


_SHAPES = np.float32([[64., 96.], [50., 80.]])  # of two images


def _fed(outputs):
  """(placeholders of outputs, the values of them) by name, for tests.graphs."""
  values = {'%s%d' % (name, level): value
            for name, by_level in zip(('boxes', 'scores'), outputs)
            for level, value in by_level.items()}
  return {name: tf.placeholder(tf.float32, value.shape)
          for name, value in values.items()}, values


def _by_level(inputs, name):
  return {level: inputs['%s%d' % (name, level)] for level in LEVELS}


def _proposed(outputs, **params):
  """(rois, scores) of outputs as `_outputs` makes them, with their checks."""
  def build():
    inputs, _ = _fed(outputs)
    return inputs, proposals.generate_proposals(
        _by_level(inputs, 'boxes'), _by_level(inputs, 'scores'), outputs[2],
        tf.constant(_SHAPES), **params)
  graph = graphs.shared(('proposals', sorted(params.items())), build)
  size = graph.outputs[1].shape[1].value
  assert graph.outputs[0].shape.as_list() == [2, size, 4]
  return graph.run(**_fed(outputs)[1])


def _decoded(outputs):
  """({level: boxes}, {level: scores after the sigmoid}) of outputs."""
  def build():
    inputs, _ = _fed(outputs)
    return inputs, (
        {level: box_ops.decode_boxes(
            tf.reshape(value, [2, -1, 4]), outputs[2][level][np.newaxis])
         for level, value in _by_level(inputs, 'boxes').items()},
        {level: tf.sigmoid(value)
         for level, value in _by_level(inputs, 'scores').items()})
  return graphs.shared('proposals.decoded', build).run(**_fed(outputs)[1])


def _check(outputs, **params):
  """Compares with the slow path; returns the number of proposals."""
  rois, scores = _proposed(outputs, **params)
  decoded, all_scores = _decoded(outputs)
  if not params.pop('apply_sigmoid', True):
    all_scores = outputs[1]
  padding = 0. if params.get('use_batched_nms') else -1.
  nums = []
  for image in range(2):
    expected_rois, expected_scores = _slow(
        {level: decoded[level][image] for level in LEVELS},
        {level: all_scores[level][image] for level in LEVELS}, _SHAPES[image],
        **params)
    num = len(expected_scores)
    np.testing.assert_allclose(rois[image, :num], expected_rois, atol=1e-4)
    np.testing.assert_allclose(scores[image, :num], expected_scores, atol=1e-6)
    assert (scores[image, num:] == padding).all()
    assert not rois[image, num:].any()
    nums.append(num)
  return nums


@pytest.mark.parametrize('params, pre_and_post, use_batched_nms',
                         runtimes.product([
    {'nms_threshold': .7},
    {'nms_threshold': .3, 'score_threshold': .4},
    {'nms_threshold': .5, 'min_size_threshold': 24.},
    {'nms_threshold': .5, 'min_size_threshold': .5, 'score_threshold': .7},
    {'nms_threshold': 0.},
    {'nms_threshold': 0., 'score_threshold': .3, 'min_size_threshold': 16.},
    {'nms_threshold': .6, 'clip_boxes': False},
], [(100, 30), (50, 120)], [False, True]), ids=str)
def test_equals_the_slow_one(params, pre_and_post, use_batched_nms):
  pre, post = pre_and_post
  nums = _check(_outputs(seed=pre), pre_nms_top_k=pre, post_nms_top_k=post,
                use_batched_nms=use_batched_nms, **params)
  assert max(nums) > 0


@pytest.mark.parametrize('use_batched_nms', [False, True])
def test_more_places_than_boxes(use_batched_nms):
  nums = _check(_outputs(seed=4), pre_nms_top_k=1000, post_nms_top_k=1000,
                nms_threshold=.7, use_batched_nms=use_batched_nms)
  assert 0 < max(nums) < 378  # anchors


@pytest.mark.parametrize('use_batched_nms', [False, True])
def test_equal_scores(use_batched_nms):
  """The finer level first, in a level the first anchor."""
  outputs = _outputs(seed=5)
  for scores in outputs[1].values():
    scores[...] = np.round(scores / 2.) * 2.
  _check(outputs, pre_nms_top_k=60, post_nms_top_k=50, nms_threshold=.5,
         use_batched_nms=use_batched_nms)


@pytest.mark.parametrize('use_batched_nms', [False, True])
def test_scores_that_are_none_of_a_sigmoid(use_batched_nms):
  outputs = _outputs(seed=6)
  for scores in outputs[1].values():
    scores[...] = np.abs(scores)
  _check(outputs, pre_nms_top_k=60, post_nms_top_k=50, nms_threshold=.5,
         use_batched_nms=use_batched_nms, apply_sigmoid=False)


def test_boxes_that_are_decoded():
  boxes = np.float32([[0, 0, 9, 9], [0, 0, 9, 10], [20, 20, 30, 70]])
  rois, scores = _run(proposals.generate_proposals(
      {3: tf.constant(boxes.reshape([1, 1, 3, 4]))},
      {3: tf.constant([1., 3., 2.], shape=[1, 1, 3, 1])}, {3: np.zeros([3, 4])},
      tf.constant([[40., 50.]]), 10, 10, .7, apply_sigmoid=False,
      decode_boxes=False))
  # The first overlaps the second by 0.9; the third reaches out of the image.
  np.testing.assert_allclose(scores, [[3., 2., -1.]])
  np.testing.assert_allclose(
      rois, [[[0, 0, 9, 10], [20, 20, 30, 49], [0, 0, 0, 0]]])


@pytest.mark.parametrize('use_batched_nms', [False, True])
def test_nothing_is_large_enough(use_batched_nms):
  outputs = _outputs(seed=7)
  for boxes in outputs[0].values():  # less than a pixel
    boxes[...] = np.float32([0., 0., -20., -20.] * 3)
  nums = _check(outputs, pre_nms_top_k=50, post_nms_top_k=20, nms_threshold=.7,
                min_size_threshold=2., use_batched_nms=use_batched_nms)
  assert nums == [0, 0]


@pytest.mark.parametrize('use_batched_nms', [False, True])
@pytest.mark.parametrize('delta', [
    [0., 0., -20., -20.], [1e4, 1e4, 0., 0.], [-1e4, 0., 0., 0.],
    [0., 0., 1e4, 1e4], [3e38, -3e38, 3e38, -3e38]])
def test_degenerate_boxes(delta, use_batched_nms):
  """One pixel, out of the image, larger than it: proposals stay in the image.
  """
  outputs = _outputs(seed=8)
  for boxes in outputs[0].values():
    boxes[...] = np.float32(delta * 3)
  rois, scores = _proposed(
      outputs, pre_nms_top_k=50, post_nms_top_k=20, nms_threshold=.7,
      use_batched_nms=use_batched_nms)
  assert np.isfinite(rois).all() and np.isfinite(scores).all()
  assert (rois >= 0.).all()
  assert (rois <= np.tile(_SHAPES - 1., [1, 2])[:, np.newaxis]).all()


@pytest.mark.parametrize('use_batched_nms', [False, True])
def test_batch_may_be_unknown_and_anchors_per_image(use_batched_nms):
  values = _outputs(seed=9)
  inputs = [{level: tf.placeholder(tf.float32, [None] + list(value.shape[1:]))
             for level, value in by_level.items()} for by_level in values[:2]]
  anchors = {level: tf.placeholder(tf.float32, (None,) + value.shape)
             for level, value in values[2].items()}
  shapes = tf.placeholder(tf.float32, [None, 1, 2])
  outputs = proposals.generate_proposals(
      inputs[0], inputs[1], anchors, shapes, 60, 30, .7,
      use_batched_nms=use_batched_nms)
  assert outputs[0].shape.as_list() == [None, 30, 4]
  expected = _proposed(values, pre_nms_top_k=60, post_nms_top_k=30,
                       nms_threshold=.7, use_batched_nms=use_batched_nms)
  with tf.Session() as session:
    for size in (1, 2):
      feeds = {shapes: _SHAPES[:size, np.newaxis]}
      for level in LEVELS:
        feeds[anchors[level]] = np.stack([values[2][level]] * size)
        for placeholders, arrays in zip(inputs, values):
          feeds[placeholders[level]] = arrays[level][:size]
      for value, of_all in zip(session.run(outputs, feeds), expected):
        np.testing.assert_allclose(value, of_all[:size], atol=1e-4)


def test_no_gradient():
  box_outputs, score_outputs, anchors = _outputs(seed=10)
  inputs = [_constants(box_outputs), _constants(score_outputs)]
  outputs = proposals.generate_proposals(
      inputs[0], inputs[1], anchors, tf.constant(_SHAPES), 60, 30, .7)
  tensors = [tensor for by_level in inputs for tensor in by_level.values()]
  assert tf.gradients(list(outputs), tensors) == [None] * 6


def test_negative_threshold_is_an_error():
  outputs = _outputs(seed=11)
  with pytest.raises(ValueError, match='nms_threshold.*-0.1'):
    proposals.generate_proposals(*outputs, image_shape=_SHAPES,
                                 pre_nms_top_k=10, post_nms_top_k=10,
                                 nms_threshold=-.1)


@pytest.mark.parametrize('params', runtimes.alternate([
    {}, {'use_batched_nms': True}, {'score_threshold': .3},
    {'min_size_threshold': 8.}]), ids=str)
def test_compiles_with_xla(params):
  """As on a TPU: static shapes, functional control flow."""
  box_outputs, score_outputs, anchors = _outputs(seed=12)

  def build(*tensors):
    return list(proposals.generate_proposals(
        dict(zip(LEVELS, tensors[:3])), dict(zip(LEVELS, tensors[3:])), anchors,
        tf.constant(_SHAPES), 60, 30, .7, **params))

  tensors = [tf.constant(value[level]) for value in (box_outputs, score_outputs)
             for level in LEVELS]
  tf.enable_control_flow_v2()
  try:
    plain, compiled = _run(
        [build(*tensors), tf.xla.experimental.compile(build, tensors)])
  finally:
    tf.disable_control_flow_v2()
  for expected, value in zip(plain, compiled):
    np.testing.assert_allclose(value, expected, atol=1e-4)
