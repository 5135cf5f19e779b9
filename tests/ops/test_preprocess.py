"""Tests of ops/preprocess.py."""

import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import preprocess
from tests import golden

CASES = golden.load_cases('input_utils')


def _cases(*starts):
  cases = [case for case in CASES if case.name.startswith(starts)]
  assert cases
  return pytest.mark.parametrize('case', cases, ids=lambda case: case.name)


def _run(fetches, feed_dict=None):
  with tf.Session() as session:
    return session.run(fetches, feed_dict)


def _inputs(case):
  """The arrays of a case; those of the first case of the same image size."""
  if case.inputs:
    return case.inputs
  size = re.search(r'\d+x\d+', case.name).group()
  return next(arrays['in'] for name, arrays in case.meta['all_arrays'].items()
              if name.startswith('r' + size) and arrays['in'])


def _resize_case(case, image, normalize=False):
  return preprocess.resize_and_crop_image(
      image, case.params['desired_size'], case.params['padded_size'],
      random_scale=case.params.get('random_scale'),
      offset_fraction=case.params.get('offset_fraction'), normalize=normalize)


@_cases('r', 'jit')
def test_resize_and_crop_equals_the_reference(case):
  inputs, params = _inputs(case), case.params
  # Shapes are unknown when a record is parsed.
  image = tf.placeholder(tf.uint8, [None, None, 3])
  got, info = _resize_case(case, image)
  boxes = preprocess.resize_and_crop_boxes(
      tf.constant(inputs['boxes']), info[2], params['desired_size'], info[3])
  masks = preprocess.resize_and_crop_masks(
      tf.constant(inputs['masks']), info[2], params['desired_size'], info[3])
  assert got.shape.as_list() == params['padded_size'] + [3]
  got, info, boxes, masks = _run([got, info, boxes, masks],
                                 {image: inputs['image']})
  expected = case.outputs
  np.testing.assert_allclose(info, expected['image_info'], atol=1e-6)
  np.testing.assert_allclose(boxes, expected['boxes'], atol=1e-3)
  np.testing.assert_array_equal(masks, expected['masks'])
  np.testing.assert_allclose(got, expected['image'], rtol=0, atol=1e-4)


@_cases('r', 'jit')
def test_normalize_before_or_after_the_resize(case):
  """The reference normalises first, which is slower."""
  image = tf.constant(_inputs(case)['image'])
  (before, _), (after, _) = _run([
      _resize_case(case, preprocess.normalize_image(image)),
      _resize_case(case, image, normalize=True)])
  np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)


@_cases('hflip')
def test_flip_equals_the_reference(case):
  inputs = case.inputs
  got = preprocess.random_horizontal_flip(
      tf.constant(inputs['image']), tf.constant(inputs['boxes']),
      tf.constant(inputs['masks']), random_value=case.params['u'])
  image_only, _, _ = preprocess.random_horizontal_flip(
      tf.constant(inputs['image']), random_value=case.params['u'])
  (image, boxes, masks), image_only = _run([got, image_only])
  np.testing.assert_array_equal(image, case.outputs['image'])
  np.testing.assert_array_equal(image_only, case.outputs['image_only'])
  np.testing.assert_allclose(boxes, case.outputs['boxes'], atol=1e-6)
  np.testing.assert_array_equal(masks, case.outputs['masks'])


@_cases('normalize')
def test_normalize_equals_the_reference(case):
  image = case.inputs['image']
  got = _run([preprocess.normalize_image(tf.constant(image)),
              preprocess.normalize_image(
                  tf.constant(image.astype(np.float32) / np.float32(255.))),
              preprocess.center_window(tf.constant(image.shape[:2]),
                                       case.params['center_crop_fraction']),
              preprocess.normalize_image(tf.constant(image), (.5, .5, .5),
                                         (.25, .5, 1.))])
  np.testing.assert_allclose(got[0], case.outputs['norm_u8'], atol=1e-4)
  np.testing.assert_allclose(got[0], case.outputs['norm_np'], atol=1e-4)
  np.testing.assert_allclose(got[1], case.outputs['norm_f'], atol=1e-4)
  y, x, height, width = got[2]
  np.testing.assert_array_equal(image[y:y + height, x:x + width],
                                case.outputs['center'])
  # The numbers of this case are not in its parameters; they follow from it.
  np.testing.assert_allclose(got[3], case.outputs['norm_half'], atol=1e-4)


@_cases('clip_or_pad')
def test_pad_or_clip_equals_the_reference(case):
  x = case.inputs['x']
  for expected in case.outputs.values():
    padded = preprocess.pad_or_clip(tf.constant(x), len(expected), -1)
    assert padded.shape.as_list() == list(expected.shape)
    np.testing.assert_array_equal(_run(padded), expected)


@_cases('padded_size')
def test_padded_size_equals_the_reference(case):
  for name, (desired_size, stride) in case.params.items():
    assert preprocess.compute_padded_size(desired_size, stride) == (
        case.outputs[name].tolist())


def test_layouts_equal_the_reference():
  for case in golden.load_cases('resize_misc'):
    if case.name != 'space_to_depth':
      continue
    images = tf.constant(case.inputs['images'])
    for name, expected in case.outputs.items():
      _, block_size, kind = name.split('_')
      got = _run(preprocess.transpose_images(images, int(block_size),
                                             kind == 'T'))
      np.testing.assert_array_equal(got, expected, err_msg=name)


def test_resize_by_hand():
  """A 3 x 4 image into 5 x 10: scale 5 / 3, so 5 x round(6.67) = 5 x 7."""
  image = tf.ones([3, 4, 3])
  got, info = _run(preprocess.resize_and_crop_image(image, (5, 10), (8, 12)))
  np.testing.assert_allclose(info, [[3, 4], [5, 10], [5. / 3, 7. / 4], [0, 0]],
                             rtol=1e-6)
  expected = np.zeros([8, 12, 3])
  expected[:5, :7] = 1.
  np.testing.assert_array_equal(got, expected)


def test_rounding_is_half_to_even():
  """10 x 25 into 1 x 9: scale 0.1, so the width is 2.5, rounded to 2."""
  _, info = _run(preprocess.resize_and_crop_image(tf.ones([10, 25, 3]), (1, 9),
                                                  (1, 9)))
  np.testing.assert_allclose(info[2], [.1, 2. / 25], rtol=1e-6)


def test_normalize_of_padding_is_zero():
  image = tf.zeros([4, 4, 3], tf.uint8)
  got, _ = _run(preprocess.resize_and_crop_image(image, (4, 4), (8, 8),
                                                 normalize=True))
  assert not got[4:].any() and not got[:, 4:].any() and (got[:4, :4] < 0).all()


def test_random_scale_and_offset_are_independent():
  """Scales stay in their range, and the offset does not follow from them."""
  tf.set_random_seed(1)
  image, info = preprocess.resize_and_crop_image(
      tf.zeros([20, 20, 3]), (20, 20), (32, 32), 1.1, 2.)
  draws = []
  with tf.Session() as session:
    for _ in range(60):
      value, row = session.run([image, info])
      assert value.shape == (32, 32, 3)
      scale, offset = row[2], row[3]
      room = np.round(20 * scale) - 20
      draws.append([scale[0], offset[0] / max(room[0], 1),
                    offset[1] / max(room[1], 1)])
  draws = np.array(draws)
  assert draws[:, 0].min() >= 1.1 and draws[:, 0].max() <= 2.
  assert draws[:, 0].std() > .1 and draws[:, 1:].std(axis=0).min() > .1
  correlation = np.corrcoef(draws, rowvar=False)
  assert np.abs(correlation[np.triu_indices(3, 1)]).max() < .5


def test_seed_repeats_and_no_seed_does_not():
  def draw(seed):
    with tf.Graph().as_default():
      tf.set_random_seed(seed)
      _, info = preprocess.resize_and_crop_image(
          tf.zeros([20, 20, 3]), (640, 640), (640, 640), .5, 2.)
      _, _, flipped = preprocess.random_horizontal_flip(
          tf.zeros([2, 2, 3]), None, tf.reshape(tf.range(2), [1, 1, 2]))
      with tf.Session() as session:
        rows = [session.run([info, flipped]) for _ in range(4)]
    return np.array([row[0] for row in rows]), np.array([r[1] for r in rows])
  for first, second in zip(draw(3), draw(3)):
    np.testing.assert_array_equal(first, second)
  assert (draw(None)[0] != draw(None)[0]).any()


def test_no_boxes_and_no_masks():
  none = tf.zeros([0, 4])
  image, boxes, masks = preprocess.random_horizontal_flip(
      tf.zeros([4, 6, 3]), none, tf.zeros([0, 4, 6]), random_value=.9)
  moved = preprocess.resize_and_crop_boxes(none, tf.constant([2., 2.]),
                                           (9, 9), tf.zeros([2]))
  cut = preprocess.resize_and_crop_masks(
      tf.zeros([0, 4, 6, 1]), tf.constant([2., 2.]), (9, 9), tf.zeros([2]))
  padded = preprocess.pad_or_clip(none, 3, -1)
  got = _run([boxes, masks, moved, cut, padded])
  assert [v.shape for v in got] == [(0, 4), (0, 4, 6), (0, 4), (0, 9, 9, 1),
                                    (3, 4)]
  assert (got[-1] == -1).all()


def test_flip_twice_is_the_identity():
  rng = np.random.RandomState(0)
  image = rng.randint(0, 255, [4, 6, 3]).astype(np.uint8)
  boxes = rng.rand(3, 4).astype(np.float32)
  masks = rng.randint(0, 2, [3, 4, 6]).astype(np.uint8)
  once = preprocess.random_horizontal_flip(
      tf.constant(image), tf.constant(boxes), tf.constant(masks),
      random_value=.9)
  twice = _run(preprocess.random_horizontal_flip(*once, random_value=.6))
  np.testing.assert_array_equal(twice[0], image)
  np.testing.assert_allclose(twice[1], boxes, atol=1e-6)
  np.testing.assert_array_equal(twice[2], masks)


def test_boxes_go_there_and_back():
  rng = np.random.RandomState(0)
  boxes = rng.uniform(40., 60., [5, 4]).astype(np.float32)
  scale, offset = np.array([1.5, 1.7], np.float32), np.array([30., 20.])
  moved = _run(preprocess.resize_and_crop_boxes(
      tf.constant(boxes), tf.constant(scale), (100, 100),
      tf.constant(offset, tf.float32)))
  np.testing.assert_allclose((moved + np.tile(offset, 2)) / np.tile(scale, 2),
                             boxes, rtol=1e-5)


def _windows(size, count=3000, seed=0):
  """Windows of random draws; ten attempts each."""
  draws = np.random.RandomState(seed).uniform(
      size=[count, 10, 4]).astype(np.float32)
  windows = tf.map_fn(lambda d: preprocess.random_window(tf.constant(size), d),
                      tf.constant(draws), dtype=tf.int32)
  return _run(windows)


@pytest.mark.parametrize('size', [(60, 80), (120, 40), (9, 11)])
def test_random_windows_fit(size):
  y, x, height, width = _windows(size).T
  assert (y >= 0).all() and (y + height <= size[0]).all()
  assert (x >= 0).all() and (x + width <= size[1]).all()
  share = height * width / float(size[0] * size[1])
  assert share.min() >= .08 and share.max() <= 1.
  is_part = share < 1.
  ratio = (width / height.astype(float))[is_part]
  # A width is rounded to whole pixels.
  slack = .5 / height[is_part]
  assert (ratio > 3. / 4. - slack).all() and (ratio < 4. / 3. + slack).all()


def test_random_windows_are_those_of_tensorflow():
  """The same distribution as of the operation that draws by itself."""
  size = (60, 80)
  with tf.Graph().as_default(), tf.Session() as session:
    begin, shape, _ = tf.image.sample_distorted_bounding_box(
        [60, 80, 3], tf.constant([[[0., 0., 1., 1.]]]), seed=1,
        min_object_covered=.08, aspect_ratio_range=[3. / 4., 4. / 3.],
        area_range=[.08, 1.], max_attempts=10,
        use_image_if_no_bounding_boxes=True)
    theirs = np.array([np.concatenate([b[:2], s[:2]]) for b, s in [
        session.run([begin, shape]) for _ in range(3000)]])
  ours = _windows(size)
  for column in range(4):
    spread = theirs[:, column].std()
    # Four times the error of the difference of two means.
    assert abs(ours[:, column].mean() - theirs[:, column].mean()) < (
        4 * spread * np.sqrt(2. / 3000))
    np.testing.assert_allclose(ours[:, column].std(), spread, rtol=.06)


def test_image_that_no_window_fits():
  """Much wider than high: no window of at least 8 %."""
  window = _run(preprocess.random_window(
      tf.constant([2, 100]), tf.fill([10, 4], .5)))
  assert window.tolist() == [0, 0, 2, 100]


def test_resized_to_a_size():
  image = np.array([[[0, 51, 255]] * 2] * 2, np.uint8)
  got, rounded = _run([preprocess.resize_image(tf.constant(image), (3, 4)),
                       preprocess.resize_to_uint8(tf.constant(image), (3, 4))])
  assert got.shape == rounded.shape == (3, 4, 3)
  np.testing.assert_array_equal(rounded[2, 3], [0, 51, 255])
  np.testing.assert_allclose(got[2, 3], (np.array([0., .2, 1.])
                                         - preprocess.MEAN_RGB)
                             / preprocess.STDDEV_RGB, rtol=1e-5)


@pytest.mark.parametrize('size', [(3, 2000), (2000, 3), (1, 1), (1, 500)])
@pytest.mark.parametrize('random_scale', [None, .1])
def test_thin_images_keep_a_pixel(size, random_scale):
  """3 / 2000 * 64 rounds to 0, which no resize can make."""
  image = tf.constant(np.full(size + (3,), 255, np.uint8))
  image, info = preprocess.resize_and_crop_image(
      image, (64, 64), (64, 64), random_scale=random_scale,
      offset_fraction=None if random_scale is None else (0., 0.))
  masks = preprocess.resize_and_crop_masks(
      tf.ones([2] + list(size) + [1]), info[2], (64, 64), info[3])
  image, info, masks = _run([image, info, masks])
  rows, columns = image[..., 0].any(1).sum(), image[..., 0].any(0).sum()
  np.testing.assert_allclose(info[2] * size, [rows, columns], rtol=1e-6)
  assert min(rows, columns) >= 1
  assert masks.any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize('size', [(1, 1), (1, 30), (7, 1)])
def test_windows_of_one_pixel(size):
  window = _run(preprocess.center_window(tf.constant(size)))
  assert window[2:].tolist() == [1, 1] and (window[:2] < size).all()
