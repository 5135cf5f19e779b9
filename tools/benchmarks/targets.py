"""What tools.benchmark_saved_model can time: a table.

A target is a class. It is made of a path and of the options of the command, and
has

  input: Input, what one image is given as
  batch_size: int, or None where any will do
  notes: [sentence for the user]
  functions(encoded): {NETWORK, END_TO_END: function without arguments} for a
      batch of JPEG files of the size of the input, as a list. END_TO_END begins
      with these (model_images.as_input makes the input of them) and ends with
      NumPy arrays. NETWORK begins with the prepared image and leaves the
      outputs where they are; it is missing where that cannot be told apart.
  close(): frees what it holds

and it raises TargetError for what cannot be timed.
"""

import argparse
import importlib
import sys
from typing import Any, NamedTuple, Optional, Tuple

from serving.targets import environment

NETWORK, END_TO_END = 'network', 'end_to_end'
# Kinds of inputs: bytes of an image file; of a tf.train.Example with one;
# pixels from 0 to 255; normalised pixels.
ENCODED, EXAMPLE, PIXELS, NORMALIZED = 'encoded', 'example', 'pixels', (
    'normalized')


class Input(NamedTuple):
  """What a model takes.

  Attributes:
    kind: one of the kinds above.
    size: (height, width) of PIXELS and NORMALIZED, or None where any will do.
  """
  kind: str
  size: Optional[Tuple[int, int]]


_CONVERTED = ('tools.benchmarks.converted_target', 'ConvertedTarget')
# {--target: module and class}. Loaded when they are used: some need packages
# that others do without.
TARGETS = {
    'saved_model': ('tools.benchmarks.saved_model_target', 'SavedModelTarget'),
    'frozen_graph': _CONVERTED, 'onnx': _CONVERTED, 'openvino': _CONVERTED,
    'stablehlo': _CONVERTED, 'tflite': _CONVERTED,
}
# {--target: package that runs it}, of those that TensorFlow does not run.
_PACKAGES = {'onnx': 'onnxruntime', 'openvino': 'openvino', 'stablehlo': 'jax'}


class TargetError(ValueError):
  """A model that cannot be timed."""


def interpreter(name: str) -> str:
  """Path of the Python that can run a target: this one, where it can.

  Raises:
    ValueError: if none can, with the command that installs it.
  """
  return (environment.python(_PACKAGES[name]) if name in _PACKAGES
          else sys.executable)


def load(name: str, path: str, options: argparse.Namespace) -> Any:
  """Makes a target.

  Args:
    name: one of TARGETS.
    path: path of the exported model.
    options: namespace of tools.benchmark_saved_model.

  Returns:
    The target.

  Raises:
    TargetError: if that cannot be.
  """
  module, target = TARGETS[name]
  return getattr(importlib.import_module(module), target)(path, options)
