"""Initial values of variables that follow from the seed and their names."""

import contextlib
import hashlib
from typing import Iterator, Optional

import tensorflow.compat.v1 as tf


@contextlib.contextmanager
def seeded(seed: Optional[int]) -> Iterator[None]:
  """A context in which initial values depend on the seed and the name alone.

  TensorFlow derives the seed of an operation from the number of operations
  before it, so that the same seed gives other weights with another number of
  replicas, or once a part without weights is switched on.

  Args:
    seed: int, `train.seed`; None: they differ in every run.

  Yields:
    Nothing.
  """
  if seed is None:
    yield
    return
  with tf.variable_scope(tf.get_variable_scope(), custom_getter=_seeding,
                         auxiliary_name_scope=False):
    yield


def _seeding(getter, name, *args, **kwargs):
  """A variable getter; the seed of the graph comes in on its own."""
  initializer = kwargs.get('initializer')
  if initializer is None and tf.as_dtype(kwargs['dtype']).is_floating:
    initializer = tf.glorot_uniform_initializer()  # TensorFlow's default.
  if isinstance(initializer, type):
    initializer = initializer()
  if getattr(initializer, 'seed', 0) is None:
    config = dict(initializer.get_config(), seed=_hash(name))
    kwargs['initializer'] = initializer.from_config(config)
  return getter(name, *args, **kwargs)


def _hash(name):
  return int(hashlib.sha256(name.encode()).hexdigest()[:7], 16)
