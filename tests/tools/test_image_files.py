"""Tests of tools/image_files.py."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from tools import image_files

_HEIGHT, _WIDTH = 24, 36


def _smooth():
  """uint8 [height, width, 3] that JPEG keeps nearly as it is."""
  rows, columns = np.mgrid[:_HEIGHT, :_WIDTH]
  return np.stack([40 + 5 * rows, 30 + 4 * columns, 200 - 3 * rows],
                  -1).astype(np.uint8)


def _save(image, image_format, **options):
  stream = io.BytesIO()
  image.save(stream, image_format, **options)
  return stream.getvalue()


def _picture(mode):
  """A Pillow image of this mode."""
  image = Image.fromarray(_smooth())
  if mode == 'I;16':
    gray = np.asarray(image.convert('L')).astype(np.uint16) * 257
    return Image.fromarray(gray)
  if mode in ('RGBA', 'LA'):
    image.putalpha(255)
  return image.convert(mode)


def _read(encoded):
  """The picture as a reader of records decodes it."""
  with tf.Session() as session:
    return session.run(example_decoder.decode_image(tf.constant(encoded)))


def _rgb(image):
  """What a person sees of a Pillow image, uint8 [height, width, 3]."""
  if image.mode == 'I;16':
    image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
  return np.asarray(image.convert('RGB'))


@pytest.mark.parametrize('mode, image_format, options', [
    ('RGB', 'PNG', {}), ('L', 'PNG', {}), ('1', 'PNG', {}), ('P', 'PNG', {}),
    ('RGBA', 'PNG', {}), ('LA', 'PNG', {}), ('I;16', 'PNG', {}),
    ('RGB', 'JPEG', {}), ('L', 'JPEG', {}), ('CMYK', 'JPEG', {}),
    ('RGB', 'JPEG', {'progressive': True}),
])
def test_kept_bytes_are_readable(mode, image_format, options):
  """TensorFlow reads every kind of PNG and JPEG as 8 bit RGB."""
  image = _picture(mode)
  content = _save(image, image_format, **options)
  result = image_files.check_image(content)
  assert result.encoded == content
  assert result.format == image_format.lower()
  assert (result.height, result.width) == (_HEIGHT, _WIDTH)
  pixels = _read(result.encoded)
  assert pixels.dtype == np.uint8 and pixels.shape == (_HEIGHT, _WIDTH, 3)
  tolerance = 0 if image_format == 'PNG' else 12
  np.testing.assert_allclose(pixels.astype(int), _rgb(image).astype(int),
                             atol=tolerance)


@pytest.mark.parametrize('mode, image_format', [
    ('RGB', 'BMP'), ('P', 'GIF'), ('RGB', 'TIFF'), ('I;16', 'TIFF'),
    ('L', 'PPM')])
def test_other_formats_become_png(mode, image_format):
  image = _picture(mode)
  result = image_files.check_image(_save(image, image_format))
  assert result.format == 'png'
  assert any('%s re-encoded as PNG' % image_format in n for n in result.notes)
  np.testing.assert_array_equal(_read(result.encoded), _rgb(image))


def _png():
  return _save(_picture('RGB'), 'PNG')


@pytest.mark.parametrize('content', [
    b'', b'no picture', b'\xff\xd8 not a jpeg', _png()[:-30],
    _save(_picture('RGB').resize([200, 200]), 'JPEG')[:-300],
    b'<html>not found</html>',
], ids=['empty', 'text', 'jpeg start', 'short png', 'short jpeg', 'page'])
def test_broken_files(content):
  with pytest.raises(image_files.ImageError, match='cannot be decoded'):
    image_files.check_image(content)


@pytest.mark.parametrize('pixels, message', [
    (np.zeros([4, 4], np.float32), 'floating point'),
    (np.full([4, 4], 2**20, np.int32), '32 bits'),
])
def test_values_without_a_known_scale(pixels, message):
  with pytest.raises(image_files.ImageError, match=message):
    image_files.check_image(_save(Image.fromarray(pixels), 'TIFF'))


def _sideways(orientation):
  """JPEG with this EXIF orientation."""
  exif = Image.Exif()
  exif[0x0112] = orientation
  return _save(_picture('RGB'), 'JPEG', quality=95, exif=exif.tobytes())


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_sideways_photograph_annotated_upright_is_turned(orientation):
  """By hand: 6 turns the picture clockwise, 8 counterclockwise."""
  result = image_files.check_image(_sideways(orientation), (_WIDTH, _HEIGHT))
  assert (result.height, result.width, result.format) == (_WIDTH, _HEIGHT,
                                                          'jpeg')
  assert result.notes == ['stored on its side: turned upright, as annotated']
  stored = _smooth().astype(int)
  expected = {5: stored.transpose(1, 0, 2), 6: np.rot90(stored, -1),
              7: np.rot90(stored, 2).transpose(1, 0, 2),
              8: np.rot90(stored)}[orientation]
  np.testing.assert_allclose(_read(result.encoded).astype(int), expected,
                             atol=16)
  assert Image.open(io.BytesIO(result.encoded)).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize('orientation, size', [
    (6, None), (6, (_HEIGHT, _WIDTH)), (3, None), (3, (_WIDTH, _HEIGHT))])
def test_photograph_annotated_as_stored_is_kept(orientation, size):
  content = _sideways(orientation)
  result = image_files.check_image(content, size)
  assert result.encoded == content
  assert (result.height, result.width) == (_HEIGHT, _WIDTH)
  assert result.notes == ['EXIF orientation %d is not followed' % orientation]


def _notes(image, image_format='PNG', **options):
  return image_files.check_image(_save(image, image_format, **options)).notes


@pytest.mark.parametrize('mode', ['RGBA', 'LA'])
def test_alpha_channel_is_told(mode):
  image = _picture(mode)
  assert _notes(image) == ['opaque alpha channel, left out on reading']
  image.putalpha(254)
  assert _notes(image) == ['transparency is ignored']


def test_transparent_colour_is_told():
  image = _picture('P')
  notes = _notes(image, transparency=image.getpixel((0, 0)))
  assert notes == ['transparency is ignored']


def test_16_bits_are_told():
  assert _notes(_picture('I;16')) == ['16 bits a channel reduced to 8']
  dark = Image.fromarray(np.full([4, 4], 900, np.uint16))
  assert 'nearly black' in _notes(dark)[1]


def test_animation_is_told():
  frames = [_picture('P'), _picture('P').transpose(Image.ROTATE_180)]
  notes = _notes(frames[0], 'GIF', save_all=True, append_images=frames[1:])
  assert 'animation: the first frame is used' in notes


@pytest.mark.parametrize('mode, image_format', [('RGB', 'PNG'), ('L', 'JPEG')])
def test_nothing_to_tell(mode, image_format):
  assert _notes(_picture(mode), image_format) == []
