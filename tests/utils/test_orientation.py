"""Tests of utils/orientation.py."""

import io

import numpy as np
from PIL import Image
from PIL import ImageOps
import pytest

from utils import orientation as orientations

_SIZE = (4, 7)


def _file(orientation, image_format):
  exif = Image.Exif()
  exif[orientations.TAG] = orientation
  stream = io.BytesIO()
  pixels = np.arange(28).reshape(_SIZE).astype(np.uint8) * 9
  Image.fromarray(pixels).save(stream, image_format, exif=exif.tobytes())
  return stream.getvalue()


@pytest.mark.parametrize('orientation', range(1, 9))
def test_turning_pixels_and_boxes(orientation):
  """Pillow turns alike; a box goes with the pixels in it."""
  content = _file(orientation, 'PNG')
  image = Image.open(io.BytesIO(content))
  assert orientations.of_bytes(content) == orientation
  turned = orientations.turn(np.asarray(image), orientation)
  np.testing.assert_array_equal(turned,
                                np.asarray(ImageOps.exif_transpose(image)))
  assert turned.shape == orientations.turned_size(_SIZE, orientation)
  mask = np.zeros(_SIZE, bool)
  mask[1:3, 4:7] = True
  x, y, w, h = orientations.turn_box([4, 1, 3, 2], orientation, _SIZE)
  mask = orientations.turn(mask, orientation)
  assert mask[y:y + h, x:x + w].all() and mask.sum() == w * h


def test_by_hand():
  """6: a camera on its side; what was at the left is at the top."""
  assert orientations.turn(np.array([[1, 2], [3, 4]]), 6).tolist() == [
      [3, 1], [4, 2]]
  assert orientations.turn_box([0, 0, 1, 2], 6, (10, 20)) == [8, 0, 2, 1]


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG'])
def test_taking_the_note_away_keeps_the_pixels(image_format):
  content = _file(6, image_format)
  plain = orientations.without_note(content)
  assert orientations.of_bytes(plain) == 1 and len(plain) < len(content)
  np.testing.assert_array_equal(*[
      np.asarray(Image.open(io.BytesIO(c))) for c in (content, plain)])


@pytest.mark.parametrize('content', [
    b'', b'x', b'\xff\xd8', b'\xff\xd8\xff\xe1\xff', b'\x89PNG\r\n\x1a\n\0'])
def test_damaged_files_do_not_stop_it(content):
  assert orientations.of_bytes(content) == 1
  orientations.without_note(content)


@pytest.mark.parametrize('annotated, default, expected', [
    ((7, 4), 'stored', ('upright', True)), ((4, 7), 'upright',
                                            ('stored', True)),
    (None, 'stored', ('stored', False)), ((5, 5), 'upright',
                                          ('upright', False))])
def test_the_size_decides_where_it_can(annotated, default, expected):
  assert orientations.refers_to(8, _SIZE, annotated, default) == expected
  assert orientations.refers_to(3, _SIZE, annotated, default) == (default,
                                                                  False)
