"""Exports with the public names, whose answers a test knows beforehand."""

import io

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

NUM_BOXES = 3
CLASSES = 4


def detector(folder, batch_size=None, masks=False):
  """Exports a model that finds boxes of an image's brightness.

  Of an image of the size (height, width) and mean m, box i is (i, i, height,
  width), its class i + 1, its score m / 255 / (i + 1).

  Args:
    folder: pathlib.Path, that is not there.
    batch_size: int, or None: free.
    masks: bool, whether it has masks: the left half of each box.
  """
  def answers(fed):
    info, mean = tf.map_fn(_look, fed, dtype=(tf.float32, tf.float32))
    count = tf.shape(mean)[0]
    numbers = tf.range(float(NUM_BOXES))
    ends = tf.tile(info[:, tf.newaxis, 0], [1, NUM_BOXES, 1])
    starts = tf.tile(tf.stack([numbers] * 2, axis=1)[tf.newaxis], [count, 1, 1])
    found = {
        'num_detections': tf.fill([count], NUM_BOXES),
        'detection_boxes': tf.concat([starts, ends], axis=2),
        'detection_classes': tf.tile(
            [tf.range(1, NUM_BOXES + 1)], [count, 1]),
        'detection_scores': mean[:, tf.newaxis] / 255. / (numbers + 1.),
        'image_info': info}
    if masks:
      half = tf.constant(np.tile(np.arange(8) < 4, [8, 1]), tf.float32)
      found['detection_masks'] = tf.tile(
          half[tf.newaxis, tf.newaxis], [count, NUM_BOXES, 1, 1])
    return found
  _export(folder, 'input', batch_size, answers)


def classifier(folder, batch_size=None):
  """Exports a model whose probability of class i is red[i] / sum(red).

  `red` are the red values of the first pixels.
  """
  def answers(fed):
    red = tf.map_fn(lambda one: tf.cast(
        _decode(one)[0, :CLASSES, 0], tf.float32), fed, dtype=tf.float32)
    red = tf.reshape(red, [-1, CLASSES])
    return {'probabilities': red / tf.reduce_sum(red, axis=1, keepdims=True),
            'logits': red,
            'classes': tf.argmax(red, axis=1, output_type=tf.int32)}
  _export(folder, 'input', batch_size, answers)


def raw(folder, batch_size=None):
  """Exports a model of float images [8, 8, 3]: one output, their mean."""
  with tf.Graph().as_default(), tf.Session() as session:
    fed = tf.placeholder(tf.float32, [batch_size, 8, 8, 3])
    _save(folder, session, {'input': fed},
          {'detection_scores': tf.reduce_mean(fed, axis=[1, 2, 3])})


def segmenter(folder, batch_size=None):
  """Exports a model with the signature of segmentation.

  `category_bytes` are the image's own bytes, `key` is passed through.
  """
  with tf.Graph().as_default(), tf.Session() as session:
    fed = tf.placeholder(tf.string, [batch_size])
    key = tf.placeholder_with_default(tf.constant(['default']), [None])
    thresholds = tf.placeholder_with_default(tf.constant([0.]), [None])
    _save(folder, session,
          {'image_bytes': fed, 'key': key, 'score_thresholds': thresholds},
          {'category_bytes': tf.identity(fed), 'key': tf.identity(key)})


def _look(encoded):
  """(image_info [4, 2], mean []) of an encoded image."""
  image = _decode(encoded)
  size = tf.cast(tf.shape(image)[:2], tf.float32)
  info = tf.stack([size, size, tf.ones([2]), tf.zeros([2])])
  return info, tf.reduce_mean(tf.cast(image, tf.float32))


def _decode(encoded):
  image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
  image.set_shape([None, None, 3])
  return image


def _export(folder, name, batch_size, answers):
  with tf.Graph().as_default(), tf.Session() as session:
    fed = tf.placeholder(tf.string, [batch_size])
    _save(folder, session, {name: fed}, answers(fed))


def _save(folder, session, inputs, outputs):
  builder = tf.saved_model.Builder(str(folder))
  builder.add_meta_graph_and_variables(
      session, [tf.saved_model.tag_constants.SERVING], {
          'serving_default': tf.saved_model.predict_signature_def(
              inputs, outputs)})
  builder.save()


def png(height=20, width=30, value=128, **options):
  """bytes of a file: a plain image whose mean is `value`."""
  return encoded(np.full([height, width, 3], value, np.uint8), 'png',
                 **options)


def encoded(pixels, image_format='png', **options):
  """bytes of a file."""
  stream = io.BytesIO()
  Image.fromarray(pixels).save(stream, image_format, **options)
  return stream.getvalue()
