"""Records of objects: decoded and checked, and the ground truth of metrics."""

from typing import Optional

import tensorflow.compat.v1 as tf

from dataloader import example_decoder
from dataloader import labellers
from dataloader import mask_crops
from dataloader import sample as samples
from dataloader import source_ids
from ops import boxes as box_ops
from ops import preprocess
from utils import fields


def decode(serialized: tf.Tensor, regenerate_source_id: bool = False,
           num_classes: Optional[int] = None,
           mask_rule: Optional[mask_crops.MaskRule] = None,
           has_one_class: bool = False) -> samples.Sample:
  """Decodes a record; running it fails for objects that labels cannot hold.

  Args:
    serialized: string [], a tf.train.Example.
    regenerate_source_id: see ExampleDecoder.
    num_classes: int, background included; None: classes are not checked.
    mask_rule: mask_crops.MaskRule: which objects need a mask; None: masks are
      not read.
    has_one_class: whether all objects count as class 1.

  Returns:
    Sample with the content of the record: an image uint8 [H, W, 3] and K
    objects with normalized boxes.
  """
  decoded = example_decoder.ExampleDecoder(
      mask_rule is not None, regenerate_source_id,
      decode_masks=False).decode(serialized)
  if has_one_class:
    classes = decoded['groundtruth_classes']
    decoded = dict(decoded, groundtruth_classes=tf.ones_like(classes))
  if num_classes is not None:
    decoded = check_classes(decoded, num_classes)
  if mask_rule is not None:
    decoded = mask_crops.check_masks(decoded, *mask_rule)
  return make_sample(decoded)


def make_sample(decoded: dict) -> samples.Sample:
  """Sample of a dict from ExampleDecoder; boxes stay normalized."""
  return samples.Sample(
      decoded['image'], decoded['groundtruth_boxes'],
      decoded['groundtruth_classes'],
      decoded.get('groundtruth_instance_masks_png'), tf.constant(False),
      decoded['groundtruth_is_crowd'], decoded['groundtruth_area'],
      record=decoded)


class Groundtruths:
  """`groundtruths`: the objects of a record for evaluation, K at most.

  A dict: `source_id`, `height`, `width` int64 []; `num_detections` int32 [1],
  the number of objects; `boxes` float32 [K, 4], yxyx, pixels of the original
  image; `classes` int64, `areas` float32, all three padded with -1, and
  `is_crowds` int32, padded with 0, all [K].
  """

  def __init__(self, max_num_instances, key, repeats_count=False):
    """Takes its size; running it fails for a record with more objects.

    Args:
      max_num_instances: int, K.
      key: configuration key of that number.
      repeats_count: whether the count has a second name, `num_groundtruths`.
    """
    self._max_num_instances = max_num_instances
    self._key = key
    self._repeats_count = repeats_count

  def __call__(self, sample):
    decoded, count = sample.record, self._max_num_instances
    boxes = box_ops.denormalize_boxes(decoded['groundtruth_boxes'],
                                      tf.shape(decoded['image'])[:2])
    boxes = check_capacity(boxes, decoded['source_id'], count, self._key,
                           'evaluation')
    num_objects = tf.shape(boxes)[0]
    def pad(values, value=-1):
      return preprocess.pad_or_clip(values, count, value)
    return self._labels({
        'source_id': source_ids.to_int64(decoded['source_id']),
        'height': decoded['height'],
        'width': decoded['width'],
        'num_detections': num_objects[tf.newaxis],
        'boxes': pad(boxes),
        'classes': pad(decoded['groundtruth_classes']),
        'areas': pad(decoded['groundtruth_area']),
        'is_crowds': pad(tf.cast(decoded['groundtruth_is_crowd'], tf.int32), 0),
    })

  def _labels(self, content):
    if self._repeats_count:
      content = dict(content, num_groundtruths=content['num_detections'])
    return {fields.GROUNDTRUTHS: content}

  def spec(self):
    spec = {'source_id': tf.TensorSpec([], tf.int64),
            'height': tf.TensorSpec([], tf.int64),
            'width': tf.TensorSpec([], tf.int64),
            'num_detections': tf.TensorSpec([1], tf.int32)}
    for name, shape, dtype in (('boxes', [4], tf.float32),
                               ('classes', [], tf.int64),
                               ('areas', [], tf.float32),
                               ('is_crowds', [], tf.int32)):
      spec[name] = tf.TensorSpec([self._max_num_instances] + shape, dtype)
    return self._labels(spec)

  def padding(self):
    return {fields.GROUNDTRUTHS: labellers.filled(
        self.spec()[fields.GROUNDTRUTHS], {
            'source_id': fields.PADDING_ID, 'boxes': -1, 'classes': -1,
            'areas': -1})}


def check_capacity(boxes, source_id, max_num_instances, key, purpose):
  """Returns `boxes`; running it fails if the labels cannot hold them all.

  Args:
    boxes: [K, 4], in any space.
    source_id: string [].
    max_num_instances: int.
    key: configuration key of that number.
    purpose: 'training' or 'evaluation', for the error.
  """
  num_objects = tf.shape(boxes)[0]
  check = tf.debugging.Assert(num_objects <= max_num_instances, [
      tf.strings.join([
          'Image ', source_id, ' has ', tf.as_string(num_objects),
          ' objects; %s is %d, so some would be missing from the %s. Raise it '
          'to at least the largest number of objects in an image.' % (
              key, max_num_instances, purpose)])])
  with tf.control_dependencies([check]):
    return tf.identity(boxes)


def check_classes(decoded, num_classes):
  """Returns `decoded`; running it fails for class ids out of range.

  Args:
    decoded: from ExampleDecoder.
    num_classes: int, background included.
  """
  classes = decoded['groundtruth_classes']
  is_wrong = tf.logical_or(classes < 1, classes >= num_classes)
  # The first wrong id. Without objects argmax would fail, hence the 1 in front.
  padded = tf.concat([[1], classes], axis=0)
  wrong = padded[tf.argmax(tf.concat([[.5], tf.to_float(is_wrong)], axis=0))]
  check = tf.debugging.Assert(tf.logical_not(tf.reduce_any(is_wrong)), [
      tf.strings.join([
          'Image ', decoded['source_id'], ' has an object of class ',
          tf.as_string(wrong), '. architecture.num_classes is %d: classes are '
          '1 to %d, and 0 is the background.' % (num_classes,
                                                 num_classes - 1)])])
  with tf.control_dependencies([check]):
    return dict(decoded, groundtruth_classes=tf.identity(classes))
