"""Random numbers in the graph of a model: dropout, sampled regions and others.

What a training step draws depends on the seed, the step, the part of the step
(`train.accumulation_steps`), the replica, and on which draw of the graph it is.
Nothing is remembered from call to call, so a run that was stopped and resumed
draws the same numbers as an uninterrupted one, and no two steps draw the same.
"""

import contextlib
import functools
import hashlib
import random
import threading
from typing import Iterator, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from ops import compat
from ops import replicas
from ops import tensor_types


class _Source(NamedTuple):
  """The values that determine the next random numbers.

  Attributes:
    seed: int, seed of the training run.
    place: int32 [2]: the step; replica and part of the step as one number.
    numbers: iterator of the numbers of the draws: 0, 1, 2 ...
  """
  seed: int
  place: tf.Tensor
  numbers: Iterator[int]


class _State(threading.local):
  """Replicas of a distribution strategy are built in threads of their own."""
  source: Optional[_Source] = None


_STATE = _State()


@functools.lru_cache(maxsize=None)
def _seed_of_this_process():
  return random.SystemRandom().getrandbits(64)


@contextlib.contextmanager
def source(seed: Optional[int], step: tensor_types.Number,
           part: tensor_types.Number = 0,
           num_parts: int = 1) -> Iterator[None]:
  """A context in which draws are those of a training step.

  Args:
    seed: int, `train.seed`; None: another one in every process.
    step: integer [], or a variable; the step, before its update.
    part: integer [], of the step.
    num_parts: int, how many a step has.

  Yields:
    Nothing; `uniform` and `normal` draw.
  """
  if seed is None:
    seed = _seed_of_this_process()
  with tf.name_scope('random_numbers'), _on_host():
    place = tf.stack([
        tf.cast(step, tf.int32),
        replicas.index() * num_parts + tf.cast(part, tf.int32)])
  previous, _STATE.source = _STATE.source, _Source(
      seed, place, iter(range(2**31)))
  try:
    yield
  finally:
    _STATE.source = previous


def uniform(shape: tensor_types.Shape) -> tf.Tensor:
  """Draws from [0, 1).

  Args:
    shape: list of ints or scalars, or int32 tensor.

  Returns:
    float32 [...], of this shape. Outside of `source`: other numbers in every
    run of the session, unless tf.set_random_seed was called.
  """
  return tf.random.stateless_uniform(shape, _next_seed())


def normal(shape: tensor_types.Shape) -> tf.Tensor:
  """Draws [...] from the standard normal distribution; see `uniform`."""
  return tf.random.stateless_normal(shape, _next_seed())


def _next_seed():
  """int32 [2], another one for each draw."""
  now = _STATE.source
  if now is None:
    return tf.random_uniform([2], tf.int32.min, tf.int32.max, tf.int32)
  with _on_host():
    return tf.bitwise.bitwise_xor(now.place, _hash(now.seed, next(now.numbers)))


def _hash(seed, number):
  """int32 [2] of a draw; neighbouring seeds and draws share no bits."""
  digest = hashlib.sha256(('%d %d' % (seed, number)).encode()).digest()
  return np.frombuffer(digest[:8], '<i4').astype(np.int32)


@contextlib.contextmanager
def _on_host():
  """Seeds are read there; from a GPU, each draw would wait for its own."""
  if compat.in_xla_context():
    yield
    return
  with tf.device('/cpu:0'):
    yield
