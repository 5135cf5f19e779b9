"""Random numbers of augmentation."""

import tensorflow.compat.v1 as tf

# Keeps them apart from those that parsers draw from the same seed.
_FIRST_CALL = 1000


class SeededDraws:
  """Every call gives other numbers, which depend on nothing but the seed."""

  def __init__(self, seed):
    """Takes int [2], different for every image."""
    self._seed = tf.cast(seed, tf.int64)
    self._num_calls = 0

  def __call__(self, purpose, shape):
    """Draws numbers.

    Args:
      purpose: what for: 'sub_policy', 'operation', 'apply', 'sign', 'position',
        'order' or 'count'. It makes no difference here; tests replace what is
        drawn for one purpose.
      shape: list of ints or scalars.

    Returns:
      float32 of this shape, in [0, 1).
    """
    del purpose
    self._num_calls += 1
    return tf.random.stateless_uniform(
        shape, self._seed + [_FIRST_CALL + self._num_calls, 0])
