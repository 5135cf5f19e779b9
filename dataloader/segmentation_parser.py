"""One record to the input of a segmentation model and the classes of it."""

import tensorflow.compat.v1 as tf

from dataloader import examples
from dataloader import parser
from dataloader import source_ids
from ops import image_decoding
from ops import preprocess
from utils import fields
from utils import modes

CLASSES_KEY = 'image/segmentation/class/encoded'  # PNG bytes
_FEATURES = {CLASSES_KEY: tf.FixedLenFeature([], tf.string, '')}
_FEATURES.update(source_ids.FEATURES)


class SegmentationParser:
  """Decodes, mirrors, resizes and pads; arXiv:1706.05587, section 4.1.

  In training by a random scale, of which a random window is cut out; otherwise
  the whole image, resized or only padded (`resize_eval`).
  """

  SECTION = 'segmentation_parser'
  needs_masks = False

  def __init__(self, section, num_classes, mode, dtype='float32'):
    """Takes what the configuration says.

    Args:
      section: YAML section `segmentation_parser`.
      num_classes: int; classes are 0 to num_classes - 1.
      mode: of utils.modes.
      dtype: of the image, 'float32' or 'bfloat16'.

    Raises:
      ValueError: for a mode that does not exist.
    """
    self._section = section
    self._num_classes = num_classes
    self._mode = parser.checked_mode(mode)
    self._dtype = tf.as_dtype(dtype)

  def __call__(self, serialized, seed=None, draws=None):
    """Parses one record.

    Args:
      serialized: string [], a tf.train.Example.
      seed: int [2] tensor, in training; different for every image.
      draws: parser.Draws to use instead of drawing them.

    Returns:
      (image, labels) in the modes TRAIN and EVAL, {'images': image, 'labels':
      labels} in the others; `image` [H, W, 3], see `labels_spec`.
    """
    parsed = examples.parse(serialized, _FEATURES)
    image = image_decoding.decode_image(parsed['image/encoded'])
    classes = None
    if self._mode != modes.PREDICT:
      classes = self._decoded_classes(parsed, image)
    if self._mode != modes.TRAIN:
      draws = parser.NO_DRAWS
    elif draws is None:
      draws = parser.draw(seed, self._section.aug_scale_min,
                          self._section.aug_scale_max)
    if self._mode == modes.TRAIN and self._section.aug_rand_hflip:
      image, _, classes = preprocess.random_horizontal_flip(
          image, masks=classes, random_value=draws.flip)
    image, image_info = self._to_network_size(image, draws, parsed)
    labels = {}
    if self._mode in (modes.PREDICT, modes.PREDICT_WITH_GT):
      labels[fields.IMAGE_INFO] = image_info
      labels[fields.SOURCE_ID] = source_ids.to_int64(
          source_ids.of_record(parsed))
    if classes is not None:
      labels.update(self._class_labels(classes, image_info))
    return parser.structure(self._mode, tf.cast(image, self._dtype), labels)

  def _to_network_size(self, image, draws, parsed):
    """(normalised image of the output size, image_info)."""
    size = self._section.output_size
    if self._mode == modes.TRAIN or self._section.resize_eval:
      return preprocess.resize_and_crop_image(
          image, size, size, random_scale=draws.scale,
          offset_fraction=draws.offset, normalize=True)
    shape = tf.shape(image)[:2]
    check = tf.debugging.Assert(tf.reduce_all(shape <= size), [tf.strings.join([
        'Image ', source_ids.of_record(parsed), ' has ',
        tf.as_string(shape[0]), ' x ', tf.as_string(shape[1]),
        ' pixels (height x width), more than segmentation_parser.output_size, '
        '%d x %d. Images that are only padded must fit into it: make it '
        'larger, or set segmentation_parser.resize_eval.' % tuple(size)])])
    with tf.control_dependencies([check]):
      missing = tf.constant(size, tf.int32) - shape
    image = tf.pad(preprocess.normalize_image(image),
                   [[0, missing[0]], [0, missing[1]], [0, 0]])
    image.set_shape([size[0], size[1], 3])
    own = tf.cast(shape, tf.float32)
    return image, tf.stack([own, own, tf.ones([2]), tf.zeros([2])])

  def _decoded_classes(self, parsed, image):
    """int32 [1, h, w]: the class of each pixel of the image.

    Running it fails for a label map that is missing, of another size than the
    image, or with numbers that are no class.
    """
    encoded = parsed[CLASSES_KEY]
    source_id = source_ids.of_record(parsed)
    def fail_unless(condition, *texts):
      return tf.debugging.Assert(condition, [tf.strings.join(
          ('Image ', source_id) + texts)])
    present = fail_unless(
        tf.not_equal(encoded, ''), ' has no label map '
        '(image/segmentation/class/encoded).')
    with tf.control_dependencies([present]):
      classes = image_decoding.decode_mask(tf.identity(encoded))
    classes = tf.cast(classes, tf.int32)
    sizes = [tf.as_string(tf.shape(x)[:2]) for x in (classes, image)]
    same_size = fail_unless(
        tf.reduce_all(tf.equal(tf.shape(classes), tf.shape(image)[:2])),
        ' has a label map of another size: ', sizes[0][0], ' x ', sizes[0][1],
        ' pixels (height x width), the image ', sizes[1][0], ' x ',
        sizes[1][1], '.')
    ignored = tf.equal(classes, self._section.ignore_label)
    largest = tf.reduce_max(tf.where(ignored, tf.zeros_like(classes), classes))
    are_classes = fail_unless(
        largest < self._num_classes, ' has pixels of class ',
        tf.as_string(largest), '. architecture.num_classes is %d: classes are '
        '0 to %d, and segmentation_parser.ignore_label is %d.' % (
            self._num_classes, self._num_classes - 1,
            self._section.ignore_label))
    with tf.control_dependencies([same_size, are_classes]):
      return tf.identity(classes)[tf.newaxis]

  def _class_labels(self, classes, image_info):
    """`masks` and `valid_masks` of the classes of an image, [1, h, w]."""
    # One higher, so that what is padded with 0 can be told from class 0.
    masks = preprocess.resize_and_crop_masks(
        classes[..., tf.newaxis] + 1, image_info[2], self._section.output_size,
        image_info[3])[0] - 1
    ignore_label = self._section.ignore_label
    masks = tf.where(tf.equal(masks, -1),
                     ignore_label * tf.ones_like(masks), masks)
    return {fields.MASKS: tf.cast(masks, tf.float32),
            fields.VALID_MASKS: tf.not_equal(masks, ignore_label)}

  def labels_spec(self):
    """The nest of tf.TensorSpec of the labels of one image."""
    spec = {}
    if self._mode in (modes.PREDICT, modes.PREDICT_WITH_GT):
      spec[fields.IMAGE_INFO] = tf.TensorSpec([4, 2], tf.float32)
      spec[fields.SOURCE_ID] = tf.TensorSpec([], tf.int64)
    if self._mode != modes.PREDICT:
      size = list(self._section.output_size) + [1]
      spec[fields.MASKS] = tf.TensorSpec(size, tf.float32)
      spec[fields.VALID_MASKS] = tf.TensorSpec(size, tf.bool)
    return spec

  def padding_example(self):
    """A parsed example without content, to fill up the last batch.

    Returns:
      The structure of `__call__`: a gray image, `source_id` -1, no pixel with
      a class.
    """
    size = list(self._section.output_size)
    labels = tf.nest.map_structure(
        lambda spec: tf.zeros(spec.shape, spec.dtype), self.labels_spec())
    if fields.SOURCE_ID in labels:
      labels[fields.SOURCE_ID] = tf.constant(fields.PADDING_ID, tf.int64)
      sides = [float(side) for side in size]
      labels[fields.IMAGE_INFO] = tf.constant([sides, sides, [1., 1.],
                                               [0., 0.]])
    if fields.MASKS in labels:
      labels[fields.MASKS] += float(self._section.ignore_label)
    return parser.structure(self._mode, tf.zeros(size + [3], self._dtype),
                            labels)


def classes_size(serialized):
  """Height and width of the label map of a record, to see if it can be decoded.

  Args:
    serialized: string [], a tf.train.Example.

  Returns:
    int32 [2]; zeros without a label map.
  """
  encoded = examples.parse(serialized, {
      CLASSES_KEY: _FEATURES[CLASSES_KEY]})[CLASSES_KEY]
  return tf.cond(tf.equal(encoded, ''), lambda: tf.zeros([2], tf.int32),
                 lambda: tf.shape(image_decoding.decode_mask(encoded)))
