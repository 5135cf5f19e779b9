"""Tests of ops/image_decoding.py."""

import io
import struct

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from ops import image_decoding
from utils import orientation as orientations

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape([4, 6, 3])


def _exif(value, order='<', tag=0x0112, before=0):
  """An EXIF block with some entries before the note of orientation."""
  entries = [struct.pack(order + 'HHIHH', 0x0100 + i, 3, 1, 9, 0)
             for i in range(before)]
  entries.append(struct.pack(order + 'HHIHH', tag, 3, 1, value, 0))
  return (b'Exif\0\0' + {'<': b'II', '>': b'MM'}[order] +
          struct.pack(order + 'HIH', 42, 8, len(entries)) + b''.join(entries) +
          b'\0\0\0\0')


def _encoded(image_format, exif=b''):
  stream = io.BytesIO()
  Image.fromarray(PIXELS).save(stream, image_format, exif=exif)
  return stream.getvalue()


@pytest.fixture(scope='module')
def run():
  """A function bytes -> (orientation, upright image, image as stored)."""
  with tf.Graph().as_default() as graph:
    encoded = tf.placeholder(tf.string, [])
    results = (image_decoding.orientation(encoded),
               image_decoding.decode_upright(encoded),
               image_decoding.decode_image(encoded))
  session = tf.Session(graph=graph)
  return lambda content, index=slice(None): session.run(
      results[index], {encoded: content})


@pytest.mark.parametrize('image_format', ['jpeg', 'png'])
@pytest.mark.parametrize('order', ['<', '>'])
def test_images_are_turned_as_outside_of_a_graph(run, image_format, order):
  for value in range(1, 9):
    content = _encoded(image_format, _exif(value, order, before=value % 3))
    assert orientations.of_bytes(content) == value
    found, upright, stored = run(content)
    assert found == value
    np.testing.assert_array_equal(upright, orientations.turn(stored, value))


@pytest.mark.parametrize('exif', [
    b'', _exif(9), _exif(0), _exif(6, tag=0x0113), _exif(6)[:-8],
    b'Exif\0\0II*\0\xff\xff\xff\xff', b'Exif\0\0'])
@pytest.mark.parametrize('image_format', ['jpeg', 'png'])
def test_without_a_valid_note_nothing_is_turned(run, image_format, exif):
  content = _encoded(image_format, exif)
  found, upright, stored = run(content)
  assert found == 1
  np.testing.assert_array_equal(upright, stored)


def test_the_note_may_stand_behind_other_segments(run):
  content = _encoded('jpeg', _exif(8))
  comment = b'\xff\xfe' + struct.pack('>H', 60002) + b'\xe1Exif\0\0' * 9000
  assert run(content[:2] + comment[:60004] + content[2:], 0) == 8


@pytest.mark.parametrize('content', [
    b'', b'\xff', b'\xff\xd8', b'\xff\xd8\xff', b'\xff\xd8\xff\xe1\0\0',
    b'\xff\xd8\xff\xe1\0\x02\xff', b'\x89PNG', b'\x89PNG\r\n\x1a\n' + b'\0' * 9,
    b'\x89PNG\r\n\x1a\n\xff\xff\xff\xff' + b'\0' * 30, b'GIF89a', b'junk'])
def test_what_is_damaged_has_no_orientation(run, content):
  assert run(content, 0) == 1


def test_other_formats(run):
  for image_format in ('gif', 'bmp'):
    found, upright, _ = run(_encoded(image_format))
    assert found == 1
    assert upright.shape == (4, 6, 3)


def test_a_decoder_says_why():
  decoder = image_decoding.Decoder()
  assert list(decoder.run('size', _encoded('png'))) == [4, 6]
  np.testing.assert_array_equal(
      decoder.run('pixels', _encoded('png')), PIXELS)
  with pytest.raises(image_decoding.DecodingError) as error:
    decoder.run('pixels', b'junk')
  assert '\n' not in str(error.value)


def test_masks():
  stream = io.BytesIO()
  Image.fromarray(PIXELS[:, :, 0]).save(stream, 'png')
  with tf.Session() as session:
    mask = session.run(image_decoding.decode_mask(
        tf.constant(stream.getvalue())))
  np.testing.assert_array_equal(mask, PIXELS[:, :, 0])
