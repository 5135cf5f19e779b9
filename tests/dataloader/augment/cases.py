"""Graphs that run many cases of one kind."""

import functools

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader.augment import annotated_image
from dataloader.augment import autoaugment
from dataloader.augment import operations
from tests.dataloader import fixed_draws

# Rotations and shears take the nearest pixel, and for some two are equally
# near: 5 of 3072 at most in the reference's cases, on both runtimes.
_TIES = 0.003
_WITH_TIES = ('Rotate', 'Shear')


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
        fixed_draws.FixedDraws(apply=0., position=numbers['position']), legacy)
  return _Graph(build, ['value', 'position'])


@functools.lru_cache(None)
def policy(name, legacy):
  """Runs a policy: (image, boxes, sub_policy, sign, apply, position)."""
  names = ['sub_policy', 'sign', 'apply', 'position']
  return _Graph(lambda annotated, numbers: autoaugment.augment(
      annotated, name, fixed_draws.FixedDraws(**numbers), legacy=legacy), names)


def limits(params):
  """operations.Limits of the parameters of a file of the reference."""
  return operations.Limits(*[params[name] for name in (
      'translate_const', 'translate_bbox_const', 'cutout_const',
      'cutout_bbox_const', 'cutout_max_pad_fraction')])


def check_image(actual, expected, operation_names):
  """Fails unless the images are equal, but for ties of warps.

  Args:
    actual: uint8 [H, W, 3].
    expected: of the reference.
    operation_names: of the operations that were applied.
  """
  assert actual.dtype == np.uint8 and actual.shape == expected.shape
  differing = np.mean(np.any(actual != expected, axis=-1))
  has_ties = any(name.startswith(_WITH_TIES) for name in operation_names)
  assert differing <= (_TIES if has_ties else 0.), differing
