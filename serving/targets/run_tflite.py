"""Runs a TFLite file with the interpreter of TensorFlow.

  python -m serving.targets.run_tflite FOLDER IMAGES ANSWERS
"""

import os
import sys
from typing import Any, Dict, Optional

import numpy as np
import tensorflow.compat.v1 as tf

from serving.targets import answers

FILE = 'model.tflite'


class Model:
  """A TFLite file, ready to be run.

  Attributes:
    batch_size: int.
  """

  def __init__(self, folder: str, described: Dict[str, Any],
               threads: Optional[int] = None) -> None:
    """Loads it.

    Args:
      folder: folder of the export.
      described: result of description.read.
      threads: int; None: as the interpreter likes. TF 1.15 has one.
    """
    options = {'num_threads': threads} if threads else {}
    self._interpreter = tf.lite.Interpreter(
        os.path.join(folder, FILE), **options)
    self._interpreter.allocate_tensors()
    self._input = self._interpreter.get_input_details()[0]['index']
    places = {info['name'].split(':')[0]: info['index']
              for info in self._interpreter.get_output_details()}
    self._outputs = {key: places[name]
                     for key, name in described['outputs'].items()}
    self.batch_size = answers.batch_size(described)

  def feed(self, images: np.ndarray) -> None:
    """Gives it float32 [B, H, W, 3]."""
    self._interpreter.set_tensor(self._input, images)

  def invoke(self) -> None:
    """Runs what was fed."""
    self._interpreter.invoke()

  def run(self, images: np.ndarray) -> Dict[str, np.ndarray]:
    """{key: array [B, ...]} of float32 [B, H, W, 3]."""
    self.feed(images)
    self.invoke()
    return {key: self._interpreter.get_tensor(index)
            for key, index in self._outputs.items()}


if __name__ == '__main__':
  answers.main(Model, sys.argv[1:])
