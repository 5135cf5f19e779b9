"""Turns a JPEG upright without a loss that can be seen.

Decoded without interpolation of colours, turned, and encoded with its own
tables of quantization, turned too, every block gets back the numbers it had but
for rounding: on photographs of whole blocks 56 dB, at the size of the original.
That needs sides of whole blocks. Where a block at the far edge is cut, the grid
moves when that edge becomes the first one, and what comes out is encoded a
second time (32 to 47 dB): then the result is reported as not usable.
"""

import io
from typing import Optional

import numpy as np
from PIL import Image
from PIL import JpegImagePlugin

from utils import orientation as orientations

_MIN_PSNR = 48.  # decibels between the two as training decodes them
_SUBSAMPLINGS = (0, 2)  # of Pillow: 4:4:4 and 4:2:0, which turn to themselves


def turned(image: Image.Image, encoded: bytes,
           orientation: int) -> Optional[bytes]:
  """The JPEG, upright.

  Args:
    image: Pillow image of the same bytes, of mode L or RGB.
    encoded: bytes of the JPEG.
    orientation: 2 to 8.

  Returns:
    bytes of a JPEG without a note of orientation; None where it would lose
    something.

  Raises:
    decoding.DecodingError: if TensorFlow cannot decode it.
  """
  from dataloader import decoding
  subsampling = JpegImagePlugin.get_sampling(image)
  if image.mode != 'L' and subsampling not in _SUBSAMPLINGS:
    return None
  pixels = orientations.turn(decoding.jpeg_pixels(encoded), orientation)
  stream = io.BytesIO()
  Image.fromarray(pixels.squeeze()).save(
      stream, 'JPEG', qtables=_tables(image, orientation),
      subsampling=max(subsampling, 0), icc_profile=image.info.get(
          'icc_profile'))
  expected = orientations.turn(decoding.pixels(encoded), orientation)
  if _psnr(decoding.pixels(stream.getvalue()), expected) < _MIN_PSNR:
    return None
  return stream.getvalue()


def _tables(image, orientation):
  """The tables of quantization, [[64 ints]], for the turned image."""
  tables = [np.reshape(table, [8, 8])
            for _, table in sorted(image.quantization.items())]
  if orientations.exchanges_sides(orientation):
    tables = [table.T for table in tables]
  return [table.reshape(-1).tolist() for table in tables]


def _psnr(first, second):
  """Peak signal-to-noise ratio of two uint8 images of one size, decibels."""
  difference = np.mean((first.astype(np.float32) - second) ** 2)
  return 10. * np.log10(255. ** 2 / max(float(difference), 1e-9))
