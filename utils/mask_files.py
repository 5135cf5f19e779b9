"""PNG files of masks: of the size of their image, or cut to their object.

A cut file notes its place in the image in a chunk oFFs, directly behind its
header; programs that show PNG files read or ignore it. Source: Extensions to
the PNG 1.2 specification, section 2.1 (oFFs).
"""

import io
import struct
import zlib

import cv2
import numpy as np
from PIL import Image

PLACE = b'oFFs'
# Signature (8 bytes) and header (25); then length, name and content of a chunk.
_FIRST_CHUNK = 8 + 25
PLACE_START = _FIRST_CHUNK + 8  # x, then y, as big-endian int32
_PIXELS = 0  # the unit of both, behind them


def encode(mask: np.ndarray) -> bytes:
  """PNG bytes of a mask, uint8 [H, W], as it is."""
  # Pillow's filter is read twice as fast as OpenCV's.
  stream = io.BytesIO()
  Image.fromarray(mask).save(stream, 'PNG')
  return stream.getvalue()


def encode_cut(mask: np.ndarray) -> bytes:
  """PNG bytes of the part of a mask that is not empty.

  Args:
    mask: uint8 [H, W]; above 0 is inside.

  Returns:
    Bytes of the smallest rectangle that holds all of the inside; of the first
    pixel of an empty mask.
  """
  y0, y1 = _extent(mask.any(axis=1))
  x0, x1 = _extent(mask.any(axis=0))
  png = encode(np.ascontiguousarray(mask[y0:y1, x0:x1]))
  content = PLACE + struct.pack('>iiB', x0, y0, _PIXELS)
  chunk = struct.pack('>I', len(content) - 4) + content + struct.pack(
      '>I', zlib.crc32(content))
  return png[:_FIRST_CHUNK] + chunk + png[_FIRST_CHUNK:]


def _extent(is_used):
  """The first that is used, and one past the last; (0, 1) without any."""
  used = np.flatnonzero(is_used)
  return (used[0], used[-1] + 1) if len(used) else (0, 1)


def decode(png: bytes, height: int, width: int) -> np.ndarray:
  """A mask of the size of its image.

  Args:
    png: bytes, of either kind.
    height: pixels of the image.
    width: pixels of the image.

  Returns:
    uint8 [height, width]; above 0 is inside.

  Raises:
    ValueError: what is wrong with the file.
  """
  pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
  if pixels is None:
    raise ValueError('The mask is not a PNG.')
  if pixels.shape == (height, width):
    return pixels
  if png[PLACE_START - 4:PLACE_START] != PLACE:
    raise ValueError('The mask has %d x %d pixels, the image %d x %d.' % (
        pixels.shape + (height, width)))
  x, y = struct.unpack('>ii', png[PLACE_START:PLACE_START + 8])
  if min(x, y) < 0 or y + len(pixels) > height or x + pixels.shape[1] > width:
    raise ValueError('The mask has %d x %d pixels at (%d, %d), beyond the '
                     'image of %d x %d.' % (
                         pixels.shape + (y, x, height, width)))
  mask = np.zeros([height, width], np.uint8)
  mask[y:y + len(pixels), x:x + pixels.shape[1]] = pixels
  return mask
