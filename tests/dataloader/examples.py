"""Small records for the tests of this folder."""

import io

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from utils import mask_files


def image(height, width, seed=0):
  """Random image uint8 [height, width, 3]."""
  return np.random.RandomState(seed).randint(
      0, 256, [height, width, 3]).astype(np.uint8)


def encode(array, image_format='PNG'):
  """Bytes of a file of this image."""
  stream = io.BytesIO()
  Image.fromarray(array).save(stream, image_format)
  return stream.getvalue()


def serialize(image=None, boxes=(), classes=(), source_id='7', masks=(),
              mask_pngs=(), is_crowd=(), area=(), size=None, encoded=None,
              image_format='PNG', filename=None):
  """A serialized tf.train.Example.

  Args:
    image: uint8 [H, W, 3], or None with `encoded`.
    boxes: [[ymin, xmin, ymax, xmax]], 0..1.
    classes: [int].
    source_id: str.
    masks: [uint8 [H, W]].
    mask_pngs: [bytes], instead of `masks`.
    is_crowd: [int].
    area: [float].
    size: (height, width) to store, or None to leave them out.
    encoded: bytes to use instead of an image.
    image_format: of Pillow.
    filename: str or None.

  Returns:
    bytes.
  """
  boxes = np.reshape(np.array(boxes, np.float32), [-1, 4])
  features = {
      'image/encoded': _bytes([encoded if encoded is not None else
                               encode(image, image_format)]),
      'image/source_id': _bytes([source_id.encode()]),
      'image/object/class/label': _ints(classes),
  }
  for i, side in enumerate(('ymin', 'xmin', 'ymax', 'xmax')):
    features['image/object/bbox/' + side] = tf.train.Feature(
        float_list=tf.train.FloatList(value=boxes[:, i]))
  if size:
    features['image/height'] = _ints([size[0]])
    features['image/width'] = _ints([size[1]])
  if len(is_crowd):
    features['image/object/is_crowd'] = _ints(is_crowd)
  if len(area):
    features['image/object/area'] = tf.train.Feature(
        float_list=tf.train.FloatList(value=area))
  if filename:
    features['image/filename'] = _bytes([filename.encode()])
  pngs = list(mask_pngs) + [encode(m) for m in masks]
  if pngs:
    features['image/object/mask'] = _bytes(pngs)
  return tf.train.Example(features=tf.train.Features(
      feature=features)).SerializeToString()


def with_cut_masks(serialized, keeps_whole=True):
  """A record with its masks cut to their objects, too, or only so."""
  example = tf.train.Example.FromString(serialized)
  features = example.features.feature
  features['image/object/cut_mask'].bytes_list.value.extend(
      mask_files.encode_cut(np.array(Image.open(io.BytesIO(png))))
      for png in features['image/object/mask'].bytes_list.value)
  if not keeps_whole:
    del features['image/object/mask']
  return example.SerializeToString()


def write(path, serialized):
  """Writes records to a TFRecord file; returns its path as a string."""
  with tf.io.TFRecordWriter(str(path)) as writer:
    for record in serialized:
      writer.write(record)
  return str(path)


def _ints(values):
  return tf.train.Feature(int64_list=tf.train.Int64List(
      value=[int(v) for v in values]))


def _bytes(values):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
