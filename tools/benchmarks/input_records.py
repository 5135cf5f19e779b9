"""Made-up records for timing the input pipeline."""

import cv2
import numpy as np
import tensorflow.compat.v1 as tf

from utils import mask_files

_HEIGHT, _WIDTH = 480, 640
_QUALITY = 95
_NOISE = 7.2  # grey levels; with this quality an image takes about 72 KiB
_NUM_CLASSES = 90


def write(path: str, num_records: int, num_objects: float,
          seed: int = 0, cut_masks: bool = False) -> float:
  """Writes records of images with masks, like photographs in size.

  Args:
    path: the path of the TFRecord file.
    num_records: int.
    num_objects: float, mean number of objects of an image.
    seed: int.
    cut_masks: whether masks are there cut to their objects, too.

  Returns:
    float, mean size of a JPEG file in KiB.
  """
  random = np.random.RandomState(seed)
  total = 0
  with tf.io.TFRecordWriter(path) as writer:
    for i in range(num_records):
      # 7, 7, ..., 6 of a mean of 6.9.
      count = int((i + 1) * num_objects) - int(i * num_objects)
      jpeg = _jpeg(random)
      total += len(jpeg)
      writer.write(_example(random, jpeg, i, count, cut_masks))
  return total / 1024. / num_records


def _jpeg(random):
  """Coarse shapes with noise, as bytes."""
  coarse = random.randint(0, 256, [12, 16, 3]).astype(np.uint8)
  image = cv2.resize(coarse, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
  noisy = image + random.normal(0., _NOISE, image.shape)
  noisy = cv2.GaussianBlur(noisy, (3, 3), 0)
  return cv2.imencode('.jpg', np.clip(noisy, 0, 255).astype(np.uint8),
                      [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()


def _example(random, jpeg, number, count, cut_masks):
  """Serialized tf.train.Example with `count` elliptic objects."""
  # As in COCO, most objects are small.
  sizes = np.exp(random.uniform(np.log(.03), np.log(.6), [count, 2]))
  centers = sizes / 2 + random.uniform(size=[count, 2]) * (1 - sizes)
  boxes = np.concatenate([centers - sizes / 2, centers + sizes / 2], axis=1)
  masks = [_ellipse(box) for box in boxes]
  def ints(values):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
  def texts(values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
  def floats(values):
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))
  features = {
      'image/encoded': texts([jpeg]),
      'image/source_id': texts([str(number).encode()]),
      'image/height': ints([_HEIGHT]), 'image/width': ints([_WIDTH]),
      'image/class/label': ints([number % 1000]),  # of a classifier
      'image/object/class/label': ints(
          random.randint(1, _NUM_CLASSES + 1, count)),
      'image/object/is_crowd': ints([0] * count),
      'image/object/mask': texts([mask_files.encode(m) for m in masks])}
  if cut_masks:
    features['image/object/cut_mask'] = texts(
        [mask_files.encode_cut(m) for m in masks])
  for i, side in enumerate(('ymin', 'xmin', 'ymax', 'xmax')):
    features['image/object/bbox/' + side] = floats(boxes[:, i])
  return tf.train.Example(features=tf.train.Features(
      feature=features)).SerializeToString()


def _ellipse(box):
  """Mask uint8 [H, W] of the ellipse in a box of 0..1."""
  y0, x0, y1, x1 = box * [_HEIGHT, _WIDTH, _HEIGHT, _WIDTH]
  mask = np.zeros([_HEIGHT, _WIDTH], np.uint8)
  cv2.ellipse(mask, (int((x0 + x1) / 2), int((y0 + y1) / 2)),
              (int((x1 - x0) / 2), int((y1 - y0) / 2)), 0, 0, 360, 1, -1)
  return mask
