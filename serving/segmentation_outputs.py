"""Label maps of the network's input as PNGs of the images, in a graph."""

from typing import Mapping, Tuple

import tensorflow.compat.v1 as tf

from ops import tensor_types
from serving import networks
from utils import fields

_LARGEST = 255  # of a PNG with 8 bits
# Keys of the published signature; the tensors are called the same.
KEY, THRESHOLDS = 'key', 'score_thresholds'
CATEGORY_BYTES, SCORE_BYTES = 'category_bytes', 'score_bytes'


def with_pngs(
    found: Mapping[str, tf.Tensor],
    image_info: tf.Tensor) -> Tuple[tensor_types.Tensors, tensor_types.Tensors]:
  """The signature that segmentation models are published with.

  Args:
    found: result of networks.outputs.
    image_info: float32 [B, 4, 2].

  Returns:
    {key: tensor} of further inputs: `key` string [None], passed through, and
    `score_thresholds` float32 [None], one for each image or one for all.
    {key: tensor} of the outputs: `category_bytes` string [B], a PNG of the
    image's size with the class of each pixel (16 bits where there are more
    than 256), `score_bytes` string [B], a PNG of floor(255 * probability of
    that class) where it is above the threshold, else 0; `key`, `image_info`.
  """
  key = tf.placeholder_with_default(tf.constant(['default']), [None], KEY)
  thresholds = tf.placeholder_with_default(
      tf.constant([0.]), [None], 'Placeholder_1')
  batch_size = tf.shape(image_info)[0]
  of_images = tf.cond(
      tf.equal(tf.size(thresholds), 1),
      lambda: tf.tile(thresholds, [batch_size]), lambda: thresholds)

  def encode(values):
    classes, scores, info, threshold = values
    classes = to_image_size(classes, info)
    scores = to_image_size(scores, info)
    scores = tf.where(scores > threshold, scores, tf.zeros_like(scores))
    scores = tf.cast(tf.floor(scores * 255.), tf.uint8)
    largest = tf.reduce_max(classes)
    png = tf.cond(largest > _LARGEST,
                  lambda: tf.image.encode_png(tf.cast(classes, tf.uint16)),
                  lambda: tf.image.encode_png(tf.cast(classes, tf.uint8)))
    return png, tf.image.encode_png(scores)

  with tf.name_scope('encode_label_maps'):
    pngs, score_pngs = tf.map_fn(
        encode, (found[fields.MASKS], found[networks.PIXEL_SCORES], image_info,
                 of_images),
        dtype=(tf.string, tf.string), back_prop=False)
  outputs = {CATEGORY_BYTES: tf.identity(pngs, CATEGORY_BYTES),
             SCORE_BYTES: tf.identity(score_pngs, SCORE_BYTES),
             KEY: tf.identity(key, KEY),
             fields.IMAGE_INFO: tf.identity(image_info, fields.IMAGE_INFO)}
  for name in (CATEGORY_BYTES, SCORE_BYTES):
    outputs[name].set_shape(image_info.shape[:1])
  return {KEY: key, THRESHOLDS: thresholds}, outputs


def to_image_size(values: tf.Tensor, image_info: tf.Tensor) -> tf.Tensor:
  """evaluation.segmentation_results.to_image_size, in a graph.

  Args:
    values: [h, w, 1], of the network's input.
    image_info: float32 [4, 2].

  Returns:
    [H, W, 1]; the part of an image beyond the network's input is 0.
  """
  size = tf.cast(tf.round(image_info[0]), tf.int32)
  scaled = tf.cast(tf.round(image_info[0] * image_info[2]), tf.int32)
  for axis in range(2):
    # The step of OpenCV's nearest neighbour, in its rounding.
    step = 1. / (tf.cast(size[axis], tf.float64)
                 / tf.cast(scaled[axis], tf.float64))
    rows = tf.cast(tf.floor(
        tf.cast(tf.range(size[axis]), tf.float64) * step), tf.int32)
    rows = tf.minimum(rows, scaled[axis] - 1)
    is_there = rows < tf.shape(values)[axis]
    values = tf.gather(values, tf.where(is_there, rows, tf.zeros_like(rows)),
                       axis=axis)
    shape = [-1, 1, 1] if axis == 0 else [1, -1, 1]
    values *= tf.reshape(tf.cast(is_there, values.dtype), shape)
  return values
