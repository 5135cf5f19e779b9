"""Runs an ONNX file with onnxruntime, without TensorFlow.

  python -m serving.targets.run_onnx FOLDER IMAGES ANSWERS
"""

import os
import sys
from typing import Any, Dict, List, Optional

import numpy as np
import onnxruntime

from serving.targets import answers

FILE = 'model.onnx'


class Model:
  """An ONNX file, ready to be run.

  Attributes:
    batch_size: int, or None for any.
  """

  def __init__(self, folder: str, described: Dict[str, Any],
               threads: Optional[int] = None) -> None:
    """Loads it.

    Args:
      folder: folder of the export.
      described: result of description.read.
      threads: int; None: as onnxruntime likes.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    self._session = onnxruntime.InferenceSession(
        os.path.join(folder, FILE), options,
        providers=['CPUExecutionProvider'])
    self._input = described['input']['name']
    self._keys, self._names = zip(*sorted(described['outputs'].items()))
    self.batch_size = answers.batch_size(described)
    self._fed: Dict[str, np.ndarray] = {}

  def feed(self, images: np.ndarray) -> None:
    """Gives it float32 [B, H, W, 3]."""
    self._fed = {self._input: images}

  def invoke(self) -> List[np.ndarray]:
    """Runs what was fed; returns [array [B, ...]] in the order of the keys."""
    return self._session.run(list(self._names), self._fed)

  def run(self, images: np.ndarray) -> Dict[str, np.ndarray]:
    """{key: array [B, ...]} of float32 [B, H, W, 3]."""
    self.feed(images)
    return dict(zip(self._keys, self.invoke()))


if __name__ == '__main__':
  answers.main(Model, sys.argv[1:])
