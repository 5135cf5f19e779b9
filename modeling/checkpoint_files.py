"""Finds the checkpoints of a folder, and their steps."""

import os
import re
from typing import List, Optional

import tensorflow.compat.v1 as tf


def step_of(path: str) -> int:
  """The training step in a checkpoint's name; 0 when it has none."""
  found = re.search(r'-(\d+)$', path)
  return int(found.group(1)) if found else 0


def hint_about(folder: str) -> str:
  """A sentence, with a space before it, where a folder around one is given.

  Args:
    folder: which is not a model_dir, such as the output of tools.train_on.

  Returns:
    str; '' where no folder in it is known to be one.
  """
  inside = os.path.join(folder, 'model')
  if tf.gfile.Exists(os.path.join(inside, 'params.yaml')):
    return ' The model_dir is %s.' % inside
  return ''


def find_all(folder: str) -> List[str]:
  """Checkpoint prefixes in a folder, by step."""
  # macOS leaves ._model.ckpt.index next to the files that it copies.
  paths = [p[:-len('.index')] for p in tf.gfile.Glob(
      os.path.join(folder, '*.index'))
           if not os.path.basename(p).startswith('._')]
  return sorted(paths, key=lambda p: (step_of(p), p))


def latest(folder: str) -> Optional[str]:
  """The checkpoint to resume from, or None.

  Args:
    folder: it need not exist.

  Returns:
    The prefix that the folder's file `checkpoint` names, or the one of the
    highest step where that file is missing, as in a downloaded folder. It is
    always one of the folder itself.
  """
  if not tf.gfile.IsDirectory(folder):
    return None
  names = named(folder)
  if names:
    return os.path.join(folder, names[-1])
  paths = find_all(folder)
  return paths[-1] if paths else None


def named(folder: str) -> List[str]:
  """The existing checkpoints that the file `checkpoint` of a folder names.

  TensorFlow writes full paths into it, which lead to another place once the
  folder was moved or copied. Only the last part of them counts here.

  Args:
    folder: it need not exist.

  Returns:
    [name of a checkpoint in the folder], the newest last; empty if that one is
    missing.
  """
  state = _state(folder)
  if state is None:
    return []
  newest = os.path.basename(state.model_checkpoint_path)
  names = [os.path.basename(p) for p in state.all_model_checkpoint_paths]
  names = [name for name in names if name != newest] + [newest]
  names = [name for name in names if name and tf.train.checkpoint_exists(
      os.path.join(folder, name))]
  return names if newest in names else []


def newest_name(folder):
  """The newest checkpoint by the file `checkpoint`, even if it is missing.

  Args:
    folder: it need not exist.

  Returns:
    Name of a checkpoint; None where the file is missing, empty or damaged.
  """
  state = _state(folder)
  return state and os.path.basename(state.model_checkpoint_path)


def _state(folder):
  """The content of the file `checkpoint`, or None if it cannot be used."""
  try:
    return tf.train.get_checkpoint_state(folder)
  except (tf.errors.OpError, ValueError):  # A writer was killed: it is empty.
    return None
