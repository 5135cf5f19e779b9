"""AutoAugment and RandAugment: random sequences of operations."""

import collections

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader.augment import annotated_image
from dataloader.augment import operations
from dataloader.augment import policies
from utils import registry

# One operation on an image. names: those to choose from. index: int32 [], the
# chosen one; len(names): none. argument, probability: float32 [].
_Step = collections.namedtuple('_Step', 'names index argument probability')

RANDAUGMENT = 'randaugment'
NAMES = tuple(sorted(policies.POLICIES)) + (RANDAUGMENT,)


def augment(annotated, policy, draws, num_layers=2, magnitude=10.,
            legacy=False):
  """Augments an image with its boxes, and masks by way of the origins.

  Args:
    annotated: annotated_image.AnnotatedImage, uint8, RGB; that of a classifier
      has no boxes.
    policy: one of NAMES; for classifiers 'imagenet', the published one, or
      'randaugment'.
    draws: dataloader.draws.Draws of the image.
    num_layers: int, how many operations RandAugment applies in sequence.
    magnitude: float, 0 to 10, strength of the operations of RandAugment.
    legacy: whether contrast, solarisation and boxes are as upstream, defects
      included; see docs/augmentation.md.

  Returns:
    AnnotatedImage.

  Raises:
    ValueError: listing the policies, for one that does not exist.
  """
  registry.pick(NAMES, policy, 'The augmentation policy')
  with tf.name_scope('augment'):
    if policy == RANDAUGMENT:
      has_boxes = annotated.boxes is not None
      steps = _random_steps(
          policies.RANDAUGMENT_WITH_BOXES if has_boxes else
          policies.RANDAUGMENT, num_layers, magnitude,
          operations.DETECTION_LIMITS if has_boxes else
          operations.SMALL_LIMITS, draws)
    else:
      steps = _drawn_steps(policies.POLICIES[policy],
                           operations.DETECTION_LIMITS, draws)
    for step in steps:
      annotated = _apply(annotated, step, draws, legacy)
    return annotated


def _drawn_steps(policy, limits, draws):
  """[_Step] of a sub-policy that is drawn."""
  chosen = _draw_index(draws.uniform('sub_policy'), len(policy))
  steps = []
  for i in range(max(len(sub_policy) for sub_policy in policy)):
    rows = [sub_policy[i] if i < len(sub_policy) else None
            for sub_policy in policy]
    # An operation of probability 0 need not be in the graph.
    rows = [row if row and row[1] > 0. else None for row in rows]
    names = sorted({row[0] for row in rows if row})
    of_row = [
        (names.index(row[0]), operations.argument(row[0], row[2], limits),
         row[1]) if row else (len(names), 0., 0.) for row in rows]
    index, argument, probability = [np.array(column) for column in zip(*of_row)]
    steps.append(_Step(
        names, tf.gather(index.astype('int32'), chosen),
        tf.gather(argument.astype('float32'), chosen),
        tf.gather(probability.astype('float32'), chosen)))
  return steps


def _random_steps(names, num_layers, magnitude, limits, draws):
  """[_Step] of operations that are drawn, all with the same magnitude."""
  arguments = [operations.argument(name, magnitude, limits) for name in names]
  steps = []
  for _ in range(num_layers):
    index = _draw_index(draws.uniform('operation'), len(names))
    steps.append(_Step(names, index, tf.gather(arguments, index),
                       tf.constant(1.)))
  return steps


def _draw_index(value, count):
  """int32 [] below `count` of a draw from [0, 1)."""
  return tf.minimum(tf.cast(value * count, tf.int32), count - 1)


def _apply(annotated, step, draws, legacy):
  """Applies one step, or leaves it out, at random."""
  if not step.names:
    return annotated
  table = [operations.OPERATIONS[name] for name in step.names]
  # The last entry is for no operation.
  is_signed = tf.gather([o.is_signed for o in table] + [False], step.index)
  is_per_box = tf.gather([o.is_per_box for o in table] + [False], step.index)
  argument = tf.where(tf.logical_and(is_signed, draws.uniform('sign') < .5),
                      -step.argument, step.argument)
  # Operations on boxes draw for each box themselves.
  is_applied = tf.logical_or(
      is_per_box, tf.floor(draws.uniform('apply') + step.probability) >= 1.)
  def change(name):
    def branch():
      return _flat(operations.apply(name, annotated, argument, step.probability,
                                    draws, legacy))
    return branch
  result = tf.switch_case(
      tf.where(is_applied, step.index, len(table)),
      [change(name) for name in step.names] + [lambda: _flat(annotated)])
  return _like(annotated, result)


def _flat(annotated):
  """The tensors of an image; those that it lacks are left out."""
  return [tf.identity(value) for value in annotated if value is not None]


def _like(annotated, values):
  """The image of such tensors, with the shapes of another one."""
  values = iter([values] if isinstance(values, tf.Tensor) else values)
  result = []
  for old in annotated:
    if old is not None:
      new = next(values)
      new.set_shape(old.shape)
      old = new
    result.append(old)
  return annotated_image.AnnotatedImage(*result)
