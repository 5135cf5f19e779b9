"""Runs an OpenVINO model on the CPU, without TensorFlow.

  python -m serving.targets.run_openvino FOLDER IMAGES ANSWERS
"""

import os
import sys
from typing import Any, Dict, Optional

import numpy as np
import openvino

from serving.targets import answers

FILE = 'model.xml'


class Model:
  """An OpenVINO model, ready to be run.

  Attributes:
    batch_size: int, or None for any.
  """

  def __init__(self, folder: str, described: Dict[str, Any],
               threads: Optional[int] = None) -> None:
    """Loads it.

    Args:
      folder: folder of the export.
      described: result of description.read.
      threads: int; None: as OpenVINO likes.
    """
    # Some CPUs would compute in bfloat16.
    options: Dict[str, Any] = {'INFERENCE_PRECISION_HINT': 'f32'}
    if threads:
      options['INFERENCE_NUM_THREADS'] = threads
    compiled = openvino.Core().compile_model(
        os.path.join(folder, FILE), 'CPU', options)
    self._request = compiled.create_infer_request()
    self._outputs = described['outputs']
    self.batch_size = answers.batch_size(described)
    self._fed = None

  def feed(self, images: np.ndarray) -> None:
    """Gives it float32 [B, H, W, 3]."""
    self._fed = openvino.Tensor(images)

  def invoke(self) -> None:
    """Runs what was fed."""
    self._request.infer([self._fed])

  def run(self, images: np.ndarray) -> Dict[str, np.ndarray]:
    """{key: array [B, ...]} of float32 [B, H, W, 3]."""
    self.feed(images)
    self.invoke()
    return {key: self._request.get_tensor(name).data.copy()
            for key, name in self._outputs.items()}


if __name__ == '__main__':
  answers.main(Model, sys.argv[1:])
