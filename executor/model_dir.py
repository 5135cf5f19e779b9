"""The files of a model_dir besides checkpoints, and what they say."""

import os
import re
import time
from typing import Any, Dict, List, Optional

import tensorflow.compat.v1 as tf

from configs import backbones
from configs import base
from configs import decoders
from configs import factory
from configs import families
from configs import io
from configs import parts
from configs import plugins
from executor import checkpoints
from executor import data_paths
from executor import errors
from modeling import kept_names
from modeling import storage
from utils import version

# Keys that make two configurations different models.
_IDENTITY = ('type', 'architecture.backbone',
             'architecture.multilevel_features', 'architecture.num_classes',
             'architecture.min_level', 'architecture.max_level')
# Keys that make two configurations different functions of the same variables.
_MEANING = re.compile(
    r'anchor\.|\w+_parser\.(output_size|resize_eval)$'
    r'|(batch_norm_activation|efficientnet(_lite)?)'
    r'\.(activation|batch_norm_epsilon)$'
    r'|resnet\.(strided_conv|pool_padding)$'
    r'|nasfpn\.(activation|use_sum_for_combination)$'
    r'|architecture\.outer_box_scale$|segmentation_head\.level$'
    r'|classification_head\.aggregation$')


def params_path(model_dir: str) -> str:
  """The resolved configuration of the training run."""
  return os.path.join(model_dir, 'params.yaml')


def train_log_path(model_dir: str) -> str:
  """JSON lines: step, time, rates and losses of the training run."""
  return os.path.join(model_dir, 'train_metrics.jsonl')


def profile_dir(model_dir: str) -> str:
  """Timelines of steps, for chrome://tracing."""
  return os.path.join(model_dir, 'profile')


def eval_dir(config: base.Config) -> str:
  """The folder of the evaluation results."""
  return os.path.join(config.model_dir, 'eval' + config.eval.suffix)


def _finished_path(model_dir):
  return os.path.join(model_dir, 'training_finished.json')


def mark_finished(model_dir: str, step: int, state: str) -> None:
  """Tells evaluation jobs that no further checkpoint will come.

  Args:
    model_dir: folder of the checkpoints.
    step: int, the last step.
    state: 'finished', 'stopped early' or 'diverged'.
  """
  storage.write_json(_finished_path(model_dir), {
      'step': int(step), 'state': state, 'time': time.time()})


def clear_finished(model_dir: str) -> None:
  """Removes the mark: a training run starts."""
  if tf.gfile.Exists(_finished_path(model_dir)):
    tf.gfile.Remove(_finished_path(model_dir))


def read_finished(model_dir: str) -> Optional[Dict[str, Any]]:
  """{'step', 'state', 'time'} of `mark_finished`, or None.

  A damaged mark does not count, with one warning.
  """
  return storage.read_record(_finished_path(model_dir), step=int, state=str,
                             time=(int, float))


def flat_params(path: str) -> Dict[str, Any]:
  """{dotted key: value} of a params.yaml; empty if there is none."""
  if not tf.gfile.Exists(path):
    return {}
  changes, _ = io.read_yaml(path)
  return base.flatten_mapping(changes)


def check_same_model(config: base.Config, is_training: bool = False) -> None:
  """Checks that the checkpoints in model_dir are of the configured model.

  Args:
    config: experiment.
    is_training: whether training is to continue from them. Then the meaning of
      the variables has to be the same, too; an evaluation may use another image
      size on purpose, which `notes_of_meaning` reports.

  Raises:
    errors.SetupError: naming the keys and both values where they differ.
  """
  if not checkpoints.latest(config.model_dir):
    return
  architecture = config.architecture
  keys = (_IDENTITY
          + families.identity_keys(config.type)
          + parts.identity_keys(backbones.BACKBONES, architecture.backbone)
          + parts.identity_keys(decoders.DECODERS,
                                architecture.multilevel_features))
  differing = {key: values for key, values in _changes(config).items()
               if key in keys or is_training and _MEANING.match(key)}
  if differing:
    raise errors.SetupError(
        '%s has checkpoints of another model than the configured one:\n%s\n'
        'Use another --model_dir (train.checkpoint.path starts from weights of '
        'this one), or the configuration of those checkpoints '
        '(--config_file=%s).%s' % (
            config.model_dir, '\n'.join(_differences(differing)),
            params_path(config.model_dir), _kept_note(config.model_dir)))


def notes_of_meaning(config: base.Config) -> List[str]:
  """Lines about keys that change the meaning of the model in an evaluation."""
  differing = {key: values for key, values in _changes(config).items()
               if _MEANING.match(key)}
  if not differing:
    return []
  return ['The metrics will not be those of the model as it is trained:'
          ] + _differences(differing)


def _changes(config):
  """{key: (value in params.yaml, value here)} of keys that both have."""
  stored = flat_params(params_path(config.model_dir))
  here = base.flatten_mapping(
      base.to_dict(data_paths.with_absolute_paths(config)))
  return {key: (stored[key], value) for key, value in here.items()
          if key != 'model_dir' and key in stored and stored[key] != value}


def _differences(changes):
  return ['  %s is %r in params.yaml, %r here' % ((key,) + values)
          for key, values in changes.items()]


def _kept_note(model_dir):
  """A sentence that names earlier configurations of a folder; or ''."""
  kept = checkpoints.kept_configurations(model_dir)
  return ' Configurations of earlier starts, by step: %s.' % ', '.join(
      kept) if kept else ''


def notes_of_nothing_to_do(config: base.Config) -> List[str]:
  """Lines about changes that a start without a step to train does not write."""
  changes = _changes(config)
  if not changes:
    return []
  return ['%s is left unchanged, although this job is configured differently:'
          % params_path(config.model_dir)] + _differences(changes)


def save_config(config: base.Config) -> List[str]:
  """Writes params.yaml; an older one with other values is kept as history.

  Paths are made absolute, so that a job in another folder finds the files.

  Args:
    config: experiment.

  Returns:
    [note], the changes since the training run that is resumed.
  """
  path = params_path(config.model_dir)
  tf.gfile.MakeDirs(config.model_dir)
  config = data_paths.with_absolute_paths(config)
  old, new = flat_params(path), base.flatten_mapping(base.to_dict(config))
  # A version that did not know a key worked as its default does.
  defaults = base.flatten_mapping(base.to_dict(
      factory.default_config(config.type)))
  changed = [k for k in sorted(set(old) | set(new)) if old and (
      old.get(k, defaults.get(k)) != new.get(k))]
  notes = []
  if changed:
    kept = _history_path(config.model_dir)
    tf.gfile.Copy(path, kept)
    notes.append('The configuration differs from the one in %s, which is kept '
                 'as %s:' % (path, kept))
    notes += ['  %s: %s -> %s' % (k, _shown(old, k), _shown(new, k))
              for k in changed]
  save_params(config, path)
  kept_names.keep(config.eval.label_map, config.model_dir)
  return notes


def _shown(values, key):
  return repr(values[key]) if key in values else '(not there)'


def save_params(config: base.Config, path: str) -> None:
  """Writes the complete configuration; it loads back to an equal one.

  The file appears when it is complete.

  Args:
    config: experiment.
    path: the path of the YAML file, local or in a bucket.
  """
  with storage.output_path(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write('# Written by version %s.\n' % version.VERSION)
      for name, digest in plugins.loaded():
        f.write('# With the plugin %s, sha256 %s.\n' % (name, digest))
      f.write(io.dump_yaml(config))


def _history_path(model_dir):
  """params.STEP.yaml, with a number where that exists."""
  stem = os.path.join(model_dir,
                      'params.%d' % checkpoints.latest_step(model_dir))
  path, number = stem + '.yaml', 2
  while tf.gfile.Exists(path):
    path, number = '%s-%d.yaml' % (stem, number), number + 1
  return path
