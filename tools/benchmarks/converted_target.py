"""Models converted for other programs, for tools.benchmark_saved_model."""

import argparse
import importlib
import os
from typing import Callable, Dict, Sequence

import numpy as np

from serving.targets import description
from tools.benchmarks import model_images
from tools.benchmarks import targets


class ConvertedTarget:
  """Times what tools.export_tflite and its like write; see targets.py.

  The input is prepared outside of such a model, so that is timed as a part of
  END_TO_END, as the work of the client.
  """

  def __init__(self, path: str, options: argparse.Namespace) -> None:
    """Loads it.

    Args:
      path: folder with model.json, or a file in it.
      options: namespace of tools.benchmark_saved_model.

    Raises:
      TargetError: if it is of another target, or cannot be loaded.
    """
    _check_flags(options)
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    try:
      described = description.read(folder)
    except (OSError, ValueError) as e:
      raise targets.TargetError(str(e))
    if described['target'] != options.target:
      raise targets.TargetError('%s is a model for %s: give --target=%s.' % (
          path, described['target'], described['target']))
    runner = importlib.import_module('serving.targets.run_' + options.target)
    self._model = runner.Model(folder, described)
    self.input = targets.Input(targets.NORMALIZED,
                               tuple(described['input']['shape'][1:3]))
    self.batch_size = self._model.batch_size
    self.notes = []

  def functions(self,
                encoded: Sequence[bytes]) -> Dict[str, Callable[[], object]]:
    """What is timed, for a batch of encoded images; see targets.py."""
    def batch():
      return np.stack([model_images.as_input(image, self.input.kind)
                       for image in encoded])

    def network():
      self._model.feed(held)
      self._model.invoke()

    held = batch()
    return {targets.END_TO_END: lambda: self._model.run(batch()),
            targets.NETWORK: network}

  def close(self) -> None:
    """There is nothing to close."""


def _check_flags(options):
  for flag, default in (('signature', 'serving_default'), ('feed_tensor', ''),
                        ('fetch_tensors', '')):
    if getattr(options, flag) != default:
      raise targets.TargetError(
          '--%s is for --target=saved_model: other models have one input, and '
          'all outputs are computed.' % flag)
