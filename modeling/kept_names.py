"""The names of the classes, kept in the folder of the training run.

The label map that a run was started with may move, and a later start may not
name it. A copy beside the checkpoints stays.
"""

import os
from typing import Any, List, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from modeling import storage
from utils import label_map as label_maps

_FILE = 'label_map.csv'


def path(model_dir: str) -> str:
  """The copy in a model_dir."""
  return os.path.join(model_dir, _FILE)


def keep(config: Any) -> None:
  """Copies `eval.label_map` into model_dir; without one, nothing changes.

  Args:
    config: experiment.

  Raises:
    ValueError: if it is not a label map.
  """
  source, copy = config.eval.label_map, path(config.model_dir)
  if not source or not tf.gfile.Exists(source) or (
      os.path.abspath(source) == os.path.abspath(copy)):
    return
  text = label_maps.text(label_maps.read_label_map(source))
  with storage.output_path(copy) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write(text)


def applied(config: Any, model_dir: Any,
            is_given: bool = False) -> Tuple[Any, List[str]]:
  """The configuration with the copy for a label map that it lacks.

  Args:
    config: experiment.
    model_dir: folder, or None.
    is_given: whether a person names `eval.label_map` for this job: a file that
      is missing is an error then, which others raise.

  Returns:
    The experiment; [note].
  """
  named = config.eval.label_map
  if not model_dir or is_given or named and tf.gfile.Exists(named):
    return config, []
  copy = path(model_dir)
  if not tf.gfile.Exists(copy):
    return config, []
  notes = ['eval.label_map: %s is not there; its copy %s is used.' % (
      named, copy)] if named else []
  return base.override(config, {'eval': {'label_map': copy}}), notes
