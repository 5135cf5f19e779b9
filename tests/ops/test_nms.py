import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import nms
from ops import portability
from tests import golden
from tests import runtimes
from tests.ops import greedy_nms

_PADDED = [c for c in golden.load_cases('nms_padded')
           if not c.name.startswith('stock')]
_STOCK = [c for c in golden.load_cases('nms_padded')
          if c.name.startswith('stock')]


@pytest.fixture(params=['loop', 'operation'])
def form(request):
  """Each of the two forms of select, for graphs with loops and without."""
  portability.require(has_loops=request.param == 'loop')


def _run(tensors, feeds=None):
  with tf.Session() as session:
    return session.run(tensors, feeds)


def _random_boxes(rng, shape, size=200.):
  centers = rng.uniform(0., size, shape + (2,))
  half = rng.uniform(2., size / 8., shape + (2,))
  return np.concatenate(
      [centers - half, centers + half], axis=-1).astype(np.float32)


@pytest.mark.parametrize('case', _PADDED, ids=lambda c: c.name)
def test_sorted_nms_equals_reference(case):
  scores, boxes = _run(nms.sorted_nms_padded(
      tf.constant(case.inputs['scores']), tf.constant(case.inputs['boxes']),
      case.params['max_output_size'], case.params['iou_threshold']))
  if case.name == 'negcoords':
    # The reference takes boxes without positive coordinates for padding; here
    # they are boxes. Deliberate.
    expected = _greedy(case)
    np.testing.assert_allclose(scores[0, :len(expected)],
                               case.inputs['scores'][0, expected])
    np.testing.assert_allclose(boxes[0, :len(expected)],
                               case.inputs['boxes'][0, expected])
    return
  np.testing.assert_allclose(scores, case.outputs['scores'], atol=1e-5)
  np.testing.assert_allclose(boxes, case.outputs['boxes'], atol=1e-5)


def _greedy(case):
  """Rows that remain of a case of one image when only zeros are padding."""
  boxes = case.inputs['boxes'][0]
  rows = np.flatnonzero(np.any(boxes != 0., axis=1))
  kept = greedy_nms.keep(boxes[rows], case.params['iou_threshold'], True,
                         case.params['max_output_size'])
  return rows[kept]


@pytest.mark.parametrize('case', _STOCK, ids=lambda c: c.name)
def test_stock_kernel_and_select_equal_reference(case):
  params = case.params
  boxes, scores = case.inputs['boxes'], case.inputs['scores']
  order = np.argsort(-scores, kind='stable')
  indices, num_valid, positions, num_kept = _run(
      list(tf.raw_ops.NonMaxSuppressionV4(
          boxes=boxes, scores=scores, pad_to_max_output_size=True,
          **{name: params[name] for name in (
              'max_output_size', 'iou_threshold', 'score_threshold')})) +
      list(nms.select(
          tf.constant(boxes[order][None]),
          tf.constant(scores[order][None] > params['score_threshold']),
          params['max_output_size'], params['iou_threshold'])))
  expected = case.outputs['indices'][:case.outputs['num_valid']]
  assert num_valid == case.outputs['num_valid'] == num_kept[0]
  np.testing.assert_array_equal(indices[:num_valid], expected)
  np.testing.assert_array_equal(order[positions[0]][:num_valid], expected)


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize('sizes, inclusive', runtimes.product([
    (1, 5, 0.5), (100, 100, 0.3), (128, 20, 0.5), (129, 128, 0.7),
    (600, 300, 0.2), (600, 30, 0.5)], [False, True]), ids=str)
def test_select_equals_greedy_suppression(sizes, inclusive):
  num_boxes, max_output_size, iou_threshold = sizes
  boxes = _random_boxes(np.random.RandomState(num_boxes), (2, num_boxes))
  boxes[:, num_boxes // 2:] = np.round(boxes[:, num_boxes // 2:] / 16.) * 16.
  positions, num_kept = _run(nms.select(
      tf.constant(boxes), tf.fill([2, num_boxes], True), max_output_size,
      iou_threshold, inclusive=inclusive))
  for image in range(2):
    expected = greedy_nms.keep(
        boxes[image], iou_threshold, inclusive, max_output_size)
    assert num_kept[image] == len(expected)
    np.testing.assert_array_equal(positions[image, :len(expected)], expected)
    assert not positions[image, len(expected):].any()


@pytest.mark.usefixtures('form')
def test_classes_do_not_suppress_each_other():
  rng = np.random.RandomState(1)
  boxes = _random_boxes(rng, (1, 300), 100.)
  classes = rng.randint(0, 3, (1, 300)).astype(np.int32)
  positions, num_kept = _run(nms.select(
      tf.constant(boxes), tf.fill([1, 300], True), 300, 0.3,
      tf.constant(classes), num_classes=3))
  expected = []
  for index in range(3):
    rows = np.flatnonzero(classes[0] == index)
    expected.extend(rows[greedy_nms.keep(boxes[0, rows], 0.3, False, 300)])
  np.testing.assert_array_equal(positions[0, :num_kept[0]], sorted(expected))


@pytest.mark.usefixtures('form')
def test_classes_in_the_padded_form():
  boxes = np.float32([[[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 8]]])
  scores, kept = _run(nms.sorted_nms_padded(
      tf.constant([[.9, .8, .7]]), tf.constant(boxes), 3, .5,
      tf.constant([[2, 0, 2]]), num_classes=3))
  np.testing.assert_allclose(scores, [[.9, .8, -1.]])
  np.testing.assert_allclose(kept[0], [boxes[0, 0], boxes[0, 1], [0.] * 4])


@pytest.mark.usefixtures('form')
@pytest.mark.parametrize('inclusive', [False, True])
def test_at_threshold_zero_any_overlap_suppresses(inclusive):
  """But not none, as of boxes that only touch."""
  boxes = np.float32([[[0, 0, 10, 10], [0, 10, 10, 20], [9, 9, 30, 30],
                       [0, 40, 5, 50]]])
  positions, num_kept = _run(nms.select(
      tf.constant(boxes), tf.fill([1, 4], True), 4, 0., inclusive=inclusive))
  np.testing.assert_array_equal(positions[0, :num_kept[0]], [0, 1, 3])


@pytest.mark.usefixtures('form')
def test_invalid_boxes_neither_stay_nor_suppress():
  boxes = np.float32([[[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 10],
                       [50, 50, 60, 60]]])
  valid = np.array([[False, True, True, False]])
  positions, num_kept = _run(nms.select(
      tf.constant(boxes), tf.constant(valid), 4, 0.5))
  assert num_kept[0] == 1
  np.testing.assert_array_equal(positions[0], [1, 0, 0, 0])


@pytest.mark.usefixtures('form')
def test_a_suppressed_box_suppresses_nothing():
  # Each box overlaps the next by two thirds (IoU 0.5) and no other by as much.
  starts = np.arange(0., 400., 4.)
  boxes = np.stack([starts, 0. * starts, starts + 12., 0. * starts + 10.], 1)
  positions, num_kept = _run(nms.select(
      tf.constant(boxes[None], tf.float32), tf.fill([1, 100], True), 100, 0.4))
  assert num_kept[0] == 50
  np.testing.assert_array_equal(positions[0, :50], np.arange(0, 100, 2))


@pytest.mark.usefixtures('form')
def test_boxes_without_area_stay_once_each():
  boxes = np.float32([[[5, 5, 5, 9], [5, 5, 5, 9], [0, 0, 0, 0],
                       [7, 7, 7, 7]]])
  positions, num_kept = _run(nms.select(
      tf.constant(boxes), tf.fill([1, 4], True), 10, 0.5))
  assert num_kept[0] == 4
  np.testing.assert_array_equal(positions[0, :4], [0, 1, 2, 3])


@pytest.mark.usefixtures('form')
def test_negative_coordinates_are_boxes_like_others():
  boxes = np.float32([[[-20, -30, -5, -6], [-20, -30, -5, -7], [0, 0, 0, 0],
                       [-5, -5, 3, 3]]])
  scores = np.float32([[.9, .8, .7, .6]])
  new_scores, new_boxes = _run(nms.sorted_nms_padded(
      tf.constant(scores), tf.constant(boxes), 3, 0.5))
  np.testing.assert_allclose(new_scores, [[.9, .6, -1.]])
  np.testing.assert_allclose(
      new_boxes[0], [boxes[0, 0], boxes[0, 3], [0, 0, 0, 0]])


@pytest.mark.usefixtures('form')
def test_more_places_than_boxes():
  boxes = _random_boxes(np.random.RandomState(2), (1, 512))
  scores = np.sort(np.random.RandomState(3).rand(1, 512))[:, ::-1]
  new_scores, new_boxes = nms.sorted_nms_padded(
      tf.constant(scores, tf.float32), tf.constant(boxes), 600, 1.)
  assert new_scores.shape.as_list() == [1, 600]
  assert new_boxes.shape.as_list() == [1, 600, 4]
  new_scores, new_boxes = _run([new_scores, new_boxes])
  np.testing.assert_allclose(new_scores[0, :512], scores[0], rtol=1e-6)
  np.testing.assert_allclose(new_boxes[0, :512], boxes[0])
  assert (new_scores[0, 512:] == -1.).all() and not new_boxes[0, 512:].any()


@pytest.mark.usefixtures('form')
def test_batch_may_be_unknown():
  boxes = tf.placeholder(tf.float32, [None, 200, 4])
  valid = tf.placeholder(tf.bool, [None, 200])
  positions, num_kept = nms.select(boxes, valid, 10, 0.5)
  assert positions.shape.as_list() == [None, 10]
  values = _random_boxes(np.random.RandomState(4), (3, 200))
  with tf.Session() as session:
    for size in (1, 3):
      rows, nums = session.run([positions, num_kept], {
          boxes: values[:size], valid: np.ones([size, 200], bool)})
      assert nums.shape == (size,)
      expected = greedy_nms.keep(values[size - 1], 0.5, False, 10)
      np.testing.assert_array_equal(rows[size - 1], expected)


def test_iou_by_hand():
  boxes = np.float32([[[0, 0, 10, 10], [10, 10, 0, 0], [3, 3, 3, 3]]])
  others = np.float32([[[0, 0, 10, 5], [5, 5, 15, 15], [20, 20, 30, 30]]])
  iou = _run(nms.pairwise_iou(tf.constant(boxes), tf.constant(others)))
  row = [.5, 25. / 175., 0.]
  np.testing.assert_allclose(iou, [[row, row, [0., 0., 0.]]], rtol=1e-6)
