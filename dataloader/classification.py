"""The parts that only the parser of classifiers has: decoding, windows, class.

Source of the augmentation: arXiv:1512.03385, section 3.4.
"""

import tensorflow.compat.v1 as tf

from dataloader import examples
from dataloader import sample as samples
from dataloader import source_ids
from ops import image_decoding
from ops import preprocess

_FEATURES = {
    'image/class/label': tf.FixedLenFeature([], tf.int64, -1),
}
_FEATURES.update(source_ids.FEATURES)


def decode(serialized):
  """Reads a record; its image is decoded by the step that cuts it out.

  Args:
    serialized: string [], a tf.train.Example.

  Returns:
    Sample with `record`: `source_id` string [], `label` int64 [] (-1: none) and
    `encoded`, the EncodedImage.
  """
  parsed = examples.parse(serialized, _FEATURES)
  return samples.Sample(record={
      'source_id': source_ids.of_record(parsed),
      'label': parsed['image/class/label'],
      'encoded': EncodedImage(parsed['image/encoded'])})


def cut_out_random_window(sample):
  """Decodes a random window of the image, or the square in its middle.

  The Sample gets `image`, uint8 [h, w, 3]. Source: preprocess.random_window.
  """
  encoded = sample.record['encoded']
  window = sample.draws.window('window', encoded.size)
  return sample._replace(
      image=encoded.cut_out(_middle_of_whole(window, encoded.size)))


def cut_out_middle(sample):
  """Decodes the square in the middle of the image, uint8 [s, s, 3].

  Source: preprocess.center_window.
  """
  encoded = sample.record['encoded']
  return sample._replace(
      image=encoded.cut_out(preprocess.center_window(encoded.size)))


class ClassLabel:
  """The class of an image, int32 []; running it fails for other numbers."""

  def __init__(self, num_classes):
    """Takes an int; labels are 0 to num_classes - 1."""
    self._num_classes = num_classes

  def __call__(self, sample):
    return _checked_label(sample.record, self._num_classes)

  def spec(self):
    return tf.TensorSpec([], tf.int32)

  def padding(self):
    return tf.constant(0, tf.int32)


class EncodedImage:
  """An encoded image of which only a part is needed."""

  def __init__(self, encoded):
    """Takes JPEG, PNG, BMP or GIF bytes, a string []."""
    self._encoded = encoded
    self._is_jpeg = tf.image.is_jpeg(encoded)
    # The header of a JPEG has its size; the others have to be decoded.
    self._decoded = tf.cond(
        self._is_jpeg, lambda: tf.zeros([0, 0, 3], tf.uint8),
        lambda: image_decoding.decode_image(encoded))
    self.size = tf.cond(
        self._is_jpeg, lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.shape(self._decoded)[:2])

  def cut_out(self, window):
    """uint8 [height, width, 3] of a window (y, x, height, width), int32 [4]."""
    y, x, height, width = tf.unstack(window)
    # In a JPEG only the lines of the window are decoded, which takes a third
    # of the time.
    image = tf.cond(
        self._is_jpeg,
        lambda: tf.image.decode_and_crop_jpeg(self._encoded, window,
                                              channels=3),
        lambda: self._decoded[y:y + height, x:x + width])
    image.set_shape([None, None, 3])
    return image


def _middle_of_whole(window, size):
  """The window, or the square in the middle instead of the entire image."""
  is_whole = tf.reduce_all(tf.equal(window[2:], size))
  return tf.cond(is_whole, lambda: preprocess.center_window(size),
                 lambda: window)


def _checked_label(record, num_classes):
  """int32 []; running it fails for a label that is not a class."""
  label = record['label']
  check = tf.debugging.Assert(
      tf.logical_and(label >= 0, label < num_classes), [tf.strings.join([
          'Image ', record['source_id'], ' has image/class/label ',
          tf.as_string(label), ' (-1: none). architecture.num_classes is %d: '
          'labels are 0 to %d.' % (num_classes, num_classes - 1)])])
  with tf.control_dependencies([check]):
    return tf.cast(label, tf.int32)
