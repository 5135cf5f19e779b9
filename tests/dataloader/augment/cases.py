"""Draws that are fixed, and graphs that run many cases of one kind."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader.augment import annotated_image
from dataloader.augment import autoaugment
from dataloader.augment import operations

# Of a warp, so many pixels may lie on a tie between two neighbours.
_EQUAL_PIXELS = 0.99


def fixed_draws(**values):
  """Draws of these values, by purpose; 'order' keeps the order."""
  def draw(purpose, shape):
    if purpose == 'order':
      return tf.cast(tf.range(shape[0]), tf.float32)
    return tf.fill(shape, tf.cast(values[purpose], tf.float32))
  return draw


class _Graph:
  """A graph of its own with placeholders of an image and of numbers."""

  def __init__(self, build, numbers):
    """Takes (AnnotatedImage, {name: float32 []}) -> AnnotatedImage."""
    with tf.Graph().as_default() as graph:
      self._annotated = annotated_image.AnnotatedImage(
          tf.placeholder(tf.uint8, [None, None, 3]),
          tf.placeholder(tf.float32, [None, 4]),
          tf.placeholder(tf.int32, [None, None]))
      self._numbers = {name: tf.placeholder(tf.float32, [])
                       for name in numbers}
      self._result = build(self._annotated, self._numbers)
      self._session = tf.Session(graph=graph)

  def __call__(self, image, boxes, **numbers):
    """AnnotatedImage of arrays."""
    height, width = image.shape[:2]
    feed = {self._annotated.image: image, self._annotated.boxes: boxes,
            self._annotated.origins: np.arange(height * width).reshape(
                height, width)}
    feed.update({self._numbers[k]: v for k, v in numbers.items()})
    return self._session.run(self._result, feed)


@functools.lru_cache(None)
def operation(name, legacy):
  """Runs an operation on (image, boxes, value, position).

  Its result is an AnnotatedImage of arrays.

  An operation on boxes changes all of them.
  """
  def build(annotated, numbers):
    return operations.apply(
        name, annotated, numbers['value'], tf.constant(3.),
        fixed_draws(apply=0., position=numbers['position']), legacy)
  return _Graph(build, ['value', 'position'])


@functools.lru_cache(None)
def policy(name, legacy):
  """Runs a policy: (image, boxes, sub_policy, sign, apply, position)."""
  names = ['sub_policy', 'sign', 'apply', 'position']
  return _Graph(lambda annotated, numbers: autoaugment.augment(
      annotated, name, fixed_draws(**numbers), legacy=legacy), names)


def check_image(actual, expected):
  """Fails unless the images are equal but for a few pixels."""
  assert actual.dtype == np.uint8 and actual.shape == expected.shape
  equal = np.mean(np.all(actual == expected, axis=-1))
  assert equal >= _EQUAL_PIXELS, equal
