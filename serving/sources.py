"""Where a trained model lies: a model_dir, a checkpoint, an exported folder."""

import os
import re
from typing import Any, List, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from configs import precisions
from modeling import checkpoint_checks
from modeling import checkpoint_files
from modeling import kept_names
from modeling import whole_checkpoint
from ops import number_formats

_SAVED_MODEL = ('saved_model.pb', 'saved_model.pbtxt')
_EXPECTED = ('a model_dir (with params.yaml and checkpoints), a checkpoint '
             '(.../model.ckpt-1000) or an exported folder (with '
             'saved_model.pb)')
# What a model is trained with and not used with.
_WITHOUT_TRAINING = {
    'use_tpu': False, 'train.mixed_precision': None,
    'train.input_partition_dims': None, 'train.num_cores_per_replica': None}


class Checkpoint(NamedTuple):
  """A checkpoint and its configuration.

  Attributes:
    config: experiment.
    checkpoint: prefix.
    notes: sentences for the user.
  """
  config: base.Config
  checkpoint: str
  notes: List[str]


class LoadError(ValueError):
  """There is no model that can be loaded."""


def is_saved_model(path: str) -> bool:
  """Whether a folder holds an exported model."""
  return any(tf.gfile.Exists(os.path.join(path, name))
             for name in _SAVED_MODEL)


def find_checkpoint(path: Optional[str], checkpoint_path: Optional[str] = None,
                    model: Optional[str] = None,
                    config_file: Optional[str] = None,
                    params_override: Any = None,
                    precision: Optional[str] = precisions.FLOAT32
                    ) -> Checkpoint:
  """Finds a checkpoint and the configuration that it was trained with.

  Args:
    path: a model_dir or a checkpoint prefix; None: `checkpoint_path` is given.
    checkpoint_path: prefix of another checkpoint than the newest one.
    model: name of the model, where there is no params.yaml.
    config_file: over params.yaml; see configs.factory.load_config.
    params_override: over `config_file`.
    precision: one of precisions.OF_INFERENCE, of the network; None:
      `eval.precision`.

  Returns:
    Checkpoint; the configuration is one without a TPU.

  Raises:
    LoadError: if there is no checkpoint, or nothing tells its configuration.
    ConfigError: for a configuration that is wrong.
  """
  if path is None and checkpoint_path is None:
    raise LoadError('There is no path: %s is expected.' % _EXPECTED)
  given = str(checkpoint_path or path)
  checkpoint = _prefix(given)
  folder = str(path) if path and tf.gfile.IsDirectory(
      str(path)) else os.path.dirname(checkpoint)
  params_file = _params_file(folder)
  if not (params_file or model or config_file or params_override):
    raise LoadError(
        'There is no params.yaml in %s, which says what model %s belongs to: '
        'give the model and, if there is one, the config_file it was trained '
        'with.'
        % (folder or os.curdir, checkpoint))
  config, notes = factory.load_config(
      model, config_file, params_override, extra=_WITHOUT_TRAINING,
      params_file=params_file, trains=False)
  name_changes, name_notes = kept_names.changes(
      config.eval.label_map,
      os.path.dirname(params_file) if params_file else None)
  choice = number_formats.resolve(_precision(config, precision))
  if choice.reason:
    notes.append('Computes in %s, %s.' % choice)
  config = base.override(base.override(config, name_changes), {'architecture': {
      'use_bfloat16': choice.name == precisions.BFLOAT16}})
  return Checkpoint(config, checkpoint, notes + name_notes)


def _precision(config, precision):
  """The one of precisions.OF_INFERENCE that is wanted."""
  if precision is None:
    precision = config.eval.precision
    if precision == precisions.FLOAT16:
      return precisions.FLOAT32
  if precision not in precisions.OF_INFERENCE:
    raise LoadError('precision is %r: it can be %s.' % (
        precision, ' or '.join(precisions.OF_INFERENCE)))
  return precision


def _params_file(folder):
  """The params.yaml of a folder, or of a model_dir that it lies in; or None.

  The best checkpoints lie in a folder of their own, model_dir/best.
  """
  for place in (folder, os.path.dirname(folder.rstrip('/'))):
    path = os.path.join(place, 'params.yaml')
    if tf.gfile.Exists(path):
      return path
  return None


def _prefix(path):
  """The checkpoint prefix of a folder, a prefix or one of its files."""
  if tf.gfile.IsDirectory(path):
    try:
      newest = whole_checkpoint.newest(path)
    except checkpoint_checks.BrokenCheckpointError as e:
      raise LoadError(str(e))
    if newest:
      return newest
    raise LoadError(
        '%s has neither a checkpoint nor an exported model: %s is expected.%s'
        % (path, _EXPECTED, checkpoint_files.hint_about(path)))
  prefix = re.sub(r'\.(index|meta|data-\d+-of-\d+)$', '', path)
  if not tf.train.checkpoint_exists(prefix):
    raise LoadError('There is no %s: %s is expected.' % (path, _EXPECTED))
  return prefix
