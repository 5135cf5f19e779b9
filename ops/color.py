"""Changes of the colours of an image, as augmentation draws them.

Images are uint8 [H, W, 3], RGB, and so are the results. A `factor` is float32
[], at least 0. Most changes are the same for every pixel of a value, so they
are lookup tables of 256 entries.

Source: AutoAugment (arXiv:1805.09501), table 6, which takes them from Pillow.
"""

import tensorflow.compat.v1 as tf

_LUMA = (0.2989, 0.587, 0.114)  # Rec. 601, as tf.image.rgb_to_grayscale
_VALUES = tuple(range(256))
# [1, 1, 1; 1, 5, 1; 1, 1, 1] / 13, Pillow's SMOOTH, without its border.
_SMOOTH_CENTER, _SMOOTH_SUM = 5., 13.


def _to_range(values):
  return tf.clip_by_value(values, 0., 255.)


def _to_uint8(values):
  """Cuts off what is outside of 0..255 and the fraction."""
  return tf.cast(_to_range(values), tf.uint8)


def _blend(degenerate, image, factor):
  """From a degenerate image (0) to the image (1), and beyond.

  Args:
    degenerate: float32, to be broadcast.
    image: float32.
    factor: float32 [], at least 0.

  Returns:
    uint8, the shape of `image`.
  """
  return _to_uint8(degenerate + factor * (image - degenerate))


def _look_up(image, table):
  """Replaces every value by its entry of a table uint8 [256]."""
  return tf.gather(table, tf.cast(image, tf.int32))


def _values():
  return tf.constant(_VALUES, tf.float32)


def color(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Removes colour (0), keeps it (1) or adds to it (above 1).

  Args:
    image: uint8 [H, W, 3].
    factor: float32 [].

  Returns:
    uint8 [H, W, 3].
  """
  with tf.name_scope('color'):
    pixels = tf.cast(image, tf.float32)
    # The grey of integers: a product with 255.5 / 255 and the fraction cut off.
    unit = tf.reshape(pixels, [-1, 3]) * (1. / 255.)
    gray = tf.matmul(unit, tf.constant(_LUMA, shape=[3, 1]))
    gray = tf.floor(tf.reshape(gray, tf.shape(image)[:2]) * 255.5)
    return _blend(gray[..., tf.newaxis], pixels, factor)


def contrast(image: tf.Tensor, factor: tf.Tensor,
             legacy: bool = False) -> tf.Tensor:
  """Removes contrast (0: the mean grey), keeps it (1) or adds to it.

  Args:
    image: uint8 [H, W, 3].
    factor: float32 [].
    legacy: whether to follow upstream, which uses a 256th of the number of
      pixels as the mean, at most 255.

  Returns:
    uint8 [H, W, 3].
  """
  with tf.name_scope('contrast'):
    shape = tf.shape(image)
    if legacy:
      mean = tf.minimum(
          tf.floor(tf.cast(shape[0] * shape[1], tf.float32) / 256.), 255.)
    else:
      means = tf.reduce_mean(tf.cast(image, tf.float32), axis=[0, 1])
      # Rounded, as Pillow does.
      mean = tf.floor(tf.reduce_sum(means * _LUMA) + 0.5)
    return _look_up(image, _blend(mean, _values(), factor))


def brightness(image: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
  """Black (0), the image (1), or brighter (above 1), of uint8 [H, W, 3]."""
  with tf.name_scope('brightness'):
    return _look_up(image, _blend(0., _values(), factor))


def sharpness(image: tf.Tensor, factor: tf.Tensor,
              legacy: bool = False) -> tf.Tensor:
  """Smooth (0), as it is (1), or sharper (above 1); the border stays.

  Args:
    image: uint8 [H, W, 3].
    factor: float32 [].
    legacy: whether to smooth by a convolution, as upstream does: a mean that is
      a whole number may come out just below it, and its fraction is cut off.

  Returns:
    uint8 [H, W, 3].
  """
  with tf.name_scope('sharpness'):
    height, width = tf.unstack(tf.shape(image)[:2])
    def sharpen():
      smooth = _smooth_by_convolution if legacy else _smooth
      inner = tf.cast(image[1:-1, 1:-1], tf.float32)
      blended = _blend(tf.floor(_to_range(smooth(image))), inner, factor)
      middle = tf.concat([image[1:-1, :1], blended, image[1:-1, -1:]], axis=1)
      return tf.concat([image[:1], middle, image[-1:]], axis=0)
    # Smaller images have a border only.
    sharp = tf.cond(tf.minimum(height, width) > 2, sharpen, lambda: image)
    sharp.set_shape(image.shape)
    return sharp


def _smooth(image):
  """Weighted means of 3 x 3 pixels, float32 [H - 2, W - 2, 3].

  Half a 13th too high, so that rounding cannot make them too low.
  """
  # Rows of W * 3 values, as a convolution of single channels is slow.
  shape = tf.shape(image)
  rows = tf.reshape(tf.cast(image, tf.float32), [shape[0], shape[1] * 3])
  lines = rows[:-2] + rows[1:-1] + rows[2:]
  around = lines[:, :-6] + lines[:, 3:-3] + lines[:, 6:]
  total = around + (_SMOOTH_CENTER - 1.) * rows[1:-1, 3:-3]
  return tf.reshape((total + .5) * (1. / _SMOOTH_SUM),
                    [shape[0] - 2, shape[1] - 2, 3])


def _smooth_by_convolution(image):
  """The same, with the rounding errors of a convolution."""
  height, width = [size - 2 for size in tf.unstack(tf.shape(image)[:2])]
  pixels = tf.cast(image, tf.float32)
  edge, center = pixels * (1. / _SMOOTH_SUM), pixels * (
      _SMOOTH_CENTER / _SMOOTH_SUM)
  terms = [(center if y == x == 1 else edge)[y:y + height, x:x + width]
           for y in range(3) for x in range(3)]
  # The graph optimizer changes the order of a sum, but not of this one.
  return tf.cumsum(tf.stack(terms))[-1]


def autocontrast(image: tf.Tensor) -> tf.Tensor:
  """Stretches every channel of uint8 [H, W, 3] from its own range to 0..255.

  A channel of one value stays as it is.
  """
  with tf.name_scope('autocontrast'):
    low = tf.cast(tf.reduce_min(image, axis=[0, 1]), tf.float32)
    high = tf.cast(tf.reduce_max(image, axis=[0, 1]), tf.float32)
    scale = 255. / tf.maximum(high - low, 1.)
    values = _values()[tf.newaxis]
    table = _to_uint8(values * scale[:, tf.newaxis] -
                      (low * scale)[:, tf.newaxis])
    is_flat = tf.tile((high <= low)[:, tf.newaxis], [1, 256])
    table = tf.where(is_flat, tf.cast(tf.tile(values, [3, 1]), tf.uint8), table)
    return _look_up_channels(image, table)


def equalize(image: tf.Tensor) -> tf.Tensor:
  """Makes all values of a channel of uint8 [H, W, 3] about as frequent."""
  with tf.name_scope('equalize'):
    # One histogram over channel * 256 + value for all of them.
    indices = _channel_indices(image)
    histogram = tf.reshape(tf.raw_ops.Bincount(
        arr=tf.reshape(indices, [-1]), size=3 * 256,
        weights=tf.constant([], tf.int32)), [3, 256])
    last = 255 - tf.argmax(tf.cast(tf.reverse(histogram, [1]) > 0, tf.int32),
                           axis=1, output_type=tf.int32)
    count_of_last = tf.reduce_sum(
        histogram * tf.one_hot(last, 256, dtype=tf.int32), axis=1)
    step = (tf.reduce_sum(histogram, axis=1) - count_of_last) // 255
    step = step[:, tf.newaxis]
    sums = tf.cumsum(histogram, axis=1, exclusive=True)
    table = tf.minimum((sums + step // 2) // tf.maximum(step, 1), 255)
    values = tf.tile(tf.constant(_VALUES)[tf.newaxis], [3, 1])
    table = tf.where(tf.tile(tf.equal(step, 0), [1, 256]), values, table)
    return tf.gather(tf.cast(tf.reshape(table, [-1]), tf.uint8), indices)


def _look_up_channels(image, tables):
  """Replaces every value by its entry of the table of its channel.

  Args:
    image: uint8 [H, W, 3].
    tables: uint8 [3, 256].

  Returns:
    uint8 [H, W, 3].
  """
  return tf.gather(tf.reshape(tables, [-1]), _channel_indices(image))


def _channel_indices(image):
  """int32 [H, W, 3]: channel * 256 + value."""
  shape = tf.shape(image)
  rows = tf.reshape(tf.cast(image, tf.int32), [shape[0], shape[1] * 3])
  indices = rows + tf.tile(tf.constant([0, 256, 512]), shape[1:2])
  indices = tf.reshape(indices, shape)
  indices.set_shape(image.shape)
  return indices


def posterize(image: tf.Tensor, bits: tf.Tensor) -> tf.Tensor:
  """Keeps the `bits` highest bits of every value; 0 bits give black.

  Args:
    image: uint8 [H, W, 3].
    bits: float32 [], a whole number, 0 to 8.

  Returns:
    uint8 [H, W, 3].
  """
  with tf.name_scope('posterize'):
    # A shift by all 8 bits is undefined; the reference machine shifts by 7.
    kept = tf.maximum(tf.cast(bits, tf.int32), 1)
    step = tf.bitwise.left_shift(1, 8 - kept)
    values = tf.constant(_VALUES)
    return _look_up(image, tf.cast(values // step * step, tf.uint8))


def solarize(image: tf.Tensor, threshold: tf.Tensor,
             legacy: bool = False) -> tf.Tensor:
  """Inverts the values from a threshold on.

  Args:
    image: uint8 [H, W, 3].
    threshold: float32 [], 0 to 256; 256 changes nothing.
    legacy: whether to follow upstream, where 256 becomes 0 and inverts all.

  Returns:
    uint8 [H, W, 3].
  """
  with tf.name_scope('solarize'):
    if legacy:
      threshold = tf.mod(threshold, 256.)
    values = _values()
    table = tf.where(values < threshold, values, 255. - values)
    return _look_up(image, tf.cast(table, tf.uint8))


def solarize_add(image: tf.Tensor, addition: tf.Tensor,
                 threshold: float = 128.) -> tf.Tensor:
  """Adds a number to the values below a threshold.

  Args:
    image: uint8 [H, W, 3].
    addition: float32 [], a whole number.
    threshold: float.

  Returns:
    uint8 [H, W, 3].
  """
  with tf.name_scope('solarize_add'):
    values = _values()
    table = tf.where(values < threshold,
                     tf.clip_by_value(values + addition, 0., 255.), values)
    return _look_up(image, tf.cast(table, tf.uint8))


def invert(image: tf.Tensor) -> tf.Tensor:
  """255 minus every value of uint8 [H, W, 3]."""
  return 255 - image
