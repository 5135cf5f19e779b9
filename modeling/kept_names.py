"""The names of the classes, kept in the folder of the training run.

The label map that a run was started with may move, and a later start may not
name it. A copy next to the checkpoints is kept.
"""

import os
from typing import Any, Dict, List, Optional, Tuple

import tensorflow.compat.v1 as tf

from modeling import storage
from utils import label_map as label_maps

_FILE = 'label_map.csv'


def path(model_dir: str) -> str:
  """The copy in a model_dir."""
  return os.path.join(model_dir, _FILE)


def keep(label_map: Optional[str], model_dir: str) -> None:
  """Copies a label map into model_dir; without one, nothing changes.

  Args:
    label_map: `eval.label_map`.
    model_dir: folder.

  Raises:
    ValueError: if it is not a label map.
  """
  copy = path(model_dir)
  if not label_map or not tf.gfile.Exists(label_map) or (
      os.path.abspath(label_map) == os.path.abspath(copy)):
    return
  text = label_maps.text(label_maps.read_label_map(label_map))
  with storage.output_path(copy) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write(text)


def changes(label_map: Optional[str], model_dir: Optional[str],
            is_given: bool = False) -> Tuple[Dict[str, Any], List[str]]:
  """Changes of a configuration that use the copy for a missing label map.

  Args:
    label_map: `eval.label_map`.
    model_dir: folder, or None.
    is_given: whether a person names `eval.label_map` for this job: a missing
      file is then an error, which others raise.

  Returns:
    Changes for configs.base.override, empty where none is needed; [note].
  """
  if not model_dir or is_given or label_map and tf.gfile.Exists(label_map):
    return {}, []
  copy = path(model_dir)
  if not tf.gfile.Exists(copy):
    return {}, []
  notes = ['eval.label_map: %s is not there; its copy %s is used.' % (
      label_map, copy)] if label_map else []
  return {'eval': {'label_map': copy}}, notes
