"""TensorFlow, loaded when something of it is first used.

  from ops import tensorflow_later as tf

Loading takes seconds, which the --help of a tool should not wait for. What a
module needs while it is loaded (a type in a signature, a base class) would load
TensorFlow at once: such types are named in quotes.
"""

from typing import Any


def __getattr__(name: str) -> Any:
  import tensorflow.compat.v1 as module
  return getattr(module, name)
