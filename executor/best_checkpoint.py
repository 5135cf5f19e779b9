"""The best checkpoints of a training, kept from being replaced by newer ones.

`model_dir/best<suffix>/` holds copies of them and `best.json`, which says by
which metric and how good they are; its file `checkpoint` names the best, so
that the folder itself works as a checkpoint.
"""

import math
import os
import time

import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import storage


def folder(config):
  """The folder of the best checkpoints."""
  return os.path.join(config.model_dir, 'best' + config.eval.suffix)


def read(config):
  """What best.json says; an empty record where there is none.

  Args:
    config: experiment.

  Returns:
    {'metric', 'mode', 'best': [{'step', 'value', 'checkpoint', 'time'}], best
    first, 'last_step', 'improved_step', 'improved_value',
    'evaluations_without_improvement'}.
  """
  section = config.eval
  record = {'metric': section.best_metric, 'mode': section.best_metric_mode,
            'best': [], 'last_step': 0, 'improved_step': 0,
            'improved_value': None, 'evaluations_without_improvement': 0}
  path = _json_path(config)
  stored = storage.read_json(path)
  if stored is None:
    return record
  if all(stored[key] == record[key] for key in ('metric', 'mode')):
    return stored
  tf.logging.warning(
      '%s is about %s (%s), not eval.best_metric %s (%s): its checkpoints are '
      'replaced.', path, stored['metric'], stored['mode'], record['metric'],
      record['mode'])
  return record


def update(config, path, metrics):
  """Takes an evaluation into account.

  Args:
    config: experiment, with `eval.best_metric`.
    path: prefix of the checkpoint that was evaluated.
    metrics: {name: float}, of all the results.

  Raises:
    errors.SetupError: if there is no such metric.
  """
  if os.path.dirname(path) != config.model_dir.rstrip('/'):
    return  # A checkpoint of another training.
  name = config.eval.best_metric
  if name not in metrics:
    raise errors.SetupError(
        'eval.best_metric is %r, which this evaluation does not have; it has: '
        '%s.' % (name, ', '.join(sorted(metrics))))
  record = read(config)
  step, value = checkpoints.step_of(path), float(metrics[name])
  if step > record['last_step']:  # The same one again does not count twice.
    _count(config, record, step, value)
  if math.isfinite(value):
    _keep(config, record, path, value)
  else:
    tf.logging.warning('%s is %s at step %d, which counts as no improvement.',
                       name, value, step)
  _write(config, record)
  patience = config.eval.early_stop_patience
  without = record['evaluations_without_improvement']
  if patience is not None and record['best'] and without >= patience:
    early_stop.request(config, step, record['improved_step'],
                       record['improved_value'], without)


def _json_path(config):
  return os.path.join(folder(config), 'best.json')


def _is_better(config, value, than, delta=0.):
  if config.eval.best_metric_mode == 'min':
    value, than = -value, -than
  return value > than + delta


def _count(config, record, step, value):
  """Notes whether an evaluation improves on the earlier ones."""
  record['last_step'] = step
  improves = math.isfinite(value) and (
      record['improved_value'] is None
      or _is_better(config, value, record['improved_value'],
                    config.eval.early_stop_min_delta))
  if improves:
    record.update(improved_step=step, improved_value=value,
                  evaluations_without_improvement=0)
  else:
    record['evaluations_without_improvement'] += 1


def _keep(config, record, path, value):
  """Copies a checkpoint that is among the best, and adds it to the record."""
  step, count = checkpoints.step_of(path), config.eval.keep_best_max
  others = [entry for entry in record['best'] if entry['step'] != step]
  # Of equal values the earlier one stays.
  place = sum(not _is_better(config, value, entry['value'])
              for entry in others)
  if place >= count:
    record['best'] = others[:count]
    return
  try:
    _copy(path, folder(config))
  except tf.errors.NotFoundError:
    tf.logging.warning(
        '%s is one of the best checkpoints (%s %.4g), but the training deleted '
        'it before the evaluation ended. A greater train.keep_checkpoint_max '
        'leaves more time.', path, config.eval.best_metric, value)
    return
  others.insert(place, {'step': step, 'value': value, 'time': time.time(),
                        'checkpoint': os.path.basename(path)})
  record['best'] = others[:count]
  tf.logging.info('%s is number %d of the best checkpoints: %s %.4g.', path,
                  place + 1, config.eval.best_metric, value)


def _copy(path, target):
  """Copies a checkpoint; its index, without which it is none, comes last."""
  tf.gfile.MakeDirs(target)
  files = tf.gfile.Glob(path + '.data-*') + [path + '.index']
  for source in files:
    copy = os.path.join(target, os.path.basename(source))
    tf.gfile.Copy(source, copy + '.part', overwrite=True)
    tf.gfile.Rename(copy + '.part', copy, overwrite=True)


def _write(config, record):
  """Writes the record, and removes the copies that it no longer names."""
  target = folder(config)
  tf.gfile.MakeDirs(target)
  storage.write_json(_json_path(config), record)
  names = [entry['checkpoint'] for entry in record['best']]
  if names:
    tf.train.update_checkpoint_state(
        target, names[0], all_model_checkpoint_paths=names[::-1])
  for path in tf.gfile.Glob(os.path.join(target, 'model.ckpt-*')):
    if not any(os.path.basename(path).startswith((name + '.index',
                                                  name + '.data-'))
               and not path.endswith('.part') for name in names):
      tf.gfile.Remove(path)
