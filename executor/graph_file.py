"""Estimator's `graph.pbtxt`, the graph of a training run as text.

For RetinaNet it has 12 MB, and writing it takes a tenth of the time to the
first step. Nothing here reads it: TensorBoard takes the graph from the event
file.
"""

import contextlib
from typing import Iterator

from tensorflow.python.training import training_util


@contextlib.contextmanager
def written_if(is_wanted: bool) -> Iterator[None]:
  """Within the block, savers of checkpoints write the file only if wanted.

  Estimator and TPUEstimator make their savers themselves, and these have no
  argument for it.

  Args:
    is_wanted: `train.write_graph`.
  """
  write_graph = training_util.write_graph
  if not is_wanted:
    training_util.write_graph = lambda *args, **kwargs: None
  try:
    yield
  finally:
    training_util.write_graph = write_graph
