"""Random choice of training examples, with a balance of positive and negative.

Every draw can be given as an argument instead, which makes the choice
reproducible.
"""

from typing import Optional, Sequence, Union

import numpy as np
import tensorflow.compat.v1 as tf

from ops import random_numbers

# Far from the seeds of other records, which differ by their numbers.
_OTHER_SEED = [0, 1 << 40]


def balanced_sample(is_candidate: tf.Tensor, is_positive: tf.Tensor,
                    num_samples: int, positive_fraction: float,
                    permutation: Optional[tf.Tensor] = None) -> tf.Tensor:
  """Marks `num_samples` examples, with a share of positives; static shapes.

  At most num_samples * positive_fraction positives are chosen, and negatives
  for the rest. Where there are too few negatives, further positives are chosen.
  Where there are fewer candidates than samples, the first other examples count
  as candidates.

  Args:
    is_candidate: bool [B, N], examples to choose from.
    is_positive: bool [B, N].
    num_samples: int, S; with S >= N all are marked.
    positive_fraction: float in [0, 1].
    permutation: int32 [B, N], instead of a draw of `random_numbers`: example
      permutation[b, p] is the p-th. Later ones are preferred.

  Returns:
    bool [B, N]; true for S examples. If negatives run out while there are
    examples that are not candidates, it may be fewer, and one that is not a
    candidate among them: published training counts such an example for each
    that it cannot find.

  Source: Fast R-CNN (arXiv:1504.08083), section 2.3; TF Object Detection API.
  """
  with tf.name_scope('balanced_sample'):
    is_candidate = _fill_up(is_candidate, num_samples)
    places = _random_places(is_candidate, permutation)
    # Positives above zero, negatives below, no candidates at zero, and further
    # from it the more they are preferred.
    keys = tf.where(is_positive, places + 1, -(places + 1))
    keys = tf.where(is_candidate, keys, tf.zeros_like(keys))
    size = tf.shape(keys)[1]
    in_order = tf.nn.top_k(keys, size).values
    num_positives = tf.reduce_sum(
        tf.cast(keys > 0, tf.int32), axis=1, keepdims=True)
    num_positives = tf.minimum(
        num_positives, int(num_samples * positive_fraction))
    # What is sampled lies at both ends of the order. Keys differ, except for
    # zeros, so those at which the ends stop tell what belongs to them.
    ranks = tf.expand_dims(tf.range(size), 0)
    is_top = ranks < num_positives
    is_bottom = ranks >= size - (num_samples - num_positives)
    top = tf.reduce_min(
        tf.where_v2(is_top, in_order, tf.int32.max), axis=1, keepdims=True)
    bottom = tf.reduce_max(
        tf.where_v2(is_bottom, in_order, tf.int32.min), axis=1, keepdims=True)
    has_zero = tf.reduce_any(
        tf.logical_and(is_bottom, tf.equal(in_order, 0)), axis=1, keepdims=True)
    is_sampled = tf.logical_or(
        keys >= top, tf.logical_and(keys <= bottom, tf.not_equal(keys, 0)))
    return tf.logical_or(
        is_sampled, tf.logical_and(has_zero, tf.equal(places, 0)))


def same_permutation(like: tf.Tensor) -> tf.Tensor:
  """A random order that is the same for every image, batch and run.

  Args:
    like: [B, N], N static.

  Returns:
    int32 [B, N], for `balanced_sample`.
  """
  order = np.random.RandomState(0).permutation(like.shape[1].value)
  return tf.zeros_like(like, tf.int32) + order.astype(np.int32)


def _fill_up(is_candidate, num_samples):
  """Makes the first others candidates until there are `num_samples`."""
  missing = num_samples - tf.reduce_sum(
      tf.cast(is_candidate, tf.int32), axis=1, keepdims=True)
  others = tf.cumsum(1 - tf.cast(is_candidate, tf.int32), axis=1)
  return tf.logical_or(is_candidate, others <= missing)


def _random_places(like, permutation):
  """int32 [B, N]: the place of each example in a random order."""
  size = tf.shape(like)[1]
  if permutation is None:
    # The order of random numbers is a random order, and so is its inverse.
    return tf.nn.top_k(random_numbers.uniform(tf.shape(like)), size).indices
  return tf.nn.top_k(-permutation, size).indices


def draw_distinct(size: tf.Tensor, count: tf.Tensor,
                  seed: Union[Sequence[int], tf.Tensor]) -> tf.Tensor:
  """Different random numbers, for the input pipeline.

  Args:
    size: int32 []; numbers are below it.
    count: int32 [], how many.
    seed: int [2]; the numbers depend on nothing else.

  Returns:
    int32 [min(size, count)], from 0; every choice equally likely.
  """
  with tf.name_scope('draw_distinct'):
    count = tf.minimum(size, count)
    seed = tf.cast(seed, tf.int64)
    # A few of many need no shuffle of all: repetitions are rare.
    draws, _ = tf.unique(tf.random.stateless_uniform(
        [2 * count], seed, 0, tf.maximum(size, 1), tf.int32))
    return tf.cond(
        tf.size(draws) >= count, lambda: draws[:count],
        lambda: _shuffled(size, seed + _OTHER_SEED)[:count])


def _shuffled(size, seed):
  """The numbers below `size` in random order, int32."""
  return tf.argsort(tf.random.stateless_uniform([size], seed))
