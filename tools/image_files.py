"""Pictures on their way into records: checked, and readable by TensorFlow."""

import collections
import io

import numpy as np
from PIL import Image

_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = (5, 6, 7, 8)  # orientations that swap height and width
_UPRIGHT = {  # what turns a picture of each orientation upright
    2: Image.FLIP_LEFT_RIGHT, 3: Image.ROTATE_180, 4: Image.FLIP_TOP_BOTTOM,
    5: Image.TRANSPOSE, 6: Image.ROTATE_270, 7: Image.TRANSVERSE,
    8: Image.ROTATE_90}
# TensorFlow's decoder reads every kind of these (gray, palette, CMYK, alpha,
# 16 bits) as three channels of 8 bits; tests/tools/test_image_files.py.
_READABLE = {'JPEG': 'jpeg', 'MPO': 'jpeg', 'PNG': 'png'}

# encoded: bytes, JPEG or PNG. format: 'jpeg' or 'png'. notes: [str], what
# someone who owns the picture may want to know.
EncodedImage = collections.namedtuple(
    'EncodedImage', 'encoded format height width notes')


class ImageError(ValueError):
  """A picture that cannot be used, with the reason."""


def check_image(content, annotated_size=None):
  """Decodes a picture to be sure of it; re-encodes it where it has to be.

  JPEG and PNG bytes are kept. Other formats become PNG. A photograph that is
  stored on its side and annotated upright is turned upright, because readers
  of records do not follow the EXIF orientation.

  Args:
    content: bytes of the file.
    annotated_size: (height, width) that the annotations state, or None.

  Returns:
    EncodedImage.

  Raises:
    ImageError: if the bytes are no picture, or a broken one.
  """
  try:
    image = Image.open(io.BytesIO(content))
    image.load()
  except Exception as e:  # pylint: disable=broad-except
    # Pillow raises half a dozen types, down to SyntaxError, for broken files.
    raise ImageError('cannot be decoded (%s)' % e)
  notes = _content_notes(image)
  orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
  width, height = image.size
  if (orientation in _SIDEWAYS and height != width and annotated_size
      and tuple(annotated_size) == (width, height)):
    image_format = _READABLE.get(image.format, 'png')
    image = image.transpose(_UPRIGHT[orientation])
    notes.append('stored on its side: turned upright, as annotated')
    return EncodedImage(_encode(image, image_format), image_format, width,
                        height, notes)
  if orientation in _UPRIGHT:
    notes.append('EXIF orientation %d is not followed' % orientation)
  if image.format in _READABLE:
    return EncodedImage(content, _READABLE[image.format], height, width, notes)
  notes.append('%s re-encoded as PNG' % image.format)
  return EncodedImage(_encode(image, 'png'), 'png', height, width, notes)


def _content_notes(image):
  """What is lost or doubtful when this picture is read as 8 bit RGB."""
  notes = []
  if image.mode in ('RGBA', 'LA', 'PA') or 'transparency' in image.info:
    lowest = image.convert('RGBA').getextrema()[-1][0]
    notes.append('transparency is ignored' if lowest < 255 else
                 'opaque alpha channel, left out on reading')
  if image.mode.startswith('I'):
    notes.append('16 bits a channel reduced to 8')
    if image.getextrema()[1] < 4096:
      notes.append('nearly black: the brightest of its 16 bit values is below '
                   '4096')
  if getattr(image, 'n_frames', 1) > 1 and image.format != 'MPO':
    notes.append('animation: the first frame is used')
  return notes


def _encode(image, image_format):
  """JPEG or PNG bytes of a Pillow image, 8 bit RGB."""
  if image.mode.startswith('I'):
    # Pillow would clip 16 bit values at 255.
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() >= 2**16:
      raise ImageError('has 32 bits a channel; save it as PNG or JPEG')
    image = Image.fromarray((pixels >> 8).astype(np.uint8))
  elif image.mode == 'F':
    raise ImageError('has floating point pixels; save it as PNG or JPEG')
  stream = io.BytesIO()
  image.convert('RGB').save(stream, image_format, quality=95)
  return stream.getvalue()
