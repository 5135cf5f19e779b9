"""The configuration of a training run that was evaluated, to look into it."""

import os
from typing import Any, Optional

import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from dataloader import file_patterns
from modeling import checkpoint_files
from modeling import kept_names


def read_config(model_dir: str,
                params_override: Optional[Any] = None) -> base.Config:
  """Reads the configuration, with the names of classes kept in the folder.

  Args:
    model_dir: the folder of the training run.
    params_override: over its params.yaml; text, a file or a mapping, or None.

  Returns:
    The experiment; there are records of `eval.eval_file_pattern`.

  Raises:
    ValueError: if the file is missing or wrong, or no record is found.
  """
  path = os.path.join(model_dir, 'params.yaml')
  if not tf.gfile.Exists(path):
    raise ValueError('There is no %s, which main.py --mode=train writes.%s' % (
        path, checkpoint_files.hint_about(model_dir)))
  config, _ = factory.load_config(params_file=path,
                                  params_override=params_override)
  try:
    file_patterns.expand(config.eval.eval_file_pattern,
                         'eval.eval_file_pattern')
  except ValueError as e:
    raise ValueError(
        '%s It is that of %s; where the records are now, '
        '--params_override=eval.eval_file_pattern=... says.' % (e, path))
  return base.override(
      config, kept_names.changes(config.eval.label_map, model_dir)[0])
