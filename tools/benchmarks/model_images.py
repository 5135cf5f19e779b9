"""Images in the form that an exported model takes."""

import io
from typing import Optional, Tuple

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from dataloader import decoding
from ops import preprocess
from tools.benchmarks import targets


def encoded_image(path: Optional[str], size: Tuple[int, int]) -> bytes:
  """A JPEG of the size of the input.

  Args:
    path: path of an image file; None: one is made.
    size: (height, width).

  Returns:
    bytes.

  Raises:
    ValueError: if the file is not an image.
  """
  buffer = io.BytesIO()
  _image(path, size).save(buffer, 'JPEG', quality=90)
  return buffer.getvalue()


def _image(path, size):
  """A PIL image of that size, in RGB."""
  if path is None:
    # Smooth, as photos are: noise takes several times as long to decode.
    coarse = np.random.RandomState(0).randint(0, 256, [12, 16, 3], np.uint8)
    return Image.fromarray(coarse).resize(size[::-1], Image.BICUBIC)
  try:
    with Image.open(path) as image:
      return image.convert('RGB').resize(size[::-1], Image.BILINEAR)
  except OSError as e:
    raise ValueError('--image_file=%s cannot be read as an image: %s'
                     % (path, e))


def as_input(encoded: bytes, kind: str) -> bytes:
  """One image as a model takes it; for some, that is work of the client.

  Args:
    encoded: bytes of an image file, of the size of the input.
    kind: targets.ENCODED, EXAMPLE, PIXELS or NORMALIZED.

  Returns:
    bytes, uint8 or float32 [height, width, 3].
  """
  return _FORMS[kind](encoded)


def _example(encoded):
  return tf.train.Example(features=tf.train.Features(feature={
      'image/encoded': tf.train.Feature(bytes_list=tf.train.BytesList(
          value=[encoded]))})).SerializeToString()


def _normalized(encoded):
  pixels = decoding.pixels(encoded).astype(np.float32) / 255.
  return (pixels - np.array(preprocess.MEAN_RGB, np.float32)) / np.array(
      preprocess.STDDEV_RGB, np.float32)


_FORMS = {targets.ENCODED: bytes, targets.EXAMPLE: _example,
          targets.PIXELS: decoding.pixels, targets.NORMALIZED: _normalized}
