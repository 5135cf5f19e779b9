"""The image decoder that training, inference and exports share."""

import os
from typing import Callable

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat

# Where the note of orientation is looked for; cameras write it first.
_HEADER_BYTES = 2**17
_EXIF_TAG = 0x0112
_EXIF_SHORT = 3  # the type of its value


class DecodingError(ValueError):
  """Bytes that TensorFlow cannot decode, with its message."""


def decode_image(encoded: tf.Tensor) -> tf.Tensor:
  """Image uint8 [H, W, 3] of JPEG, PNG, BMP or GIF bytes, a string [].

  Gray is repeated, transparency ignored; of an animation the first frame is
  taken.
  """
  image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
  image.set_shape([None, None, 3])
  return image


def decode_mask(png: tf.Tensor) -> tf.Tensor:
  """Mask uint8 [H, W] of PNG bytes, a string []; above 0 is inside."""
  return tf.squeeze(tf.io.decode_png(png, channels=1), axis=-1)


def decode_upright(encoded: tf.Tensor) -> tf.Tensor:
  """Image uint8 [H, W, 3] of bytes, a string [], turned upright.

  As `decode_image`, then turned as the EXIF orientation of a JPEG or PNG says.
  """
  return turn(decode_image(encoded), orientation(encoded))


def orientation(encoded: tf.Tensor) -> tf.Tensor:
  """The EXIF orientation of JPEG or PNG bytes, in a graph.

  Args:
    encoded: string [].

  Returns:
    int32 [], 1 to 8; 1 where the first 128 KB have no valid note.

  Source: EXIF 2.3, tag 0x0112; utils.orientation has the rule.
  """
  with tf.name_scope('exif_orientation'):
    data = tf.cast(tf.io.decode_raw(
        tf.strings.substr(encoded, 0, _HEADER_BYTES), tf.uint8), tf.int32)
    start = tf.case([
        (_begins_with(data, 0, b'\xff\xd8'), lambda: _exif_of_jpeg(data)),
        (_begins_with(data, 0, b'\x89PNG'), lambda: _exif_of_png(data))],
                    default=lambda: -1)
    value = tf.cond(start >= 0, lambda: _orientation_at(data, start),
                    lambda: 1)
    is_valid = tf.logical_and(value >= 1, value <= 8)
    return tf.where(is_valid, value, 1)


def _number(data, position, size, big_endian=True):
  """int32 [] of `size` bytes; 0 where they are beyond the end."""
  part = data[position:position + size]
  is_there = tf.logical_and(position >= 0, tf.equal(tf.size(part), size))
  part = part if big_endian is True else tf.cond(
      big_endian, lambda: part, lambda: tf.reverse(part, [0]))
  weights = tf.constant([256 ** i for i in reversed(range(size))], tf.int32)
  # A length above 2**31 becomes negative and ends the search.
  return tf.cond(is_there, lambda: tf.reduce_sum(part * weights), lambda: 0)


def _begins_with(data, position, text):
  """bool []: whether `text`, bytes, is at a position."""
  part = data[position:position + len(text)]
  return tf.cond(
      tf.equal(tf.size(part), len(text)),
      lambda: tf.reduce_all(tf.equal(part, list(text))), lambda: False)


def _exif_of_jpeg(data):
  """int32 []: where the TIFF header of the EXIF segment begins; -1: nowhere.

  A segment is 0xff, its kind, its length (2 bytes, of itself too) and content.
  """
  def is_exif(position):
    return tf.logical_and(
        tf.equal(data[position + 1], 0xe1),
        _begins_with(data, position + 4, b'Exif\0\0'))

  def goes_on(position):
    # 0xda: the pixels begin.
    is_segment = tf.logical_and(
        _begins_with(data, position, b'\xff'),
        tf.not_equal(_number(data, position + 1, 1), 0xda))
    return tf.cond(
        tf.logical_and(is_segment, position + 4 <= tf.size(data)),
        lambda: tf.logical_not(is_exif(position)), lambda: False)

  position = _search(
      data, 2, goes_on,
      lambda position: position + 2 + _number(data, position + 2, 2))
  return tf.cond(
      position + 10 < tf.size(data),
      lambda: tf.where(is_exif(position), position + 10, -1), lambda: -1)


def _exif_of_png(data):
  """As `_exif_of_jpeg`. A chunk: length (4), kind, content, checksum (4)."""
  def goes_on(position):
    return tf.logical_not(tf.logical_or(
        _begins_with(data, position + 4, b'eXIf'),
        _begins_with(data, position + 4, b'IEND')))

  position = _search(
      data, 8, goes_on,
      lambda position: position + 12 + _number(data, position, 4))
  return tf.where(_begins_with(data, position + 4, b'eXIf'), position + 8, -1)


def _search(data, start, goes_on, following):
  """int32 []: where `goes_on` is false first, or beyond the data."""
  def is_searching(position, last):
    # Damaged lengths lead backwards.
    is_inside = tf.logical_and(position > last, position < tf.size(data))
    return tf.cond(is_inside, lambda: goes_on(position), lambda: False)

  position, last = tf.while_loop(
      is_searching, lambda position, _: (following(position), position),
      [tf.constant(start), tf.constant(0)], back_prop=False)
  return tf.where(position > last, position, tf.size(data))


def _orientation_at(data, start):
  """int32 [] of the TIFF header at a position; 0 where there is none.

  Header: II or MM (the order of bytes), 42, where the list of entries begins;
  the list: their number (2 bytes), then tag (2), type (2), count (4), value.
  """
  big_endian = _begins_with(data, start, b'MM')
  first = start + _number(data, start + 4, 4, big_endian)
  count = _number(data, first, 2, big_endian)

  def goes_on(i):
    entry = first + 2 + 12 * i
    return tf.logical_and(i < count, tf.not_equal(
        _number(data, entry, 2, big_endian), _EXIF_TAG))

  i = tf.while_loop(goes_on, lambda i: i + 1, [tf.constant(0)],
                    back_prop=False)
  entry = first + 2 + 12 * i
  is_short = tf.logical_and(i < count, tf.equal(
      _number(data, entry + 2, 2, big_endian), _EXIF_SHORT))
  return tf.cond(is_short, lambda: _number(data, entry + 8, 2, big_endian),
                 lambda: 0)


def turn(image: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
  """Turns an image, as stored, upright; utils.orientation.turn in a graph.

  Args:
    image: [H, W, C].
    value: int32 [], EXIF orientation, 1 to 8.

  Returns:
    [H, W, C] or [W, H, C].
  """
  def is_one_of(values):
    return tf.reduce_any(tf.equal(value, values))

  def turned():
    mirrored = tf.cond(is_one_of([2, 3, 7, 8]),
                       lambda: tf.reverse(image, [1]), lambda: image)
    mirrored = tf.cond(is_one_of([3, 4, 6, 7]),
                       lambda: tf.reverse(mirrored, [0]), lambda: mirrored)
    return tf.cond(value >= 5, lambda: tf.transpose(mirrored, [1, 0, 2]),
                   lambda: mirrored)

  with tf.name_scope('turn'):
    result = tf.cond(value > 1, turned, lambda: image)
    result.set_shape([None, None, image.shape[2]])
    return result


class Decoder:
  """Decodes in this process, in the calling thread.

  Has a graph and a session of its own, independent of those around it.
  """

  def __init__(self,
               make_session: Callable[..., tf.Session] = tf.Session) -> None:
    """Builds the graph.

    Args:
      make_session: (graph, config) -> tf.Session.
    """
    # Nobody needs what the first session of a process logs about devices, and
    # broken images are reported by the caller. Read when TensorFlow first logs.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    self._options = tf.RunOptions(inter_op_thread_pool=-1)  # no other thread
    with tf.Graph().as_default() as graph:
      self._encoded = tf.placeholder(tf.string, [])
      image = decode_image(self._encoded)
      self._results = {
          'size': tf.shape(image)[:2], 'pixels': image,
          'jpeg_pixels': tf.io.decode_jpeg(
              self._encoded, fancy_upscaling=False,
              dct_method='INTEGER_ACCURATE')}
    config = tf.ConfigProto(
        # Converters fork: threads of the parent do not exist here.
        use_per_session_threads=True, intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1, device_count={'GPU': 0})
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    self._session = make_session(graph=graph, config=config)

  def run(self, name: str, encoded: bytes) -> np.ndarray:
    """Decodes an image; of the result only what is asked for.

    Args:
      name: 'size', 'pixels' or 'jpeg_pixels'.
      encoded: bytes.

    Returns:
      'size': int32 [2], height and width, as stored. 'pixels': uint8 [H, W, 3],
      of `decode_image`. 'jpeg_pixels': uint8 [H, W, C] of a JPEG whose colours
      are repeated, not interpolated.

    Raises:
      DecodingError: saying why TensorFlow cannot decode it.
    """
    try:
      return self._session.run(self._results[name], {self._encoded: encoded},
                               options=self._options)
    except tf.errors.OpError as e:
      raise DecodingError(compat.error_reason(e.message))
