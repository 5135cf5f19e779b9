"""Images decoded as training decodes them, outside of its graph.

What Pillow or OpenCV read is not what TensorFlow reads: of what goes into
records, and of what is in them, TensorFlow's decoder has to be the judge.
"""

import os

import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from dataloader import sessions
from ops import compat

# {process id: _Decoder}. A session does not survive a fork, and closing that of
# the parent would wait for threads that do not exist here.
_decoders = {}


class DecodingError(ValueError):
  """What TensorFlow says about bytes that it cannot decode."""


def size(encoded):
  """Height and width of an image, after decoding all of it.

  Args:
    encoded: bytes of a JPEG, PNG, BMP or GIF file.

  Returns:
    (height, width), ints.

  Raises:
    DecodingError: saying why TensorFlow cannot decode it.
  """
  return tuple(_this_process().run('size', encoded).tolist())


def pixels(encoded):
  """uint8 [H, W, 3] as training sees it; see `size`."""
  return _this_process().run('pixels', encoded)


def jpeg_pixels(encoded):
  """uint8 [H, W, C] of a JPEG, as exactly as it can be encoded again.

  Its colours, stored for 2 x 2 pixels as a rule, are repeated, not
  interpolated: averaging them gives what was stored.

  Args:
    encoded: bytes of a JPEG.

  Raises:
    DecodingError: saying why TensorFlow cannot decode it.
  """
  return _this_process().run('jpeg_pixels', encoded)


class _Decoder:
  """A graph and a session that take and leave nothing around them."""

  def __init__(self):
    # What the first session of a process tells of devices is nobody's concern,
    # and of broken images the caller tells. Read when TensorFlow first logs.
    os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
    self._options = tf.RunOptions(inter_op_thread_pool=-1)  # no other thread
    with tf.Graph().as_default() as graph:
      self._encoded = tf.placeholder(tf.string, [])
      image = example_decoder.decode_image(self._encoded)
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
    self._session = sessions.make(graph=graph, config=config)

  def run(self, name, encoded):
    """One of the results; raises DecodingError."""
    try:
      return self._session.run(self._results[name], {self._encoded: encoded},
                               options=self._options)
    except tf.errors.OpError as e:
      raise DecodingError(compat.error_reason(e.message))


def _this_process():
  """The _Decoder of this process."""
  if os.getpid() not in _decoders:
    _decoders[os.getpid()] = _Decoder()
  return _decoders[os.getpid()]
