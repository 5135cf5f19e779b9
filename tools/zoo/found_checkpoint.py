"""Finds the checkpoint in a folder that came from somewhere else."""

import os
from typing import List, Optional

from modeling import checkpoint_files

_DEBRIS = ('._', '.')


def find(folder: str, wanted: Optional[str] = None) -> str:
  """The one checkpoint below a folder.

  Args:
    folder: local path.
    wanted: end of the prefix of the one to take, where there are several.

  Returns:
    Its prefix.

  Raises:
    ValueError: if there is none, or several in different folders.
  """
  folders = _folders(folder)
  if wanted:
    return _wanted(folder, folders, wanted)
  if not folders:
    raise ValueError(_nothing_found(folder))
  if len(folders) > 1:
    raise ValueError(
        '%s holds checkpoints in %d folders: %s. Say which one is meant with '
        '--checkpoint=PATH.' % (folder, len(folders), ', '.join(
            os.path.relpath(checkpoint_files.latest(each), folder)
            for each in folders)))
  return checkpoint_files.latest(folders[0])


def _folders(folder):
  """The folders that have an index of a checkpoint, from the top down."""
  found = []
  for path, names, files in os.walk(folder):
    names[:] = sorted(name for name in names
                      if not name.startswith(_DEBRIS) and name != '__MACOSX')
    if any(name.endswith('.index') and not name.startswith(_DEBRIS)
           for name in files):
      found.append(path)
  return found


def _wanted(folder, folders, wanted):
  """The prefix that ends so."""
  prefixes = [prefix for each in folders
              for prefix in checkpoint_files.find_all(each)]
  wanted = wanted[:-len('.index')] if wanted.endswith('.index') else wanted
  matching = [prefix for prefix in prefixes
              if ('/' + os.path.relpath(prefix, folder)).endswith('/' + wanted)]
  if len(matching) == 1:
    return matching[0]
  raise ValueError('--checkpoint=%s fits %d checkpoints; there are: %s.' % (
      wanted, len(matching), ', '.join(
          os.path.relpath(prefix, folder) for prefix in prefixes) or 'none'))


def _nothing_found(folder):
  """The sentence about a folder without a checkpoint."""
  names = [name for _, _, files in os.walk(folder) for name in files]
  if any('.data-' in name for name in names):
    reason = ('it has values (%s), but not the .index file that belongs to '
              'them' % next(name for name in names if '.data-' in name))
  elif 'saved_model.pb' in names:
    reason = ('it is an exported model, which is used as it is: '
              'tools.infer --saved_model')
  elif names:
    reason = 'it has %d files, such as %s' % (len(names), sorted(names)[0])
  else:
    reason = 'it contains no file of a checkpoint'
  return ('There is no checkpoint in %s: %s. A checkpoint is a file '
          'model.ckpt-1000.index with files model.ckpt-1000.data-* next to it.'
          % (folder, reason))


def config_files(prefix: str) -> List[str]:
  """YAML files next to a checkpoint, params.yaml first."""
  folder = os.path.dirname(prefix)
  return sorted((os.path.join(folder, name) for name in os.listdir(folder)
                 if name.endswith(('.yaml', '.yml'))
                 and not name.startswith('.')),
                key=lambda path: (os.path.basename(path) != 'params.yaml',
                                  path))
