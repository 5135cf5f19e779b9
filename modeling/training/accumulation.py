"""Gradient accumulation: one update from several parts of a batch."""

from typing import Optional

import tensorflow.compat.v1 as tf

from modeling.training import optimizers
from modeling.training import training_variables
from ops import tensor_types
from utils import training_names

COUNTER = training_names.NUM_ACCUMULATED


def accumulate(optimizer: tf.train.Optimizer,
               num_parts: int) -> tf.train.Optimizer:
  """Makes an optimizer take one step from `num_parts` calls.

  Args:
    optimizer: tf.train.Optimizer; clipping belongs inside it, because the mean
      gradient is clipped.
    num_parts: int, `train.accumulation_steps`.

  Returns:
    tf.train.Optimizer; `optimizer` itself for one part.
  """
  if num_parts == 1:
    return optimizer
  return AccumulatingOptimizer(optimizer, num_parts)


def part_of(num_parts: int) -> tf.Tensor:
  """The part of a batch that the call computes.

  Args:
    num_parts: int, `train.accumulation_steps`.

  Returns:
    int32 [], read before the call counts.
  """
  if num_parts == 1:
    return tf.zeros([], tf.int32)
  return tf.convert_to_tensor(training_variables.counter(COUNTER))


class AccumulatingOptimizer(optimizers.OptimizerWrapper):
  """Adds up gradients; every `num_parts`-th call applies their mean.

  The global step counts the updates, so schedules mean what they mean without
  accumulation. The sums `<variable>/AccumulatedGradient` and the count of the
  parts are variables: a checkpoint in the middle of an update is complete.

  Replicas of a distribution strategy have sums of their own, and communicate
  once per update. On a TPU this optimizer belongs inside a
  CrossShardOptimizer, where gradients come summed over the cores: variables of
  a TPU must be the same on every core.
  """

  def __init__(self, optimizer: tf.train.Optimizer, num_parts: int) -> None:
    """Takes the optimizer that applies the mean, and the number of calls."""
    super().__init__(optimizer, name='AccumulatingOptimizer')
    self._num_parts = num_parts

  def apply_gradients(self, grads_and_vars: tensor_types.Gradients,
                      global_step: Optional[tf.Variable] = None,
                      name: Optional[str] = None) -> tf.Operation:
    """Adds gradients to the sums; applies their mean with the last part."""
    pairs = [(g, v) for g, v in grads_and_vars if g is not None]
    variables = [v for _, v in pairs]
    # Each replica has sums of its own.
    sums = [training_variables.beside(
        v, training_names.ACCUMULATED_GRADIENT,
        synchronization=tf.VariableSynchronization.ON_READ,
        aggregation=tf.VariableAggregation.SUM) for v in variables]
    count = training_variables.counter(COUNTER)
    added = [s.assign_add(tf.convert_to_tensor(g) / self._num_parts,
                          read_value=False)
             for s, (g, _) in zip(sums, pairs)]
    with tf.control_dependencies(added):
      return tf.distribute.get_replica_context().merge_call(
          self._count_and_apply, args=(count, sums, variables, global_step,
                                       name))

  def _count_and_apply(self, strategy, count, sums, variables, global_step,
                       name):
    """Once for all replicas: applies the sums if they are complete."""
    extended = strategy.extended
    counted = extended.update(count, self._next_count)
    with tf.control_dependencies([counted]):
      is_complete = tf.equal(extended.read_var(count), 0)

    def apply_sums():
      return strategy.group(extended.call_for_each_replica(
          self._apply_in_replica, args=(sums, variables, global_step, name)))

    return tf.cond(is_complete, apply_sums, tf.no_op)

  def _next_count(self, count):
    """1, 2, ... and 0 with the last part."""
    return count.assign(tf.floormod(count + 1, self._num_parts),
                        read_value=False)

  def _apply_in_replica(self, sums, variables, global_step, name):
    gradients = [tf.convert_to_tensor(s) for s in sums]
    applied = self._optimizer.apply_gradients(
        list(zip(gradients, variables)), global_step=global_step, name=name)
    with tf.control_dependencies([applied]):
      return tf.group([s.assign(tf.zeros_like(g), read_value=False)
                       for s, g in zip(sums, gradients)])
