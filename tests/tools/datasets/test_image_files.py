"""Tests of tools/datasets/image_files.py."""

import io

import numpy as np
from PIL import Image
from PIL import ImageOps
import pytest
import tensorflow.compat.v1 as tf

from dataloader import decoding
from ops import image_decoding
from tools.datasets import image_files
from utils import orientation as orientations

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


def _image(mode):
  """A Pillow image of this mode."""
  image = Image.fromarray(_smooth())
  if mode == 'I;16':
    gray = np.asarray(image.convert('L')).astype(np.uint16) * 257
    return Image.fromarray(gray)
  if mode in ('RGBA', 'LA'):
    image.putalpha(255)
  return image.convert(mode)


def _read(encoded):
  """The image as a reader of records decodes it."""
  with tf.Session() as session:
    return session.run(image_decoding.decode_image(tf.constant(encoded)))


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
  image = _image(mode)
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
  image = _image(mode)
  result = image_files.check_image(_save(image, image_format))
  assert result.format == 'png'
  assert any('%s re-encoded as PNG' % image_format in n for n in result.notes)
  np.testing.assert_array_equal(_read(result.encoded), _rgb(image))


def _png():
  return _save(_image('RGB'), 'PNG')


@pytest.mark.parametrize('content', [
    b'', b'no image', b'\xff\xd8 not a jpeg', _png()[:-30],
    _save(_image('RGB').resize([200, 200]), 'JPEG')[:-300],
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


def _noted(orientation, image_format='JPEG', size=(48, 80)):
  """File of a smooth image of this (height, width) with an EXIF orientation."""
  exif = Image.Exif()
  exif[orientations.TAG] = orientation
  image = Image.fromarray(_smooth()).resize(size[::-1], Image.BICUBIC)
  options = {'exif': exif.tobytes()}
  if image_format == 'TIFF':
    options = {'tiffinfo': {orientations.TAG: orientation}}
  return _save(image, image_format, **options)


def _upright(content):
  """What a viewer shows, by Pillow alone: int [h, w, 3]."""
  image = Image.open(io.BytesIO(content))
  image.load()
  if image.format != 'TIFF':  # which Pillow turns on loading
    image = ImageOps.exif_transpose(image)
  return np.asarray(image.convert('RGB')).astype(int)


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG', 'TIFF', 'WEBP'])
@pytest.mark.parametrize('orientation', range(2, 9))
def test_images_become_upright(orientation, image_format):
  content = _noted(orientation, image_format)
  result = image_files.check_image(content)
  expected = _upright(content)
  assert (result.height, result.width) == expected.shape[:2]
  assert orientations.of_bytes(result.encoded) == 1 and result.turn == 1
  assert result.format == ('jpeg' if image_format == 'JPEG' else 'png')
  np.testing.assert_allclose(_read(result.encoded).astype(int), expected,
                             atol=6 if image_format == 'JPEG' else 0)
  assert 'turned upright' in ' '.join(result.notes)


@pytest.mark.parametrize('size, image_format', [
    ((48, 80), 'jpeg'),   # whole blocks: as JPEG, at about its size
    ((44, 77), 'png')])   # the grid of blocks would move: exactly
def test_a_turned_jpeg_loses_nothing(size, image_format):
  content = _noted(6, size=size)
  stored = _read(content)
  result = image_files.check_image(content)
  assert result.format == image_format
  difference = _read(result.encoded).astype(int) - np.rot90(stored, -1)
  assert np.abs(difference).mean() < (.3 if image_format == 'jpeg' else 1e-9)
  if image_format == 'jpeg':
    assert len(result.encoded) < 1.2 * len(content)


@pytest.mark.parametrize('orientation, size, exif, turn', [
    (6, (48, 80), 'upright', 6),   # as stored, says the size
    (6, (80, 48), 'stored', 1),    # upright, says the size
    (3, (48, 80), 'stored', 3),    # the size does not tell
    (3, (48, 80), 'upright', 1),
    (6, None, 'stored', 6),
    (6, (11, 13), 'upright', 1)])  # neither size
def test_what_annotations_mean(orientation, size, exif, turn):
  result = image_files.check_image(_noted(orientation), size, exif)
  assert result.turn == turn
  # The pixels are upright in any case.
  np.testing.assert_allclose(_read(result.encoded).astype(int),
                             _upright(_noted(orientation)), atol=6)


def test_a_square_image_follows_the_flag():
  content = _noted(6, size=(48, 48))
  assert image_files.check_image(content, (48, 48)).turn == 1
  assert image_files.check_image(content, (48, 48), 'stored').turn == 6


@pytest.mark.parametrize('image_format', ['JPEG', 'PNG'])
def test_ignored_notes_are_taken_away(image_format):
  """OpenCV, which follows them, has to see what TensorFlow sees."""
  content = _noted(6, image_format)
  result = image_files.check_image(content, None, 'ignore')
  assert (result.height, result.width, result.turn) == (48, 80, 1)
  assert orientations.of_bytes(result.encoded) == 1
  np.testing.assert_array_equal(_read(result.encoded), _read(content))


def test_images_without_a_note_stay_as_they_are():
  for orientation in (1, 0, 9):
    content = _noted(orientation)
    assert image_files.check_image(content).encoded == content


@pytest.mark.parametrize('as_jpeg', [False, True])
def test_16_bits_keep_their_contrast(as_jpeg):
  content = _save(_image('I;16'), 'PNG')
  result = image_files.check_image(content, as_jpeg=as_jpeg)
  np.testing.assert_allclose(_read(result.encoded).astype(int), np.stack(
      [_rgb(_image('I;16'))[..., 0]] * 3, -1).astype(int), atol=3)


@pytest.mark.parametrize('damage', [
    lambda png: png[:-12],                     # no IEND
    lambda png: png[:-16] + b'0000' + png[-12:]])  # checksum of IDAT
def test_what_tensorflow_refuses_is_encoded_again(damage):
  content = damage(_png())
  with pytest.raises(decoding.DecodingError):
    decoding.size(content)
  result = image_files.check_image(content)
  assert 're-encoded' in result.notes[0]
  np.testing.assert_array_equal(_read(result.encoded), _smooth())


def _notes(image, image_format='PNG', **options):
  return image_files.check_image(_save(image, image_format, **options)).notes


@pytest.mark.parametrize('mode', ['RGBA', 'LA'])
def test_alpha_channel_is_told(mode):
  image = _image(mode)
  assert _notes(image) == ['opaque alpha channel, left out on reading']
  image.putalpha(254)
  assert _notes(image) == ['transparency is ignored']


def test_transparent_colour_is_told():
  image = _image('P')
  notes = _notes(image, transparency=image.getpixel((0, 0)))
  assert notes == ['transparency is ignored']


def test_16_bits_are_told():
  assert _notes(_image('I;16')) == ['16 bits a channel reduced to 8']
  dark = Image.fromarray(np.full([4, 4], 900, np.uint16))
  assert 'nearly black' in _notes(dark)[1]


def test_animation_is_told():
  frames = [_image('P'), _image('P').transpose(Image.ROTATE_180)]
  notes = _notes(frames[0], 'GIF', save_all=True, append_images=frames[1:])
  assert 'animation: the first frame is used' in notes


@pytest.mark.parametrize('mode, image_format', [('RGB', 'PNG'), ('L', 'JPEG')])
def test_nothing_to_tell(mode, image_format):
  assert _notes(_image(mode), image_format) == []
