"""What a job leaves in model_dir besides checkpoints, and finds there."""

import os
import time

import tensorflow.compat.v1 as tf

from configs import base
from configs import io
from executor import checkpoints
from executor import errors
from executor import storage

# Keys that make two configurations different models.
_IDENTITY = ('type', 'architecture.backbone',
             'architecture.multilevel_features', 'architecture.num_classes',
             'architecture.min_level', 'architecture.max_level')
_BACKBONE_SIZE = {'resnet': 'resnet.resnet_depth',
                  'spinenet': 'spinenet.model_id',
                  'spinenet_mbconv': 'spinenet_mbconv.model_id'}


def params_path(model_dir):
  """The resolved configuration of the training."""
  return os.path.join(model_dir, 'params.yaml')


def train_log_path(model_dir):
  """JSON lines: step, time, rates and losses of the training."""
  return os.path.join(model_dir, 'train_metrics.jsonl')


def profile_dir(model_dir):
  """Timelines of steps, for chrome://tracing."""
  return os.path.join(model_dir, 'profile')


def eval_dir(config):
  """The folder of the evaluation results."""
  return os.path.join(config.model_dir, 'eval' + config.eval.suffix)


def _finished_path(model_dir):
  return os.path.join(model_dir, 'training_finished.json')


def mark_finished(model_dir, step, state):
  """Tells evaluation jobs that no further checkpoint will come.

  Args:
    model_dir: folder of the checkpoints.
    step: int, the last step.
    state: 'finished', 'stopped early' or 'diverged'.
  """
  storage.write_json(_finished_path(model_dir), {
      'step': int(step), 'state': state, 'time': time.time()})


def clear_finished(model_dir):
  """Takes the mark away: a training starts."""
  if tf.gfile.Exists(_finished_path(model_dir)):
    tf.gfile.Remove(_finished_path(model_dir))


def read_finished(model_dir):
  """{'step', 'state', 'time'} of `mark_finished`, or None."""
  return storage.read_json(_finished_path(model_dir))


def _flat_params(path):
  """{dotted key: value} of a params.yaml; empty if there is none."""
  if not tf.gfile.Exists(path):
    return {}
  changes, _ = io.read_yaml(path)
  return flatten(changes)


def flatten(values, path=''):
  """{dotted key: value} of nested mappings."""
  leaves = {}
  for key, value in values.items():
    name = '%s.%s' % (path, key) if path else key
    if isinstance(value, dict):
      leaves.update(flatten(value, name))
    else:
      leaves[name] = value
  return leaves


def check_same_model(config):
  """Checks that the checkpoints in model_dir are of the configured model.

  Args:
    config: experiment.

  Raises:
    errors.SetupError: naming the keys and both values where it is another one.
  """
  if not checkpoints.latest(config.model_dir):
    return
  path = params_path(config.model_dir)
  stored, here = _flat_params(path), flatten(base.to_dict(config))
  keys = _IDENTITY + (_BACKBONE_SIZE.get(config.architecture.backbone, ''),)
  differing = [k for k in keys
               if k in stored and k in here and stored[k] != here[k]]
  if differing:
    raise errors.SetupError(
        '%s holds checkpoints of another model than the one that is '
        'configured:\n%s\nUse another --model_dir, or that configuration '
        '(--config_file=%s).' % (config.model_dir, '\n'.join(
            '  %s is %r there (params.yaml), %r here' % (
                k, stored[k], here[k]) for k in differing), path))


def save_config(config):
  """Writes params.yaml; an older one with other values stays as history.

  Args:
    config: experiment.

  Returns:
    [note]: what has changed since the training that is resumed.
  """
  path = params_path(config.model_dir)
  tf.gfile.MakeDirs(config.model_dir)
  old, new = _flat_params(path), flatten(base.to_dict(config))
  changed = sorted(k for k in set(old) | set(new)
                   if old and old.get(k) != new.get(k))
  notes = []
  if changed:
    kept = _history_path(config.model_dir)
    tf.gfile.Copy(path, kept)
    notes.append('The configuration differs from the one in %s, which is kept '
                 'as %s:' % (path, kept))
    notes += ['  %s: %r -> %r' % (k, old.get(k), new.get(k)) for k in changed]
  save_params(config, path)
  return notes


def save_params(config, path):
  """Writes the complete configuration; it loads back to an equal one.

  Nobody sees a part of the file.

  Args:
    config: experiment.
    path: of the YAML file, local or in a bucket.
  """
  with storage.output_path(path) as temporary:
    with open(temporary, 'w', encoding='utf-8') as f:
      f.write(io.dump_yaml(config))


def _history_path(model_dir):
  """params.STEP.yaml, numbered further where that is taken."""
  stem = os.path.join(model_dir,
                      'params.%d' % checkpoints.latest_step(model_dir))
  path, number = stem + '.yaml', 2
  while tf.gfile.Exists(path):
    path, number = '%s-%d.yaml' % (stem, number), number + 1
  return path
