"""Masks cut to their objects are read as those of entire images."""

import struct

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from dataloader import mask_crops
from dataloader import stored_masks
from tests import runtimes
from tests.utils import test_mask_files
from utils import mask_files

_SIZE = [20, 30]


def _decoded(png, size=None):
  return stored_masks.decode(tf.constant(png), tf.constant(size or _SIZE),
                             tf.constant('7'))


def _run(tensors):
  with tf.Session() as session:
    return session.run(tensors)


@pytest.mark.parametrize('encode', runtimes.alternate(
    [mask_files.encode, mask_files.encode_cut]))
def test_reads_the_pixels_of_the_image(encode):
  random = np.random.RandomState(1)
  for mask in test_mask_files.masks():
    stored = _decoded(encode(mask))
    rows, columns = random.randint(0, 20, 9), random.randint(0, 30, 12)
    places = random.randint(-1, 600, [40, 5])
    y0, y1 = np.sort(random.randint(0, 21, [2, 8]), axis=0)
    x0, x1 = np.sort(random.randint(0, 31, [2, 8]), axis=0)
    whole, gathered, found, windows = _run([
        stored_masks.whole(stored), stored_masks.gather(stored, rows, columns),
        stored_masks.look_up(stored, tf.constant(places, tf.int32)),
        [stored_masks.window(stored, *corners)
         for corners in zip(y0, x0, y1, x1)]])
    np.testing.assert_array_equal(whole, mask)
    np.testing.assert_array_equal(gathered, mask[rows][:, columns])
    np.testing.assert_array_equal(
        found, np.append(mask.ravel(), 0)[places])  # -1: nowhere.
    for window, a, b, c, d in zip(windows, y0, x0, y1, x1):
      np.testing.assert_array_equal(window, mask[a:c, b:d])


@pytest.mark.parametrize('grid, is_mirrored, is_moved', runtimes.product(
    ['corners', 'cells'], [False, True], [False, True]))
def test_crops_are_equal_to_the_bit(grid, is_mirrored, is_moved):
  random = np.random.RandomState(2)
  masks = test_mask_files.masks()
  boxes = random.uniform(-.2, 1.2, [len(masks), 4]).astype(np.float32)
  boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]),
                          np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
  origins = (tf.constant(random.randint(-1, 600, _SIZE), tf.int32) if is_moved
             else None)
  def crop(encode):
    return mask_crops.crop_masks(
        tf.constant([encode(m) for m in masks]), tf.constant(boxes), [5, 8],
        tf.constant(is_mirrored), tf.constant(_SIZE), tf.constant('7'), origins,
        grid=grid)
  for expected, got in zip(*_run([crop(mask_files.encode),
                                  crop(mask_files.encode_cut)])):
    assert expected.any()
    np.testing.assert_array_equal(got, expected)


def _at(y, x):
  """A cut mask of 7 x 18 pixels that claims to lie there."""
  png = mask_files.encode_cut(test_mask_files.masks()[0])
  start = mask_files.PLACE_START
  return png[:start] + struct.pack('>ii', x, y) + png[start + 8:]


@pytest.mark.parametrize('y, x', [(14, 7), (5, 13), (-1, 7), (5, -1),
                                  (2**31 - 1, 0), (0, -2**31)])
def test_a_part_beyond_the_image_is_an_error(y, x):
  with pytest.raises(tf.errors.InvalidArgumentError) as e:
    # libpng does not mind the wrong checksum of this chunk.
    _run(_decoded(_at(y, x)).pixels)
  assert ('Image 7 has a mask of 7 x 18 pixels (height x width) at (%d, %d); '
          'the image has 20 x 30.' % (y, x)) in str(e.value)


def test_the_place_of_a_whole_mask_does_not_count():
  """Drawing programs may write one."""
  mask = test_mask_files.masks()[3]
  png = mask_files.encode_cut(mask)
  start = mask_files.PLACE_START
  png = png[:start] + struct.pack('>ii', 9, 9) + png[start + 8:]
  np.testing.assert_array_equal(_run(stored_masks.whole(_decoded(png))), mask)
