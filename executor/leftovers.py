"""What writers that were killed left in a model_dir."""

import os
import re

import tensorflow.compat.v1 as tf

# Parts of a checkpoint before they are put together, files of TensorFlow and of
# ours before they get their names.
_UNFINISHED = re.compile(
    r'_temp_[0-9a-f]{32}/?$|\.index\.tempstate\d+$'
    r'|^(checkpoint|graph\.pbtxt)\.tmp[0-9a-f]{32}$|^\.training\.lock\.\w+$')


def remove(model_dir):
  """Removes what no run will ever finish.

  Args:
    model_dir: folder in which nobody else trains; it need not exist.

  Returns:
    [name] of what was there.
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
    tf.logging.info('%d unfinished file(s) or folder(s) of writers that were '
                    'killed are removed from %s.', len(names), model_dir)
  return names
