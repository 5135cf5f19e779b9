"""Images on their way into records: upright, and readable by TensorFlow."""

import io
from typing import List, NamedTuple, Optional, Tuple

from PIL import Image

from tools.datasets import jpeg_turning
from utils import orientation as orientations
from utils import pillow_pixels

# TensorFlow's decoder reads every kind of these (gray, palette, CMYK, alpha,
# 16 bits) as three channels of 8 bits;
# tests/tools/datasets/test_image_files.py.
_READABLE = {'JPEG': 'jpeg', 'MPO': 'jpeg', 'PNG': 'png'}
_THIN = 100  # from here on, resizing leaves a side of a few pixels
_JPEG_QUALITY = 100  # of what has to become a JPEG, as upstream


class EncodedImage(NamedTuple):
  """An image as it goes into a record.

  Attributes:
    encoded: JPEG or PNG, without a note of orientation.
    format: 'jpeg' or 'png'.
    height: pixels.
    width: pixels.
    notes: [sentence] for the owner of the image.
    turn: the orientation by which annotations have to be turned like the pixels
      were; 1 where they fit.
  """
  encoded: bytes
  format: str
  height: int
  width: int
  notes: List[str]
  turn: int


class ImageError(ValueError):
  """An image that cannot be used, with the reason."""


def check_image(
    content: bytes,
    annotated_size: Optional[Tuple[Optional[int], Optional[int]]] = None,
    exif: str = orientations.UPRIGHT, as_jpeg: bool = False) -> EncodedImage:
  """Decodes an image to be sure of it; re-encodes it where it has to be.

  JPEG and PNG bytes that TensorFlow decodes are kept. What its decoder refuses
  and Pillow reads, and other formats, become PNG. Images are stored upright;
  see utils.orientation for the rule.

  Args:
    content: bytes of the file.
    annotated_size: (height, width) that the annotations state, or None.
    exif: one of orientation.CHOICES.
    as_jpeg: whether the result has to be a JPEG of three channels.

  Returns:
    EncodedImage.

  Raises:
    ImageError: if the bytes are no image, or a broken one.
  """
  image, is_readable = _open(content)
  notes = _notes(image)
  if not is_readable:
    notes.append(
        'TensorFlow cannot decode the file (its end or a checksum may be '
        'wrong), Pillow can: re-encoded' if image.format in _READABLE else
        '%s re-encoded as %s' % (image.format, 'JPEG' if as_jpeg else 'PNG'))
  orientation, stored_size = _orientation(image, content)
  turn = 1
  if orientation != 1:
    note, turn = _turning(orientation, stored_size, annotated_size, exif)
    notes.append(note)
    if exif == orientations.IGNORE or image.format == 'TIFF':
      orientation = 1
  encoded, image_format = _encoded(image, content, is_readable, orientation,
                                   as_jpeg)
  height, width = orientations.turned_size(image.size[::-1], orientation)
  return EncodedImage(encoded, image_format, height, width, notes, turn)


def _open(content):
  """(Pillow image, whether TensorFlow decodes the bytes as they are)."""
  from dataloader import decoding
  try:
    image = Image.open(io.BytesIO(content))
    if image.format in _READABLE:
      try:
        if decoding.size(content) == image.size[::-1]:
          return image, True
      except decoding.DecodingError:
        pass  # Pillow may still read it, or has a better reason.
    image.load()
  except Exception as e:  # pylint: disable=broad-except
    # Pillow raises half a dozen types, down to SyntaxError, for broken files.
    raise ImageError('cannot be decoded (%s)' % str(e).split(' <')[0])
  return image, False


def _orientation(image, content):
  """(orientation, (height, width) as stored) of a Pillow image."""
  size = image.size[::-1]
  if image.format != 'TIFF':
    return orientations.of_image(image), size
  # Pillow has turned it on loading, and may have dropped the note.
  with Image.open(io.BytesIO(content)) as unloaded:
    orientation = unloaded.tag_v2.get(orientations.TAG, 1)
  if orientation not in range(1, 9):
    return 1, size
  return orientation, orientations.turned_size(size, orientation)


def _turning(orientation, stored_size, annotated_size, exif):
  """(note for people, orientation to turn the annotations by)."""
  if exif == orientations.IGNORE:
    return 'EXIF orientation not followed (--exif=ignore)', 1
  frame, is_certain = orientations.refers_to(orientation, stored_size,
                                             annotated_size, exif)
  reason = 'as their size says' if is_certain else '--exif=%s' % frame
  if frame == orientations.STORED:
    return ('turned upright by the EXIF orientation, and their annotations, '
            'which are made for the images as stored (%s)' % reason,
            orientation)
  return ('turned upright by the EXIF orientation, as annotated (%s)' % reason,
          1)


def _encoded(image, content, is_readable, orientation, as_jpeg):
  """(bytes, format) of an image, turned upright by its orientation."""
  from dataloader import decoding
  kept_format = _READABLE.get(image.format) if is_readable else None
  if as_jpeg and (kept_format != 'jpeg' or image.mode == 'CMYK'):
    kept_format = None
  if kept_format and orientation == 1:
    if orientations.of_image(image) != 1:
      content = orientations.without_note(content)
    return content, kept_format
  if kept_format == 'jpeg' and image.mode in ('L', 'RGB'):
    encoded = jpeg_turning.turned(image, content, orientation)
    if encoded:
      return encoded, 'jpeg'
  pixels = decoding.pixels(content) if is_readable else _rgb(image)
  pixels = Image.fromarray(orientations.turn(pixels, orientation))
  image_format = 'jpeg' if as_jpeg else 'png'
  stream = io.BytesIO()
  pixels.save(stream, image_format, quality=_JPEG_QUALITY)
  return stream.getvalue(), image_format


def _notes(image):
  """[str]: what the owner of an image may want to know about it."""
  notes = []
  if max(image.size) > _THIN * min(image.size):
    notes.append('very thin, one side is more than %d times the other' % _THIN)
  try:
    return notes + _content_notes(image)
  except Exception:  # pylint: disable=broad-except
    return notes  # Pillow cannot decode what TensorFlow can.


def _content_notes(image):
  """What is lost or doubtful when this image is read as 8 bit RGB."""
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


def _rgb(image):
  """uint8 [H, W, 3] of a Pillow image."""
  try:
    return pillow_pixels.rgb(image)
  except ValueError as e:
    raise ImageError(str(e))
