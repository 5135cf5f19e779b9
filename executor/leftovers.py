"""Unfinished files that killed processes left in a model_dir."""

import os
import re

import tensorflow.compat.v1 as tf

# Parts of a checkpoint before they are merged, and files of TensorFlow and of
# this code before they are renamed.
_UNFINISHED = re.compile(
    r'_temp_[0-9a-f]{32}/?$|\.index\.tempstate\d+$'
    r'|^(checkpoint|graph\.pbtxt)\.tmp[0-9a-f]{32}$|^\.training\.lock\.\w+$')


def remove(model_dir):
  """Removes what no training run will ever finish.

  Args:
    model_dir: folder in which no other process trains; it need not exist.

  Returns:
    [name] of the files and folders that were removed.
  """
  if not tf.gfile.IsDirectory(model_dir):
    return []
  names = sorted(name.rstrip('/') for name in tf.gfile.ListDirectory(model_dir)
                 if _UNFINISHED.search(name))
  for name in names:
    path = os.path.join(model_dir, name)
    if tf.gfile.IsDirectory(path):
      tf.gfile.DeleteRecursively(path)
    else:
      tf.gfile.Remove(path)
  if names:
    tf.logging.info('%d unfinished file(s) or folder(s) of killed processes '
                    'are removed from %s.', len(names), model_dir)
  return names
