"""One record to the input of a classifier and its label."""

import collections

import tensorflow.compat.v1 as tf

from dataloader import examples
from dataloader import parser
from dataloader import source_ids
from ops import image_decoding
from ops import preprocess
from utils import fields
from utils import modes

_FEATURES = {
    'image/class/label': tf.FixedLenFeature([], tf.int64, -1),
}
_FEATURES.update(source_ids.FEATURES)
_ATTEMPTS = 10  # at a random window before the middle of the image is taken

# The random numbers of one image. flip: [], mirrored above 0.5. window: int32
# [4], first row and column, height and width of what is cut out.
Draws = collections.namedtuple('Draws', 'flip window')


class ClassificationParser:
  """Decodes, cuts out, resizes and normalises; arXiv:1512.03385, section 3.4.

  In training a random window, mirrored in one of two cases; otherwise the
  square in the middle.
  """

  SECTION = 'classification_parser'
  needs_masks = False

  def __init__(self, section, num_classes, mode, dtype='float32', augment=None):
    """Takes what the configuration says.

    Args:
      section: YAML section `classification_parser`.
      num_classes: int; labels are 0 to num_classes - 1.
      mode: of utils.modes.
      dtype: of the image, 'float32' or 'bfloat16'.
      augment: (image uint8 [h, w, 3], seed int [2]) -> uint8 [h, w, 3], changes
        the colours and the geometry of images in training; None does nothing.

    Raises:
      ValueError: for a mode that does not exist.
    """
    self._section = section
    self._num_classes = num_classes
    self._mode = parser.checked_mode(mode)
    self._dtype = tf.as_dtype(dtype)
    self._augment = augment

  def __call__(self, serialized, seed=None, draws=None):
    """Parses one record.

    Args:
      serialized: string [], a tf.train.Example.
      seed: int [2] tensor, in training; different for every image.
      draws: Draws to use instead of drawing them.

    Returns:
      (image, label) in the modes TRAIN and EVAL, {'images': image, 'labels':
      labels} in the others; `image` [H, W, 3], see `labels_spec`.
    """
    parsed = examples.parse(serialized, _FEATURES)
    encoded = _EncodedImage(parsed['image/encoded'])
    if self._mode == modes.TRAIN:
      image = self._training_image(encoded, seed, draws)
    else:
      image = preprocess.resize_image(
          encoded.cut_out(preprocess.center_window(encoded.size)),
          self._section.output_size)
    return parser.structure(self._mode, tf.cast(image, self._dtype),
                            self._labels(parsed))

  def _training_image(self, encoded, seed, draws):
    """float32 [H, W, 3]: augmented and normalised."""
    if draws is None:
      draws = self._draw(encoded, seed)
    image = encoded.cut_out(_middle_of_whole(draws.window, encoded.size))
    if self._section.aug_rand_hflip:
      image, _, _ = preprocess.random_horizontal_flip(
          image, random_value=draws.flip)
    size = self._section.output_size
    if self._augment is None:
      return preprocess.resize_image(image, size)
    return preprocess.normalize_image(self._augment(
        preprocess.resize_to_uint8(image, size), seed))

  def _draw(self, encoded, seed):
    """Draws of one image."""
    numbers = tf.random.stateless_uniform([1 + 4 * _ATTEMPTS], seed)
    return Draws(numbers[0], preprocess.random_window(
        encoded.size, tf.reshape(numbers[1:], [_ATTEMPTS, 4])))

  def _labels(self, parsed):
    source_id = source_ids.of_record(parsed)
    if self._mode == modes.PREDICT:
      return {fields.SOURCE_ID: source_ids.to_int64(source_id)}
    label = _checked_label(parsed, source_id, self._num_classes)
    if self._mode == modes.PREDICT_WITH_GT:
      return {fields.SOURCE_ID: source_ids.to_int64(source_id),
              fields.LABEL: label}
    return label

  def labels_spec(self):
    """The nest of tf.TensorSpec of the labels of one image."""
    label = tf.TensorSpec([], tf.int32)
    if self._mode in (modes.TRAIN, modes.EVAL):
      return label
    spec = {fields.SOURCE_ID: tf.TensorSpec([], tf.int64)}
    if self._mode == modes.PREDICT_WITH_GT:
      spec[fields.LABEL] = label
    return spec

  def padding_example(self):
    """A parsed example without content, to fill up the last batch.

    Returns:
      The structure of `__call__`: a gray image, `source_id` -1.
    """
    image = tf.zeros(list(self._section.output_size) + [3], self._dtype)
    labels = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), self.labels_spec())
    if isinstance(labels, dict):
      labels[fields.SOURCE_ID] = tf.constant(fields.PADDING_ID, tf.int64)
    return parser.structure(self._mode, image, labels)


class _EncodedImage:
  """An encoded image of which only a part is needed."""

  def __init__(self, encoded):
    """Takes JPEG, PNG, BMP or GIF bytes, a string []."""
    self._encoded = encoded
    self._is_jpeg = tf.image.is_jpeg(encoded)
    # The header of a JPEG has its size; of the others all has to be decoded.
    self._decoded = tf.cond(
        self._is_jpeg, lambda: tf.zeros([0, 0, 3], tf.uint8),
        lambda: image_decoding.decode_image(encoded))
    self.size = tf.cond(
        self._is_jpeg, lambda: tf.image.extract_jpeg_shape(encoded)[:2],
        lambda: tf.shape(self._decoded)[:2])

  def cut_out(self, window):
    """uint8 [height, width, 3] of a window (y, x, height, width), int32 [4]."""
    y, x, height, width = tf.unstack(window)
    # Of a JPEG only the lines of the window are decoded, which takes a third
    # of the time.
    image = tf.cond(
        self._is_jpeg,
        lambda: tf.image.decode_and_crop_jpeg(self._encoded, window,
                                              channels=3),
        lambda: self._decoded[y:y + height, x:x + width])
    image.set_shape([None, None, 3])
    return image


def _middle_of_whole(window, size):
  """The window, or the square in the middle instead of the whole image."""
  is_whole = tf.reduce_all(tf.equal(window[2:], size))
  return tf.cond(is_whole, lambda: preprocess.center_window(size),
                 lambda: window)


def _checked_label(parsed, source_id, num_classes):
  """int32 []; running it fails for a label that is not a class."""
  label = parsed['image/class/label']
  check = tf.debugging.Assert(
      tf.logical_and(label >= 0, label < num_classes), [tf.strings.join([
          'Image ', source_id, ' has image/class/label ', tf.as_string(label),
          ' (-1: none). architecture.num_classes is %d: labels are 0 to %d.' % (
              num_classes, num_classes - 1)])])
  with tf.control_dependencies([check]):
    return tf.cast(label, tf.int32)
