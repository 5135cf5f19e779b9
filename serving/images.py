"""Whatever holds an image, to the pixels that a model is shown."""

import io
import os
from typing import Any, Optional

import numpy as np
from PIL import Image

from ops import image_decoding
from utils import orientation as orientations
from utils import pillow_pixels

# More than cameras have; a small file can claim to hold far more.
MAX_PIXELS = 2**27
_EXPECTED = ('a uint8 array [height, width, 3] of RGB values, the bytes of an '
             'image file, or the name of one')


_decoders = {}  # {process id: image_decoding.Decoder}


class InputError(ValueError):
  """Something that is not an image that the model can be given.

  Attributes:
    index: int, its place in the list that was given; 0 for one image.
  """

  def __init__(self, message: str, index: Optional[int] = 0) -> None:
    super().__init__(message)
    self.index = index


def load(image: Any, follow_exif: bool = True,
         max_pixels: Optional[int] = MAX_PIXELS) -> np.ndarray:
  """Reads, decodes and turns an image upright.

  Args:
    image: uint8 [height, width, 3], RGB, or grey [height, width(, 1)]; bytes
      of an image file; or the name of one.
    follow_exif: whether a file is turned as its EXIF orientation says; see
      utils.orientation.
    max_pixels: int; larger images are refused.

  Returns:
    uint8 [height, width, 3], RGB.

  Raises:
    InputError: saying what is expected.
  """
  if isinstance(image, np.ndarray):
    return _checked_array(image, max_pixels)
  if isinstance(image, (str, os.PathLike)):
    name = os.fspath(image)
    return _decode(_read(name), _shown(name), follow_exif, max_pixels)
  if isinstance(image, (bytes, bytearray, memoryview)):
    return _decode(bytes(image), 'The image', follow_exif, max_pixels)
  raise InputError('An image should be %s, not a %s.' % (
      _EXPECTED, type(image).__name__))


def _shown(name):
  """A file name as one short line."""
  shown = repr(name)[1:-1] if not name.isprintable() else name
  return shown if len(shown) <= 200 else '...' + shown[-197:]


def _read(name):
  try:
    with open(name, 'rb') as f:
      return f.read()
  except (OSError, ValueError) as e:
    raise InputError('%s cannot be read: %s.' % (
        _shown(name), getattr(e, 'strerror', None) or e))


def _checked_array(image, max_pixels):
  """uint8 [H, W, 3] of an array."""
  if image.ndim == 2:
    image = image[:, :, np.newaxis]
  if image.dtype != np.uint8 or image.ndim != 3 or (
      image.shape[2] not in (1, 3)) or not image.size:
    raise InputError('An image should be %s; this array is %s %s.%s' % (
        _EXPECTED, image.dtype, list(image.shape), _advice(image)))
  _check_size(image.shape[:2], 'The image', max_pixels)
  if image.shape[2] == 1:
    image = np.repeat(image, 3, axis=2)
  return np.ascontiguousarray(image)


def _advice(image):
  """What to do about an array that is refused; '' where it is not known."""
  if image.ndim == 4:
    return ' Several images are given as a list.'
  if image.ndim == 3 and image.shape[2] == 4 and image.dtype == np.uint8:
    return ' Leave the alpha channel out: image[:, :, :3].'
  if image.ndim == 3 and image.shape[0] == 3 and image.shape[2] != 3:
    return ' The colours come last: image.transpose([1, 2, 0]).'
  if np.issubdtype(image.dtype, np.floating):
    return (' Of values from 0 to 1: (255 * image).round().astype("uint8"); '
            'the model normalises images itself.')
  return ''


def _check_size(size, name, max_pixels):
  if size[0] * size[1] > max_pixels:
    raise InputError(
        '%s has %d x %d pixels (height x width), more than the %d that are '
        'allowed (max_pixels).' % ((name,) + tuple(size) + (max_pixels,)))


def _decode(content, name, follow_exif, max_pixels):
  """uint8 [H, W, 3] of the bytes of a file."""
  if not content:
    raise InputError('%s is empty: 0 bytes.' % name)
  try:
    header = Image.open(io.BytesIO(content))
  except Image.DecompressionBombError:
    raise InputError('%s has far more pixels than the %d that are allowed '
                     '(max_pixels).' % (name, max_pixels))
  except Exception:  # pylint: disable=broad-except
    raise InputError(
        '%s is not an image: none of the formats JPEG, PNG, GIF, BMP, WebP and '
        'TIFF, or its beginning is damaged.' % name)
  _check_size(header.size[::-1], name, max_pixels)
  pixels = _pixels(content, header, name)
  orientation = orientations.of_image(header) if follow_exif else 1
  return orientations.turn(pixels, orientation)


def _pixels(content, image, name):
  """uint8 [H, W, 3], as stored, by the decoder of training where it can."""
  try:
    return _decoder().run('pixels', content)
  except image_decoding.DecodingError as e:
    reason = str(e)
  try:
    image.load()
  except Exception:  # pylint: disable=broad-except
    # Pillow raises many types for broken files.
    raise InputError('%s cannot be decoded, perhaps it is truncated: %s'
                     % (name, reason))
  try:
    return pillow_pixels.rgb(image)
  except ValueError as e:
    raise InputError('%s %s.' % (name, e))


def _decoder():
  """The Decoder of this process; a session does not survive a fork."""
  if os.getpid() not in _decoders:
    _decoders[os.getpid()] = image_decoding.Decoder()
  return _decoders[os.getpid()]
