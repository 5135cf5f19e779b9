"""Runs a StableHLO program on the CPU by XLA, without TensorFlow.

  python -m serving.targets.run_stablehlo FOLDER IMAGES ANSWERS
"""

import os
import sys
from typing import Any, Dict, List, Optional

import jax
from jaxlib import xla_client
import numpy as np

from serving.targets import answers

FILE = 'model.stablehlo'


class Model:
  """A StableHLO program, compiled for the CPU.

  Attributes:
    batch_size: int.
  """

  def __init__(self, folder: str, described: Dict[str, Any],
               threads: Optional[int] = None) -> None:
    """Compiles it.

    Args:
      folder: folder of the export.
      described: dict from description.read.
      threads: None; XLA takes all of them.

    Raises:
      ValueError: for a number of threads.
    """
    if threads:
      raise ValueError('The number of threads of XLA cannot be chosen here.')
    with open(os.path.join(folder, FILE), 'rb') as f:
      program = xla_client._xla.mlir.deserialize_portable_artifact(  # pylint: disable=protected-access
          f.read())
    self._device = jax.devices('cpu')[0]
    self._program = self._device.client.compile(program)
    self._keys = described['conversion']['result_order']
    self.batch_size = answers.batch_size(described)
    self._fed = None

  def feed(self, images: np.ndarray) -> None:
    """Gives it float32 [B, H, W, 3]."""
    self._fed = jax.device_put(images, self._device)

  def invoke(self) -> List[np.ndarray]:
    """Runs what was fed; returns [array [B, ...]] in the order of the keys."""
    results = self._program.execute_sharded(
        [self._fed]).disassemble_into_single_device_arrays()
    return [np.asarray(result[0]) for result in results]

  def run(self, images: np.ndarray) -> Dict[str, np.ndarray]:
    """{key: array [B, ...]} of float32 [B, H, W, 3]."""
    self.feed(images)
    return dict(zip(self._keys, self.invoke()))


if __name__ == '__main__':
  answers.main(Model, sys.argv[1:])
