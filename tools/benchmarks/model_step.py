"""One training or prediction step of a model, on a made-up image."""

import io
from typing import Any

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import factory as data_factory
from modeling import factory as model_factory
from tools.benchmarks import timing
from utils import modes

_HEIGHT, _WIDTH, _NUM_OBJECTS = 480, 640, 7  # about COCO's means


def build(config: base.Config, job: str, batch_size: int) -> Any:
  """Builds a step in the default graph.

  Args:
    config: an experiment of configs.factory.
    job: 'train' or 'predict'.
    batch_size: int.

  Returns:
    Nest of what to compute, for timing.Job.
  """
  model_fn = model_factory.build_model_fn(config)
  params = {'batch_size': batch_size}
  if job == 'train':
    images, labels = tf.nest.map_structure(
        timing.stored, example_batch(config, modes.TRAIN, batch_size))
    spec = model_fn(images, labels, tf.estimator.ModeKeys.TRAIN, params)
    return [spec.train_op, spec.loss]
  features = tf.nest.map_structure(
      timing.stored, example_batch(config, modes.PREDICT, batch_size))
  return model_fn(
      features, None, tf.estimator.ModeKeys.PREDICT, params).predictions


def example_batch(config: base.Config, mode: str, batch_size: int) -> Any:
  """What the model's own parser makes of `random_record`.

  Args:
    config: an experiment of configs.factory.
    mode: one of utils.modes.
    batch_size: int; all images of the batch are alike.

  Returns:
    The parser's structure of NumPy arrays, with the batch in front.
  """
  record = random_record(config.architecture.num_classes)
  parser = data_factory.build_parser(config, mode)
  with tf.Graph().as_default(), tf.Session() as session:
    parsed = session.run(parser(tf.constant(record), seed=tf.constant([0, 1])))
  return tf.nest.map_structure(
      lambda value: np.stack([value] * batch_size), parsed)


def random_record(num_classes: int) -> bytes:
  """A serialized tf.train.Example of a photograph's size, for every model.

  Args:
    num_classes: int, background included.

  Returns:
    bytes, the same for every call.
  """
  rng = np.random.RandomState(0)
  # Coarse noise: compresses to the size of a photograph.
  image = np.kron(rng.randint(0, 256, [_HEIGHT // 8, _WIDTH // 8, 3]),
                  np.ones([8, 8, 1]))
  low = rng.uniform(0., .6, [_NUM_OBJECTS, 2])
  high = low + rng.uniform(.1, .4, [_NUM_OBJECTS, 2])
  return tf.train.Example(features=tf.train.Features(feature={
      'image/encoded': _bytes([_encode(image, 'JPEG')]),
      'image/source_id': _bytes([b'1']),
      'image/height': _ints([_HEIGHT]),
      'image/width': _ints([_WIDTH]),
      'image/class/label': _ints([1]),
      'image/segmentation/class/encoded': _bytes([_encode(
          image[:, :, 0] % num_classes, 'PNG')]),
      'image/object/class/label': _ints(
          rng.randint(1, num_classes, [_NUM_OBJECTS])),
      'image/object/bbox/ymin': _floats(low[:, 0]),
      'image/object/bbox/xmin': _floats(low[:, 1]),
      'image/object/bbox/ymax': _floats(high[:, 0]),
      'image/object/bbox/xmax': _floats(high[:, 1]),
      'image/object/mask': _bytes(
          [_box_mask(*corners) for corners in zip(low, high)]),
  })).SerializeToString()


def _box_mask(low, high):
  """PNG of a mask that fills a box with the corners (y, x), 0..1."""
  rows = (np.arange(_HEIGHT) + .5) / _HEIGHT
  columns = (np.arange(_WIDTH) + .5) / _WIDTH
  return _encode(np.outer((low[0] < rows) & (rows < high[0]),
                          (low[1] < columns) & (columns < high[1])), 'PNG')


def _encode(array, image_format):
  stream = io.BytesIO()
  Image.fromarray(array.astype(np.uint8)).save(stream, image_format)
  return stream.getvalue()


def _bytes(values):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _ints(values):
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _floats(values):
  return tf.train.Feature(float_list=tf.train.FloatList(value=values))
