"""Tests of ops/warps.py."""

import functools

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import warps
from tests import golden
from tests import runtimes

_CASES = golden.load_cases('autoaugment_primitives')
_WARPS = {'shift_x': (warps.shift_x, warps.shift_boxes_x, 40.),
          'shift_y': (warps.shift_y, warps.shift_boxes_y, 40.),
          'shear_x': (warps.shear_x, warps.shear_boxes_x, .4),
          'shear_y': (warps.shear_y, warps.shear_boxes_y, .4),
          'rotate': (warps.rotate, warps.rotate_boxes, 60.)}


@functools.lru_cache(None)
def _graph(name, fill, legacy):
  """(session, placeholders, results) of a warp."""
  move, move_boxes, _ = _WARPS[name]
  with tf.Graph().as_default() as graph:
    inputs = [tf.placeholder(tf.uint8, [None, None, 3]),
              tf.placeholder(tf.float32, [None, 4]),
              tf.placeholder(tf.float32, [])]
    image, boxes, value = inputs
    size = tf.cast(tf.shape(image)[:2], tf.float32)
    results = (move(image, value, fill),
               move_boxes(boxes, value, size, legacy))
  return tf.Session(graph=graph), inputs, results


def _run(name, image, boxes, value, fill=128, legacy=False):
  session, inputs, results = _graph(name, fill, legacy)
  return session.run(results, dict(zip(inputs, (image, boxes, value))))


# Of turned and sheared images, so many pixels may have two that are equally
# near: 5 of 3072 at most in the reference's cases, on both runtimes.
_TIES = 0.003


def _check(result, image, boxes, ties=0.):
  assert np.mean(np.any(result[0] != image, axis=-1)) <= ties
  np.testing.assert_allclose(result[1], boxes, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    'case', [c for c in _CASES if {'degrees', 'pixels', 'level'} & set(
        c.params)], ids=lambda c: c.name)
def test_reference(case):
  inputs = case.meta['all_arrays']['inputs']['in']
  run = functools.partial(_run, image=inputs['image'], boxes=inputs['bboxes'],
                          legacy=True)
  out = case.outputs
  if 'degrees' in case.params:
    _check(run('rotate', value=case.params['degrees']), out['image'],
           out['bb'], _TIES)
    return
  kind = 'shift' if 'pixels' in case.params else 'shear'
  value = case.params['pixels' if kind == 'shift' else 'level']
  ties = 0. if kind == 'shift' else _TIES
  _check(run(kind + '_x', value=value), out['x'], out['bx'], ties)
  _check(run(kind + '_y', value=value), out['y'], out['by'], ties)


def _painted(box, height, width):
  """A black image with a white box, given in pixels."""
  image = np.zeros([height, width, 3], np.uint8)
  image[box[0]:box[2], box[1]:box[3]] = 255
  return image


def _box_of(image):
  """Pixels of the white part of an image, yxyx; None if there is none."""
  rows, columns = np.nonzero(image[..., 0] > 0)
  if not len(rows):
    return None
  return np.array([rows.min(), columns.min(), rows.max() + 1,
                   columns.max() + 1])


@pytest.mark.parametrize('name, legacy', runtimes.product(sorted(_WARPS),
                                                          [False, True]))
def test_the_box_is_found_again_in_the_warped_image(name, legacy):
  """Of random boxes, sizes and strengths; the oracle of all warps."""
  random = np.random.RandomState(len(name))
  num_found = 0
  for _ in range(60):
    height, width = random.randint(30, 120, 2)
    y0, x0 = random.randint(0, height - 8), random.randint(0, width - 8)
    box = np.array([y0, x0, random.randint(y0 + 4, height + 1),
                    random.randint(x0 + 4, width + 1)])
    size = np.array([height, width] * 2)
    value = random.uniform(-1, 1) * _WARPS[name][2]
    image, boxes = _run(name, _painted(box, height, width),
                        (box / size)[np.newaxis], value, 0, legacy)
    found = _box_of(image)
    moved = boxes[0] * size
    if found is None:
      # Nothing is left, or less than a pixel.
      if not legacy:
        assert min(moved[2:] - moved[:2]) <= 1.5
      continue
    num_found += 1
    if legacy and min(found[2:] - found[:2]) < .06 * max(height, width):
      continue  # Upstream enlarges what has no extent.
    # A turned or sheared box may lose its corner at the border.
    inside = np.all(moved[:2] > 0) and np.all(moved[2:] < size[:2])
    shift = name.startswith('shift')
    if inside or shift:
      assert np.abs(found - moved).max() <= (2.01 if legacy else 1.51)
    else:
      assert np.all(found[:2] >= moved[:2] - 2.01)
      assert np.all(found[2:] <= moved[2:] + 2.01)
  assert num_found > 30


@pytest.mark.parametrize('name', sorted(_WARPS))
def test_no_strength_changes_nothing(name):
  image = np.random.RandomState(0).randint(0, 256, [7, 9, 3]).astype(np.uint8)
  boxes = np.array([[.1, .2, .5, .9]], np.float32)
  _check(_run(name, image, boxes, 0.), image, boxes)


def test_positive_shifts_go_left_and_up():
  image = _painted([4, 5, 6, 8], 10, 12)
  boxes = np.array([[.4, 5 / 12, .6, 8 / 12]], np.float32)
  moved, moved_boxes = _run('shift_x', image, boxes, 3., 7)
  np.testing.assert_array_equal(moved[:, :9], image[:, 3:])
  np.testing.assert_array_equal(moved[:, 9:], 7)
  np.testing.assert_allclose(moved_boxes, [[.4, 2 / 12, .6, 5 / 12]],
                             atol=1e-6)
  moved, _ = _run('shift_y', image, boxes, 2., 7)
  np.testing.assert_array_equal(moved[:8], image[2:])


def test_a_box_that_leaves_the_image():
  boxes = np.array([[.4, .1, .6, .3]], np.float32)
  image = np.zeros([10, 10, 3], np.uint8)
  _, moved = _run('shift_x', image, boxes, 5.)
  assert moved[0, 1] == moved[0, 3] == 0.
  # Upstream makes a box out of nothing.
  _, moved = _run('shift_x', image, boxes, 5., legacy=True)
  np.testing.assert_allclose(moved, [[.4, 0., .6, .05]], atol=1e-6)


def test_no_boxes():
  _, boxes = _run('rotate', np.zeros([5, 6, 3], np.uint8),
                  np.zeros([0, 4], np.float32), 20.)
  assert boxes.shape == (0, 4)


def test_maps_of_ids_keep_their_type():
  ids = tf.reshape(tf.range(12), [3, 4])
  with tf.Session() as session:
    moved = session.run(warps.shift_x(ids, tf.constant(1.), -1))
  np.testing.assert_array_equal(
      moved, [[1, 2, 3, -1], [5, 6, 7, -1], [9, 10, 11, -1]])
  assert moved.dtype == np.int32
