"""Where the files of a job are: --data_dir, and absolute paths."""

import os
from typing import Dict, Iterable

from configs import base

# Keys whose relative paths start from --data_dir.
_DATA_KEYS = ('train.train_file_pattern',
              'train.pre_parser_dataset.file_pattern',
              'eval.eval_file_pattern', 'eval.val_json_file',
              'eval.label_map', 'predict.predict_file_pattern',
              'shapemask_head.shape_prior_path')
# Other keys with a file or a folder that a later job may need.
_OTHER_KEYS = ('model_dir', 'train.checkpoint.path')


def under_data_dir(data_dir: str, config: base.Config,
                   resolved: Iterable[str] = ()) -> Dict[str, str]:
  """The keys that --data_dir changes.

  Args:
    data_dir: folder, local or in a bucket.
    config: experiment.
    resolved: keys whose values come from the params.yaml of a training run,
      which says where files are: one that lies in `data_dir` already is left
      as it is.

  Returns:
    {dotted key: value} of the keys whose paths are relative.
  """
  def join(path, is_resolved):
    if _is_absolute(path) or is_resolved and _lies_in(data_dir, path):
      return path
    return os.path.join(data_dir, path)

  return _changes(config, _DATA_KEYS,
                  lambda key, path: join(path, key in resolved))


def with_absolute_paths(config: base.Config) -> base.Config:
  """The experiment with all paths absolute, as another folder can use it.

  Args:
    config: experiment; its relative paths start from the current folder.

  Returns:
    The experiment that params.yaml keeps.
  """
  changes = _changes(
      config, _DATA_KEYS + _OTHER_KEYS,
      lambda _, path: path if _is_absolute(path) else os.path.abspath(path))
  for key, value in changes.items():
    for part in reversed(key.split('.')):
      value = {part: value}
    config = base.override(config, value)
  return config


def _changes(config, keys, change):
  """{key: value} where `change(key, path)` makes another path of any."""
  changes = {}
  for key in keys:
    try:
      old = base.lookup(config, key)
    except AttributeError:
      continue  # Not every model has all of the keys.
    patterns = old.split(',') if isinstance(old, str) else list(old or ())
    patterns = [p.strip() for p in patterns]
    new = [change(key, p) if p else p for p in patterns]
    if new != patterns:
      changes[key] = ','.join(new) if isinstance(old, str) else tuple(new)
  return changes


def _is_absolute(path):
  return os.path.isabs(path) or '://' in path


def _lies_in(folder, path):
  """Whether a relative path names something in the folder."""
  if '://' in folder:
    return False
  return os.path.abspath(path).startswith(os.path.abspath(folder) + os.sep)
