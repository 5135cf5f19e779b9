"""The checkpoints of a folder: which there are, and of which steps."""

import os
import re

import tensorflow.compat.v1 as tf


def step_of(path):
  """The training step in a checkpoint's name; 0 when it has none."""
  found = re.search(r'-(\d+)$', path)
  return int(found.group(1)) if found else 0


def find_all(folder):
  """Checkpoint prefixes in a folder, by step."""
  paths = [p[:-len('.index')] for p in tf.gfile.Glob(
      os.path.join(folder, '*.index'))]
  return sorted(paths, key=lambda p: (step_of(p), p))


def latest(folder):
  """The checkpoint to go on from, or None.

  Args:
    folder: it need not exist.

  Returns:
    The prefix that the folder's file `checkpoint` names, or the one of the
    highest step where that file is missing, as in a downloaded folder.
  """
  path = tf.train.latest_checkpoint(folder)
  if path or not tf.gfile.IsDirectory(folder):
    return path
  paths = find_all(folder)
  return paths[-1] if paths else None
