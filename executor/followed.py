"""The configuration of a training run, for a job that evaluates it."""

import re
from typing import Any, Callable, Dict, Tuple

import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import errors
from executor import model_dir as model_dir_lib

# Keys whose changes an evaluation job can adopt while it runs: its graph, its
# batches and its evaluator do not depend on them.
_TAKEN_OVER = re.compile('|'.join((
    r'train\.(?!(moving_average_decay|frozen_variable_prefix)$)',
    r'platform\.', r'predict\.', r'dropblock\.',
    r'(model_dir|use_tpu|tpu_job_name|enable_summary|isolate_session_state)$',
    r'eval\.(num_steps_per_eval|min_eval_interval|eval_timeout'
    r'|eval_every_checkpoint|best_metric|best_metric_mode|keep_best_max'
    r'|early_stop_patience|early_stop_min_delta|num_summary_images)$',
    # Augmentation and noise: evaluation has neither.
    r'\w+_parser\.(aug_|randaug|autoaugment|copy_paste|skip_crowd|box_jitter'
    r'|legacy_augmentation)',
    r'\w+\.(init_drop_connect_rate|batch_norm_momentum)$',
    r'classification_head\.dropout_rate$',
    r'architecture\.pre_parser$')))


def has_begun(model_dir: str) -> bool:
  """Whether a training run has left its configuration, or a checkpoint."""
  return (tf.gfile.Exists(model_dir_lib.params_path(model_dir))
          or checkpoints.latest(model_dir) is not None)


def changes(old: base.Config,
            new: base.Config) -> Tuple[Dict[str, Any], Dict[str, Any]]:
  """What differs between two configurations of an evaluation.

  Args:
    old: experiment that the graph was built from.
    new: experiment that was read later.

  Returns:
    Two dictionaries {key: (old value, new value)}: of keys that change what is
    evaluated, and of the others.
  """
  before, after = base.flatten(old), base.flatten(new)
  differing = {key: (before.get(key), after.get(key))
               for key in list(before) + list(after)
               if before.get(key) != after.get(key)}
  binding = {key: values for key, values in differing.items()
             if not _TAKEN_OVER.match(key) and _matters(key, values, old)}
  return binding, {key: values for key, values in differing.items()
                   if key not in binding}


def _matters(key, values, config):
  """False for a key of averages whose change decides nothing here."""
  if key == 'train.moving_average_decay':
    # It only decides whether averages or weights are restored.
    return bool(values[0]) != bool(values[1])
  if key == 'train.frozen_variable_prefix':
    return bool(config.train.moving_average_decay)
  return True


class FollowedConfig:
  """Reads the configuration again, as training may have written another one."""

  def __init__(self, config: base.Config,
               read: Callable[[], base.Config]) -> None:
    """Keeps both.

    Args:
      config: experiment that the evaluation was built from.
      read: () -> experiment, as of now.
    """
    self._config = config
    self._read = read

  def __call__(self) -> base.Config:
    """The experiment as of now; its changes are logged.

    Raises:
      errors.JobError: naming the keys, if they need another graph.
    """
    new = self._read()
    binding, others = changes(self._config, new)
    path = model_dir_lib.params_path(self._config.model_dir)
    if binding:
      raise errors.JobError(
          '%s has changed since this job read it, and with it what is '
          'evaluated:\n%s\nStart the same command again: it reads the new '
          'configuration.' % (path, '\n'.join(_lines(binding))))
    if others:
      tf.logging.info('%s has changed; from now on this job uses:\n%s', path,
                      '\n'.join(_lines(others)))
    self._config = new
    return new


def _lines(differing):
  return ['  %s: %r -> %r' % ((key,) + values)
          for key, values in sorted(differing.items())]
