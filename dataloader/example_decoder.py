"""Decodes one serialized tf.train.Example of detection data.

The feature keys are public: records made by upstream's converters, or for its
programs, are read unchanged.
"""

import tensorflow.compat.v1 as tf

from dataloader import examples
from dataloader import source_ids
from ops import image_decoding
from ops import tensor_types

_FEATURES = {
    'image/encoded': tf.FixedLenFeature([], tf.string),
    'image/source_id': tf.FixedLenFeature([], tf.string, ''),
    'image/object/bbox/ymin': tf.VarLenFeature(tf.float32),
    'image/object/bbox/xmin': tf.VarLenFeature(tf.float32),
    'image/object/bbox/ymax': tf.VarLenFeature(tf.float32),
    'image/object/bbox/xmax': tf.VarLenFeature(tf.float32),
    'image/object/class/label': tf.VarLenFeature(tf.int64),
    'image/object/area': tf.VarLenFeature(tf.float32),
    'image/object/is_crowd': tf.VarLenFeature(tf.int64),
}
_SIZE_FEATURES = {
    'image/height': tf.FixedLenFeature([], tf.int64, -1),
    'image/width': tf.FixedLenFeature([], tf.int64, -1),
}
_MASK, _CUT_MASK = 'image/object/mask', 'image/object/cut_mask'
_MASK_FEATURES = {key: tf.VarLenFeature(tf.string)
                  for key in (_MASK, _CUT_MASK)}


class ExampleDecoder:
  """Image, boxes, classes and, if asked for, masks of a record."""

  def __init__(self, include_mask: bool = False,
               regenerate_source_id: bool = False,
               decode_masks: bool = True) -> None:
    """Takes the settings.

    Args:
      include_mask: whether masks are read (False ignores them).
      regenerate_source_id: True takes the hash of the image as its id even
        where the record has an id.
      decode_masks: False returns only the PNG bytes of the masks, cut to their
        objects where the record has them: the pixels of all objects take much
        memory.
    """
    self._include_mask = include_mask
    self._decode_masks = decode_masks
    self._regenerate_source_id = regenerate_source_id

  def decode(self, serialized: tf.Tensor) -> tensor_types.Tensors:
    """Decodes a record.

    Args:
      serialized: string [], a tf.train.Example.

    Returns:
      dict: `image` uint8 [H, W, 3]; `source_id` string []; `height`, `width`
      int64 []; `groundtruth_boxes` float32 [K, 4], yxyx, 0..1;
      `groundtruth_classes` int64 [K]; `groundtruth_is_crowd` bool [K];
      `groundtruth_area` float32 [K], pixels; with masks also
      `groundtruth_instance_masks_png` string [K] and, unless they are not to
      be decoded, `groundtruth_instance_masks` float32 [K, H, W], 0 or 1.
    """
    with tf.name_scope('decode_example'):
      parsed = self._parse(serialized)
      image = image_decoding.decode_image(parsed['image/encoded'])
      height, width = _image_size(parsed, image)
      boxes = tf.stack([parsed['image/object/bbox/' + side] for side in
                        ('ymin', 'xmin', 'ymax', 'xmax')], axis=-1)
      decoded = {
          'image': image,
          'source_id': self._source_id(parsed),
          'height': height,
          'width': width,
          'groundtruth_boxes': boxes,
          'groundtruth_classes': parsed['image/object/class/label'],
          'groundtruth_is_crowd': _is_crowd(parsed),
          'groundtruth_area': _area(parsed, boxes, height, width),
      }
      if self._include_mask:
        decoded['groundtruth_instance_masks_png'] = self._mask_pngs(parsed)
        if self._decode_masks:
          decoded['groundtruth_instance_masks'] = _decode_masks(
              parsed[_MASK], height, width)
      return decoded

  def _parse(self, serialized):
    """{feature key: dense tensor}."""
    features = dict(_FEATURES, **_SIZE_FEATURES)
    if self._include_mask:
      features.update(_MASK_FEATURES)
    parsed = examples.parse(serialized, features)
    # The values of a sparse vector without gaps are the vector.
    return {key: value.values if isinstance(value, tf.SparseTensor) else value
            for key, value in parsed.items()}

  def _mask_pngs(self, parsed):
    """string [K]; cut to their objects if all are, and if that will do."""
    if self._decode_masks:
      return parsed[_MASK]
    num_objects = tf.size(parsed['image/object/class/label'])
    return tf.cond(tf.equal(tf.size(parsed[_CUT_MASK]), num_objects),
                   lambda: parsed[_CUT_MASK], lambda: parsed[_MASK])

  def _source_id(self, parsed):
    """Id of the record; where it has none, the hash of the image."""
    generated = tf.as_string(tf.strings.to_hash_bucket_fast(
        parsed['image/encoded'], source_ids.NUM_HASHES))
    if self._regenerate_source_id:
      return generated
    source_id = parsed['image/source_id']
    return tf.where(tf.equal(source_id, ''), generated, source_id)


def _image_size(parsed, image):
  """Stored height and width, int64 []; of the image if one is missing."""
  stored = tf.stack([parsed['image/height'], parsed['image/width']])
  decoded = tf.shape(image, out_type=tf.int64)[:2]
  return tf.unstack(tf.where(tf.fill([2], tf.reduce_any(stored < 1)),
                             decoded, stored))


def _is_crowd(parsed):
  """bool [K]; a record without the list has no crowds."""
  is_crowd = tf.cast(parsed['image/object/is_crowd'], tf.bool)
  classes = parsed['image/object/class/label']
  return tf.cond(tf.size(is_crowd) > 0, lambda: is_crowd,
                 lambda: tf.zeros_like(classes, tf.bool))


def _area(parsed, boxes, height, width):
  """Areas in pixels, float32 [K]; of the boxes where the record has none."""
  def area_of_boxes():
    sides = boxes[:, 2:] - boxes[:, :2]
    return sides[:, 0] * sides[:, 1] * tf.cast(height * width, tf.float32)
  area = parsed['image/object/area']
  return tf.cond(tf.size(area) > 0, lambda: area, area_of_boxes)


def _decode_masks(pngs, height, width):
  """Masks float32 [K, H, W] from PNG bytes, whatever value marks the inside."""
  def decode(png):
    # Some converters write 255 for the inside.
    return tf.cast(image_decoding.decode_mask(png) > 0, tf.float32)
  # map_fn over no element cannot tell the shape of one.
  masks = tf.cond(tf.size(pngs) > 0,
                  lambda: tf.map_fn(decode, pngs, dtype=tf.float32),
                  lambda: tf.zeros(tf.stack([0, height, width])))
  masks.set_shape([None, None, None])
  return masks
