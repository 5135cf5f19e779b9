"""Files whose pixels are numbers: of classes, of objects, or of a mask.

What counts are the numbers as they are stored: of a file with a palette the
indices, not the colours that a viewer shows. Colours are never turned to gray:
two of them may become one. Three equal channels, as OpenCV writes a mask, count
as one.
"""

import io
from typing import Mapping

import numpy as np
from PIL import Image

from ops import tensorflow_later as tf

EXTENSIONS = ('.png', '.tif', '.tiff', '.bmp', '.gif')  # lossless
NUMBERS = ('1', 'L', 'P', 'I', 'I;16', 'I;16B', 'I;16L')  # Pillow modes


class LabelError(ValueError):
  """A file that cannot be used, with the reason."""


class ColourError(LabelError):
  """A file of colours."""


def read(path: str) -> np.ndarray:
  """The numbers in a file.

  Args:
    path: the path of a lossless image file.

  Returns:
    int32 [h, w].

  Raises:
    LabelError: if it cannot be read.
    ColourError: if it has colours.
  """
  return numbers(load(path))


def numbers(image: Image.Image) -> np.ndarray:
  """The numbers in a loaded image, int32 [h, w]; raises as `read`."""
  if image.format == 'JPEG':
    raise LabelError('the label map is a JPEG, which changes values; save it '
                     'as PNG from the source')
  if image.mode in NUMBERS:
    return np.asarray(image).astype(np.int32)
  if image.mode in ('RGB', 'RGBA', 'LA'):
    channels = np.asarray(image)
    shown = channels[..., :{'LA': 1}.get(image.mode, 3)]
    is_opaque = image.mode == 'RGB' or np.all(channels[..., -1] == 255)
    if is_opaque and np.all(shown == shown[..., :1]):
      return shown[..., 0].astype(np.int32)
  raise ColourError('the label map has colours (Pillow mode %s); its values '
                    'must be the classes: save it with one channel, in which '
                    'each colour is the number of its class' % image.mode)


def is_wide(image: Image.Image) -> bool:
  """Whether an image has room for numbers above 255."""
  return image.mode.startswith('I')


def load(path: str) -> Image.Image:
  """Loaded Pillow image of a file; raises LabelError."""
  with tf.gfile.Open(path, 'rb') as f:
    try:
      image = Image.open(io.BytesIO(f.read()))
      image.load()
    except Exception as e:  # pylint: disable=broad-except
      # Pillow raises many types for broken files.
      raise LabelError('the label map cannot be read: %s'
                       % str(e).split(' <')[0])
  return image


def as_classes(numbers: np.ndarray, values: Mapping[int, int]) -> np.ndarray:
  """uint8 [h, w]: the classes of numbers.

  Args:
    numbers: int [h, w].
    values: {number: class}, of numbers that are not their class.

  Raises:
    LabelError: for numbers that are no class.
  """
  if numbers.max() > 255 or numbers.min() < 0:
    raise LabelError('the label map has values above 255')
  table = np.arange(256)
  for value, class_id in values.items():
    table[value] = class_id
  return table[numbers].astype(np.uint8)
