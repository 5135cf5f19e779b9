"""Label maps of the network input to those of images."""

import numpy as np
import pytest

from evaluation import segmentation_results

_MASK = np.arange(12).reshape([3, 4])


def test_padding_is_taken_off():
  info = [[2, 3], [2, 3], [1., 1.], [0, 0]]
  image = segmentation_results.to_image_size(_MASK, np.array(info))
  np.testing.assert_array_equal(image, [[0, 1, 2], [4, 5, 6]])


def test_images_that_were_made_smaller():
  info = [[4, 6], [3, 4], [.5, .5], [0, 0]]
  image = segmentation_results.to_image_size(_MASK.astype(np.int32),
                                             np.array(info))
  np.testing.assert_array_equal(image[::2, ::2], [[0, 1, 2], [4, 5, 6]])
  np.testing.assert_array_equal(image[1], image[0])


def test_what_lies_beyond_the_network_input():
  info = [[4, 5], [4, 5], [1., 1.], [0, 0]]
  image = segmentation_results.to_image_size(_MASK, np.array(info))
  np.testing.assert_array_equal(image[:3, :4], _MASK)
  assert not image[3:].any() and not image[:, 4:].any()


@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
def test_regions_and_back(dtype):
  mask = np.array([[0, 0, 5], [5, 2, 0]], dtype)
  info = np.array([[2, 3], [2, 3], [1, 1], [0, 0]], np.float32)
  results = segmentation_results.to_results(
      {'masks': mask[np.newaxis, :, :, np.newaxis],
       'image_info': info[np.newaxis]}, ['a.jpg'])
  assert [(r['image_id'], r['category_id']) for r in results] == [
      ('a.jpg', 0), ('a.jpg', 2), ('a.jpg', 5)]
  np.testing.assert_array_equal(
      segmentation_results.to_label_map(results, (2, 3)), mask)
