"""Images decoded as training decodes them, outside of its graph.

Pillow and OpenCV do not read exactly the files, or the pixels, that TensorFlow
reads, so TensorFlow's decoder checks what goes into records and what is in
them.
"""

import os
from typing import Tuple

import numpy as np

from dataloader import sessions
from ops import image_decoding

# {process id: Decoder}. A session does not survive a fork, and closing that of
# the parent would wait for threads that do not exist here.
_decoders = {}

DecodingError = image_decoding.DecodingError


def size(encoded: bytes) -> Tuple[int, int]:
  """Height and width of an image, after decoding all of it.

  Args:
    encoded: bytes of a JPEG, PNG, BMP or GIF file.

  Returns:
    (height, width), ints.

  Raises:
    DecodingError: saying why TensorFlow cannot decode it.
  """
  return tuple(_this_process().run('size', encoded).tolist())


def pixels(encoded: bytes) -> np.ndarray:
  """uint8 [H, W, 3] as training sees it; see `size`."""
  return _this_process().run('pixels', encoded)


def jpeg_pixels(encoded: bytes) -> np.ndarray:
  """uint8 [H, W, C] of a JPEG, so that it can be encoded again without loss.

  Its colours, usually stored once for 2 x 2 pixels, are repeated, not
  interpolated: averaging them gives the stored values.

  Args:
    encoded: bytes of a JPEG.

  Raises:
    DecodingError: saying why TensorFlow cannot decode it.
  """
  return _this_process().run('jpeg_pixels', encoded)


def _this_process():
  """The Decoder of this process."""
  if os.getpid() not in _decoders:
    _decoders[os.getpid()] = image_decoding.Decoder(sessions.make)
  return _decoders[os.getpid()]
