"""Unfinished files that killed processes left in a model_dir."""

import os
import re
import time

import tensorflow.compat.v1 as tf

# Parts of a checkpoint before they are merged (TensorFlow 2 gives the folder no
# random name); files of TensorFlow and of this code before they are renamed.
_UNFINISHED = re.compile(
    r'_temp_[0-9a-f]{32}/?$|^model\.ckpt-\d+_temp/?$'
    r'|\.(index|data-\d{5}-of-\d{5})\.tempstate\d+$'
    r'|^(checkpoint|graph\.pbtxt|model\.ckpt-\d+\.meta)\.tmp[0-9a-f]{32}$'
    r'|^\.(training\.lock|params\.yaml|run\.json|training_finished\.json'
    r'|divergence\.json)\.[\w.-]+$')
# The same of files that others write, too, at this very moment perhaps.
_OF_OTHERS = re.compile(
    r'^\.(status|early_stop)\.json\.[\w.-]+$|^training\.lock\.\d+$')
_OLD_SECONDS = 3600  # by any two clocks


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
                 if _UNFINISHED.search(name)
                 or _OF_OTHERS.search(name) and _is_old(model_dir, name))
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


def _is_old(model_dir, name):
  try:
    written = tf.gfile.Stat(os.path.join(model_dir, name)).mtime_nsec / 1e9
  except tf.errors.NotFoundError:
    return False  # Whoever wrote it is done.
  return abs(time.time() - written) > _OLD_SECONDS
