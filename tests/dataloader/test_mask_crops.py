"""Masks cut out of their boxes, against whole images and by hand."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import mask_crops
from tests import golden
from tests import runtimes
from tests.dataloader import examples

# Grey values up to 255 in float32, interpolated in another order; 2e-4 was
# measured.
_ROUNDING = 4e-4


def _crop(masks, boxes, size=5, is_mirrored=False, grid='corners',
          keep_values=False):
  """Masks [K, H, W] as PNG files through `crop_masks`."""
  crops = mask_crops.crop_masks(
      tf.constant([examples.encode(m) for m in masks], tf.string,
                  [len(masks)]),
      tf.constant(boxes, tf.float32, [len(masks), 4]), [size],
      tf.constant(is_mirrored), tf.constant(np.shape(masks)[1:3]),
      tf.constant('7'), grid=grid, keep_values=keep_values)
  with tf.Session() as session:
    return session.run(crops)[0]


def _crop_whole_images(masks, boxes, size, is_mirrored):
  """The slow second path: the stock operation on masks of all pixels."""
  masks = (masks > 0).astype(np.float32)[..., np.newaxis]
  if is_mirrored:
    masks = masks[:, :, ::-1]
  crops = tf.image.crop_and_resize(masks, boxes, np.arange(len(masks)),
                                   [size, size])
  with tf.Session() as session:
    return session.run(crops)[..., 0]


@pytest.mark.parametrize('case', [
    c for c in golden.load_cases('resize_misc') if c.name == 'crop_and_resize'],
                         ids=lambda c: c.name)
def test_equals_the_reference(case):
  """Its image of three channels, one mask each; values are kept."""
  boxes = case.inputs['boxes']
  image = case.inputs['x'][0]
  for name, expected in case.outputs.items():
    size = int(name[len('crop'):])
    assert expected.shape[1:3] == (size, size)
    for channel in range(image.shape[2]):
      masks = np.repeat(image[np.newaxis, :, :, channel], len(boxes), axis=0)
      got = _crop(masks, boxes, size, False, keep_values=True)
      np.testing.assert_allclose(got, expected[..., channel], rtol=0,
                                 atol=_ROUNDING)


@pytest.mark.parametrize('size, is_mirrored', runtimes.product(
    [1, 2, 28], [False, True]))
def test_equals_the_stock_operation_on_whole_images(size, is_mirrored):
  random = np.random.RandomState(1)
  masks = (random.uniform(size=[40, 33, 47]) < .5) * np.uint8(255)
  # Many reach beyond the image; some lie outside, some have no area.
  boxes = random.uniform(-.3, 1.3, [40, 4])
  boxes[:30] = np.sort(boxes[:30].reshape([-1, 2, 2]), axis=1).reshape([-1, 4])
  boxes[28, 2:] = boxes[28, :2]
  boxes = boxes.astype(np.float32)
  np.testing.assert_allclose(
      _crop(masks, boxes, size, is_mirrored),
      _crop_whole_images(masks, boxes, size, is_mirrored), atol=1e-5)


def test_corners_lie_on_the_border_of_the_box():
  """Pixels 1 to 3 of 5 in five samples: every half pixel."""
  mask = np.zeros([1, 5, 5], np.uint8)
  mask[0, 2, 2] = 1
  crop = _crop(mask, [[.25, .25, .75, .75]])[0]
  weights = [0., .5, 1., .5, 0.]
  np.testing.assert_allclose(crop, np.outer(weights, weights), atol=1e-6)


def test_outside_of_the_image_is_nothing():
  mask = np.ones([1, 11, 11], np.uint8)
  crop = _crop(mask, [[.5, .5, 1.5, 1.]])[0]
  np.testing.assert_array_equal(crop.max(axis=1), [1., 1., 1., 0., 0.])


def test_no_objects():
  assert _crop(np.zeros([0, 8, 9], np.uint8), []).shape == (0, 5, 5)


def _cell_means(mask, box, size, is_mirrored):
  """The slow second path: every pixel as 20 x 20 points."""
  fine = (mask > 0).repeat(20, axis=0).repeat(20, axis=1).astype(float)
  if is_mirrored:
    fine = fine[:, ::-1]
  result = np.zeros([size, size])
  y0, x0, y1, x1 = np.array(box) * np.tile(fine.shape, 2)
  for i, j in np.ndindex(size, size):
    rows, columns = [
        np.round([a + (b - a) * k / size, a + (b - a) * (k + 1) / size])
        .astype(int) for a, b, k in ((y0, y1, i), (x0, x1, j))]
    inside = fine[slice(*np.maximum(rows, 0)), slice(*np.maximum(columns, 0))]
    result[i, j] = inside.sum() / (np.diff(rows) * np.diff(columns))[0]
  return result


@pytest.mark.parametrize('size, is_mirrored', runtimes.product(
    [1, 3, 8], [False, True]))
def test_cells_are_means_over_their_area(size, is_mirrored):
  """Of boxes within, beyond and outside of the image; on whole points."""
  random = np.random.RandomState(size)
  masks = (random.uniform(size=[12, 6, 9]) < .5) * np.uint8(255)
  corners = random.randint(-3, 4, [12, 2]) + random.choice([0., .4], [12, 2])
  sizes = random.choice([.4, 1.2, 4.8, 9.6], [12, 2])
  corners[0], corners[1] = (20, 1), (1, -20)
  boxes = np.concatenate([corners, corners + sizes], axis=1)
  boxes = boxes / np.tile([6., 9.], 2)
  got = _crop(masks, boxes, size, is_mirrored, grid='cells')
  for mask, box, crop in zip(masks, boxes, got):
    np.testing.assert_allclose(crop, _cell_means(mask, box, size, is_mirrored),
                               atol=1e-5)
  assert not got[:2].any() and got[2:].any()


def test_cells_of_a_box_without_area():
  mask = np.ones([1, 5, 5], np.uint8)
  assert not _crop(mask, [[.2, .2, .2, .8]], grid='cells').any()
  assert _crop(np.zeros([0, 8, 9], np.uint8), [], grid='cells').shape == (
      0, 5, 5)
