"""Looks at images before the network decodes them.

A few bytes can claim to be an image of gigapixels, and the decoder in the graph
would believe them.
"""

import io
from typing import Mapping, Union
import warnings

from google.protobuf import message
import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from serving.server import errors
from serving.server import served_model

# What the decoder inside of a graph knows.
FORMATS = ('JPEG', 'PNG', 'GIF', 'BMP')
_FORMATS = 'a JPEG, PNG, GIF or BMP file'
_ENCODED_KEY = 'image/encoded'


def check(feeds: Mapping[str, np.ndarray], signature: served_model.Signature,
          max_pixels: int) -> int:
  """Refuses requests of too many pixels, and what is not an image.

  Args:
    feeds: {key: array [B, ...]} of a request.
    signature: served_model.Signature.
    max_pixels: int, of all images of the request and all frames of each.

  Returns:
    int, the pixels of the request; 0 if it has no encoded images.

  Raises:
    RequestError: naming the row.
  """
  total = 0
  for key, value in feeds.items():
    t = signature.inputs[key]
    # Others, such as a name for the answer, need not be images.
    if t.dtype == tf.string and not t.is_optional:
      for i, content in enumerate(value.reshape([-1])):
        name = 'Row %d of %s' % (i, key)
        total += num_pixels(_of_example(content), max_pixels, name)
        if total > max_pixels:
          raise too_many(
              'The images up to row %d of %s have' % (i, key), total,
              max_pixels)
  return total


def _of_example(content):
  """The image in a tf.train.Example; other bytes as they are."""
  if not content.startswith(b'\n'):  # the tag of its only field
    return content
  try:
    example = tf.train.Example.FromString(content)
  except message.DecodeError:
    return content
  values = example.features.feature[_ENCODED_KEY].bytes_list.value
  return values[0] if values else b''


def too_many(what: str, pixels: Union[int, str],
             max_pixels: int) -> errors.RequestError:
  """The RequestError of too many pixels."""
  return errors.RequestError(
      '%s %s pixels, more than the %d that are allowed in one request.' % (
          what, pixels, max_pixels), 413, 'image')


def num_pixels(encoded: bytes, max_pixels: int, name: str) -> int:
  """Reads the size of an image from its header.

  Args:
    encoded: bytes.
    max_pixels: int.
    name: str, what it is called in errors.

  Returns:
    int, the pixels of all frames of an animation: it is read as a whole.

  Raises:
    RequestError: if it has too many pixels or is not an image.
  """
  if not encoded:
    raise errors.RequestError('%s is empty: 0 bytes.' % name, reason='image')
  try:
    pixels = _num_pixels(encoded)
  except Image.DecompressionBombError:
    raise too_many('%s has' % name, 'far more', max_pixels)
  except Exception:  # pylint: disable=broad-except
    # Pillow raises many types for damaged headers.
    raise errors.RequestError(
        '%s is not %s, or its beginning is damaged.' % (name, _FORMATS),
        reason='image')
  if pixels > max_pixels:
    raise too_many('%s has' % name, pixels, max_pixels)
  return pixels


def _num_pixels(encoded):
  with warnings.catch_warnings():
    warnings.simplefilter('ignore', Image.DecompressionBombWarning)
    image = Image.open(io.BytesIO(encoded), formats=FORMATS)
    frames = getattr(image, 'n_frames', 1) if image.format == 'GIF' else 1
  return image.size[0] * image.size[1] * frames
