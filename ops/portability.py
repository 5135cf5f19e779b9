"""Graphs that are made for programs other than TensorFlow.

Where two forms give the same numbers, and TensorFlow's own kernels make one of
them faster, such a graph has the form that converters know.
"""

import tensorflow.compat.v1 as tf

# Collections.
_MARK, _NO_LOOPS = 'portable_operations', 'portable_without_loops'


def require(has_loops: bool = True) -> None:
  """From here on the default graph is made for converters.

  Args:
    has_loops: whether these support loops.
  """
  tf.add_to_collection(_MARK, True)
  if not has_loops:
    tf.add_to_collection(_NO_LOOPS, True)


def is_required() -> bool:
  """Whether the default graph is made for converters."""
  return bool(tf.get_collection(_MARK))


def has_loops() -> bool:
  """Whether the program that the default graph is made for supports loops."""
  return not tf.get_collection(_NO_LOOPS)


def clip_indices(values: tf.Tensor, last: int) -> tf.Tensor:
  """Integers, no less than 0 and no more than `last`.

  In the order of tf.clip_by_value, first `last` and then 0, the converter of
  TFLite makes a Relu6 of it where `last` is 6, which it has for floats alone.

  Args:
    values: integers [...].
    last: int, 0 or more.
  """
  return tf.minimum(tf.maximum(values, 0), last)
