"""The EXIF orientation of images: one rule for all of the project.

A camera stores an image as its sensor lies and notes how to turn it. Viewers,
browsers and OpenCV follow the note; TensorFlow and Pillow do not. The rule:

* Models see upright images. Records hold upright pixels and no note, so that
  whoever reads them sees the same. Inference turns its input likewise.
* What annotations mean is decided by their size where it can be: for the
  orientations 5 to 8, which exchange the sides, of an image that is not square.
  Elsewhere they are taken as made for the upright image, unless the user says
  otherwise (`--exif=stored`).
* Records from elsewhere may still carry the note. Training takes their pixels
  as they are stored, and so does everything that looks at records.

Sizes are (height, width), boxes [x, y, width, height], pixels. `orientation` is
the EXIF value: 1 upright, 2 mirrored, 3 upside down, 4 both, 5 to 8 the same
with the sides exchanged. Source: EXIF 2.3, tag 0x0112.
"""

import io
from typing import Optional, Sequence, Tuple

import numpy as np
from PIL import Image

TAG = 0x0112

# What annotations refer to where their size does not tell, and what to do.
UPRIGHT = 'upright'  # to the image as viewers show it
STORED = 'stored'    # to the image as it is stored: they are turned along
IGNORE = 'ignore'    # nothing is turned, as upstream
CHOICES = (UPRIGHT, STORED, IGNORE)

_MIRRORS_COLUMNS = (2, 3, 7, 8)  # before the sides are exchanged
_MIRRORS_ROWS = (3, 4, 6, 7)
_EXCHANGES_SIDES = (5, 6, 7, 8)

_PNG_START = b'\x89PNG\r\n\x1a\n'
_EXIF_CHUNKS = (b'eXIf', b'zxIf')
_PNG_TEXTS = (b'tEXt', b'zTXt', b'iTXt')
_XMP_OF_PNG = (b'XML:com.adobe.xmp', b'Raw profile type exif',
               b'Raw profile type APP1', b'Raw profile type xmp')
_APP1_NOTES = (b'Exif\0', b'http://ns.adobe.com/xap/1.0/')


def of_image(image: Image.Image) -> int:
  """The orientation of an open Pillow image, 1 to 8; 1 without a valid one.

  Pillow turns TIFF files by itself when it loads them: 1.
  """
  if image.format == 'TIFF':
    return 1
  try:
    value = image.getexif().get(TAG, 1)
  except Exception:  # pylint: disable=broad-except
    # Pillow raises many types for a damaged note.
    return 1
  return value if value in range(1, 9) else 1


def of_bytes(encoded: bytes) -> int:
  """The orientation of an encoded image, from its header; 1 if unreadable."""
  try:
    return of_image(Image.open(io.BytesIO(encoded)))
  except Exception:  # pylint: disable=broad-except
    return 1  # whatever is not an image is reported by who decodes it


def exchanges_sides(orientation: int) -> bool:
  """Whether height and width of the upright image are those stored, swapped."""
  return orientation in _EXCHANGES_SIDES


def turned_size(size: Tuple[int, int], orientation: int) -> Tuple[int, int]:
  """(height, width) of the upright image of a stored one, and the reverse."""
  height, width = size
  if exchanges_sides(orientation):
    return width, height
  return height, width


def turn(array: np.ndarray, orientation: int) -> np.ndarray:
  """Turns an image, as stored, upright.

  Args:
    array: [H, W, ...].
    orientation: 1 to 8.

  Returns:
    [H, W, ...] or [W, H, ...], contiguous.
  """
  if orientation in _MIRRORS_COLUMNS:
    array = array[:, ::-1]
  if orientation in _MIRRORS_ROWS:
    array = array[::-1]
  if exchanges_sides(orientation):
    array = array.swapaxes(0, 1)
  return np.ascontiguousarray(array)


def turn_box(box: Sequence[float], orientation: int,
             size: Tuple[int, int]) -> Sequence[float]:
  """Turns a box of the stored image along with it.

  Args:
    box: [x, y, width, height], pixels of the stored image.
    orientation: 1 to 8.
    size: (height, width) of the stored image.

  Returns:
    [x, y, width, height], pixels of the upright image.
  """
  x, y, width, height = box
  if orientation in _MIRRORS_COLUMNS:
    x = size[1] - x - width
  if orientation in _MIRRORS_ROWS:
    y = size[0] - y - height
  return [y, x, height, width] if exchanges_sides(orientation) else [
      x, y, width, height]


def refers_to(orientation: int, stored_size: Tuple[int, int],
              annotated_size: Optional[Tuple[int, int]],
              default: str = UPRIGHT) -> Tuple[str, bool]:
  """What annotations of an image with a note refer to.

  Args:
    orientation: 2 to 8.
    stored_size: (height, width) of the image as it is stored.
    annotated_size: (height, width) that belongs to the annotations: stated, or
      that of a label map; None if it is not known.
    default: UPRIGHT or STORED, where the size does not decide.

  Returns:
    UPRIGHT or STORED, and whether the size decided.
  """
  upright_size = turned_size(stored_size, orientation)
  if annotated_size is not None and upright_size != tuple(
      stored_size):
    if tuple(annotated_size) == upright_size:
      return UPRIGHT, True
    if tuple(annotated_size) == tuple(stored_size):
      return STORED, True
  return default, False


def without_note(encoded: bytes) -> bytes:
  """The same JPEG or PNG bytes without EXIF and XMP; pixels stay as stored.

  Args:
    encoded: bytes. Other formats, and what follows a damaged part, are kept.
  """
  if encoded.startswith(_PNG_START):
    return _PNG_START + b''.join(_png_parts(encoded))
  if encoded.startswith(b'\xff\xd8'):
    return b'\xff\xd8' + b''.join(_jpeg_parts(encoded))
  return encoded


def _png_parts(encoded):
  """The chunks to keep: length (4 bytes), type, data, checksum (4)."""
  start = len(_PNG_START)
  while start + 8 <= len(encoded):
    end = start + 12 + int.from_bytes(encoded[start:start + 4], 'big')
    kind, data = encoded[start + 4:start + 8], encoded[start + 8:end]
    if not (kind in _EXIF_CHUNKS or
            kind in _PNG_TEXTS and data.startswith(_XMP_OF_PNG)):
      yield encoded[start:end]
    start = end


def _jpeg_parts(encoded):
  """The segments to keep: marker (2 bytes), length (2, of itself too), data."""
  start = 2
  while encoded[start:start + 1] == b'\xff' and (
      encoded[start + 1:start + 2] != b'\xda'):  # the scan begins
    end = start + 2 + int.from_bytes(encoded[start + 2:start + 4], 'big')
    if not (encoded[start + 1:start + 2] == b'\xe1' and
            encoded[start + 4:end].startswith(_APP1_NOTES)):
      yield encoded[start:end]
    start = end
  yield encoded[start:]
