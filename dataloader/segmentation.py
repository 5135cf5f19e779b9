"""The parts that only the parser of segmentation has: the classes of pixels.

Source of the augmentation: arXiv:1706.05587, section 4.1.
"""

import tensorflow.compat.v1 as tf

from dataloader import examples
from dataloader import labellers
from dataloader import sample as samples
from dataloader import source_ids
from ops import image_decoding
from ops import preprocess
from utils import fields

CLASSES_KEY = 'image/segmentation/class/encoded'  # PNG bytes
_FEATURES = {CLASSES_KEY: tf.FixedLenFeature([], tf.string, '')}
_FEATURES.update(source_ids.FEATURES)


def decode(serialized, num_classes, ignore_label, has_label_map=True):
  """Decodes a record.

  Args:
    serialized: string [], a tf.train.Example.
    num_classes: int; classes are 0 to num_classes - 1.
    ignore_label: int, the id of pixels without a class.
    has_label_map: whether the label map is read. Running it then fails for one
      that is missing, of another size than the image, or with numbers that are
      not a class.

  Returns:
    Sample with `image`, uint8 [H, W, 3], `label_map`, and `record`: `source_id`
    string [].
  """
  parsed = examples.parse(serialized, _FEATURES)
  image = image_decoding.decode_image(parsed['image/encoded'])
  source_id = source_ids.of_record(parsed)
  label_map = None
  if has_label_map:
    label_map = _label_map(parsed[CLASSES_KEY], image, source_id, num_classes,
                           ignore_label)
  return samples.Sample(image=image, label_map=label_map,
                        record={'source_id': source_id})


def _label_map(encoded, image, source_id, num_classes, ignore_label):
  """int32 [1, h, w]: the class of each pixel of the image; see `decode`."""
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
      ' pixels (height x width), the image ', sizes[1][0], ' x ', sizes[1][1],
      '.')
  ignored = tf.equal(classes, ignore_label)
  largest = tf.reduce_max(tf.where(ignored, tf.zeros_like(classes), classes))
  are_classes = fail_unless(
      largest < num_classes, ' has pixels of class ', tf.as_string(largest),
      '. architecture.num_classes is %d: classes are 0 to %d, and '
      'segmentation_parser.ignore_label is %d.' % (
          num_classes, num_classes - 1, ignore_label))
  with tf.control_dependencies([same_size, are_classes]):
    return tf.identity(classes)[tf.newaxis]


def pad(sample, size):
  """Normalizes an image and pads it; running it fails for one that is larger.

  Args:
    sample: sample.Sample, its image uint8 [H, W, 3].
    size: (height, width), ints, of the network input.

  Returns:
    Sample with image_info, its image float32 [height, width, 3].
  """
  shape = tf.shape(sample.image)[:2]
  check = tf.debugging.Assert(tf.reduce_all(shape <= size), [tf.strings.join([
      'Image ', sample.record['source_id'], ' has ', tf.as_string(shape[0]),
      ' x ', tf.as_string(shape[1]),
      ' pixels (height x width), more than segmentation_parser.output_size, '
      '%d x %d. Images that are only padded must fit into it: make it '
      'larger, or set segmentation_parser.resize_eval.' % tuple(size)])])
  with tf.control_dependencies([check]):
    missing = tf.constant(size, tf.int32) - shape
  image = tf.pad(preprocess.normalize_image(sample.image),
                 [[0, missing[0]], [0, missing[1]], [0, 0]])
  image.set_shape([size[0], size[1], 3])
  own = tf.cast(shape, tf.float32)
  return sample._replace(image=image, image_info=tf.stack(
      [own, own, tf.ones([2]), tf.zeros([2])]))


class ClassMap:
  """The classes of the pixels of the network input.

  `masks` float32 [h, w, 1], the class id, or `ignore_label`; `valid_masks` bool
  [h, w, 1], where there is one.
  """

  def __init__(self, size, ignore_label):
    """Takes the settings.

    Args:
      size: (height, width), ints, of the network input.
      ignore_label: int, the value of `masks` where there is no class.
    """
    self._size = tuple(size)
    self._ignore_label = ignore_label

  def __call__(self, sample):
    # One higher, so that padding with 0 differs from class 0.
    masks = preprocess.resize_and_crop_masks(
        sample.label_map[..., tf.newaxis] + 1, sample.image_info[2], self._size,
        sample.image_info[3])[0] - 1
    masks = tf.where(tf.equal(masks, -1),
                     self._ignore_label * tf.ones_like(masks), masks)
    return {fields.MASKS: tf.cast(masks, tf.float32),
            fields.VALID_MASKS: tf.not_equal(masks, self._ignore_label)}

  def spec(self):
    shape = list(self._size) + [1]
    return {fields.MASKS: tf.TensorSpec(shape, tf.float32),
            fields.VALID_MASKS: tf.TensorSpec(shape, tf.bool)}

  def padding(self):
    return labellers.filled(self.spec(), {fields.MASKS: self._ignore_label})


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
