"""The pixels of formats that TensorFlow does not decode, through Pillow."""

import numpy as np
from PIL import Image


def rgb(image: Image.Image) -> np.ndarray:
  """uint8 [H, W, 3] of a Pillow image, as TensorFlow reduces PNGs to it.

  Of 16 bits the higher 8 count; transparency is ignored.

  Args:
    image: PIL.Image.Image; of an animation the frame it shows.

  Raises:
    ValueError: if it has other than 8 or 16 bits a channel; a sentence without
      its beginning.
  """
  if image.mode.startswith('I'):
    # Pillow would clip 16 bit values at 255.
    pixels = np.asarray(image)
    if pixels.min() < 0 or pixels.max() >= 2**16:
      raise ValueError('has 32 bits per channel; save it as PNG or JPEG')
    image = Image.fromarray((pixels >> 8).astype(np.uint8))
  elif image.mode == 'F':
    raise ValueError('has floating point pixels; save it as PNG or JPEG')
  return np.array(image.convert('RGB'))
