"""Learning-rate schedules, as functions of the global step.

All start with a linear warm-up (arXiv:1706.02677, section 2.2).
"""

import dataclasses
import math

import tensorflow.compat.v1 as tf

from configs import base
from utils import registry


def _warm_up(section, step, rate):
  """`rate`, but rising linearly to the initial one at first.

  Args:
    section: `train.learning_rate`.
    step: float32 [], the global step.
    rate: float32 [], what the schedule gives without the warm-up.

  Returns:
    float32 [].
  """
  if not section.warmup_steps:
    return rate
  slope = section.init_learning_rate - section.warmup_learning_rate
  warm = section.warmup_learning_rate + step / section.warmup_steps * slope
  return tf.where(step < section.warmup_steps, warm, rate)


def _step_rate(section, step, total_steps):
  """Piecewise constant; a level holds from its step on, in warm-up too."""
  del total_steps
  rate = _warm_up(section, step, tf.constant(section.init_learning_rate))
  for level, start in zip(section.learning_rate_levels,
                          section.learning_rate_steps):
    rate = tf.where(step >= start, tf.constant(float(level)), rate)
  return rate


def _cosine_rate(section, step, total_steps):
  """Half a cosine from the initial rate to zero at `total_steps`."""
  length = max(total_steps - section.warmup_steps, 1)
  # Without the clamp the rate would rise again after the last step.
  done = tf.minimum((step - section.warmup_steps) / length, 1.)
  rate = section.init_learning_rate * (tf.cos(math.pi * done) + 1.) / 2.
  return _warm_up(section, step, rate)


def scaled(section: base.Section, batch_size: int) -> base.Section:
  """The schedule for a batch other than the one it was made for.

  Every rate of it is multiplied by the same factor, its steps stay: the linear
  scaling rule, arXiv:1706.02677, section 2.1.

  Args:
    section: `train.learning_rate`.
    batch_size: int, images of an update on all devices.

  Returns:
    A section without a reference_batch_size; `section` itself where none is
    set.
  """
  if section.reference_batch_size is None:
    return section
  factor = batch_size / float(section.reference_batch_size)
  return dataclasses.replace(
      section, reference_batch_size=None,
      warmup_learning_rate=section.warmup_learning_rate * factor,
      init_learning_rate=section.init_learning_rate * factor,
      learning_rate_levels=tuple(
          level * factor for level in section.learning_rate_levels))


def describe_scaling(section: base.Section, batch_size: int) -> str:
  """A sentence with the old and the new rates; '' where none is scaled.

  Args:
    section: `train.learning_rate`.
    batch_size: int, as for `scaled`.
  """
  new = scaled(section, batch_size)
  if new is section:
    return ''
  names = ['warmup_learning_rate', 'init_learning_rate']
  if section.type == 'step':
    names.append('learning_rate_levels')
  return (
      'Learning rates are scaled by %d / %d, train.train_batch_size to '
      'train.learning_rate.reference_batch_size: %s.' % (
          batch_size, section.reference_batch_size, ', '.join(
              '%s %s -> %s' % (name, _numbers(getattr(section, name)),
                               _numbers(getattr(new, name)))
              for name in names)))


def _numbers(value):
  if isinstance(value, tuple):
    return '[%s]' % ', '.join('%g' % v for v in value)
  return '%g' % value


SCHEDULES = {'step': _step_rate, 'cosine': _cosine_rate}


def learning_rate(section: base.Section, global_step: tf.Tensor,
                  total_steps: int) -> tf.Tensor:
  """The learning rate at a step.

  Args:
    section: `train.learning_rate`: type, init_learning_rate,
      warmup_learning_rate, warmup_steps, and for 'step' learning_rate_levels
      and learning_rate_steps.
    global_step: integer [].
    total_steps: int, the length of the training run.

  Returns:
    float32 [].

  Raises:
    ValueError: for an unknown type, or levels and steps of unequal length.
  """
  registry.pick(SCHEDULES, section.type, 'train.learning_rate.type')
  if section.type == 'step' and (len(section.learning_rate_levels)
                                 != len(section.learning_rate_steps)):
    raise ValueError(
        'train.learning_rate.learning_rate_levels has %d entries and '
        'learning_rate_steps has %d; each level needs the step it starts at.'
        % (len(section.learning_rate_levels),
           len(section.learning_rate_steps)))
  with tf.name_scope('learning_rate'):
    step = tf.cast(global_step, tf.float32)
    return SCHEDULES[section.type](section, step, total_steps)
