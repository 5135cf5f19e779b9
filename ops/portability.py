"""Graphs that are made for other programs than TensorFlow.

Where two forms give the same numbers, and TensorFlow's own kernels make one of
them faster, such a graph has the form that converters know.
"""

import tensorflow.compat.v1 as tf

_MARK = 'portable_operations'  # collection


def require() -> None:
  """From here on the default graph is made for converters."""
  tf.add_to_collection(_MARK, True)


def is_required() -> bool:
  """Whether the default graph is made for converters."""
  return bool(tf.get_collection(_MARK))
