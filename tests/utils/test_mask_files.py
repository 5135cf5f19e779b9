"""PNG files of masks, cut to their objects or not."""

import io

import numpy as np
from PIL import Image
import pytest

from utils import mask_files


def masks():
  """Masks uint8 [20, 30] of objects in the middle, at borders, of none."""
  random = np.random.RandomState(0)
  def rectangle(y0, x0, y1, x1):
    mask = np.zeros([20, 30], np.uint8)
    mask[y0:y1, x0:x1] = random.randint(0, 2, [y1 - y0, x1 - x0])
    mask[y0, x0] = mask[y1 - 1, x1 - 1] = 1
    return mask
  return [rectangle(5, 7, 12, 25), rectangle(0, 0, 4, 6),
          rectangle(15, 20, 20, 30), rectangle(0, 0, 20, 30),
          rectangle(3, 4, 4, 5), np.zeros([20, 30], np.uint8)]


@pytest.mark.parametrize('number', range(6))
def test_comes_back(number):
  mask = masks()[number]
  for png in (mask_files.encode(mask), mask_files.encode_cut(mask)):
    np.testing.assert_array_equal(mask_files.decode(png, 20, 30), mask)


def test_a_cut_file_is_a_png_of_the_object():
  mask = masks()[0]
  image = Image.open(io.BytesIO(mask_files.encode_cut(mask)))
  np.testing.assert_array_equal(np.array(image), mask[5:12, 7:25])
  image = Image.open(io.BytesIO(mask_files.encode_cut(masks()[-1])))
  assert np.array(image).tolist() == [[0]]


@pytest.mark.parametrize('png, size, words', [
    (b'no PNG at all, but some bytes', (20, 30), 'not a PNG'),
    (mask_files.encode(np.ones([20, 30], np.uint8)), (30, 20),
     'has 20 x 30 pixels, the image 30 x 20'),
    (mask_files.encode_cut(masks()[2]), (19, 30),
     r'5 x 10 pixels at \(15, 20\), beyond the image of 19 x 30')])
def test_what_does_not_fit_is_an_error(png, size, words):
  with pytest.raises(ValueError, match=words):
    mask_files.decode(png, *size)
