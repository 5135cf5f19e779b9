"""The best checkpoints of a training run, protected from rotation.

`model_dir/best<suffix>/` holds copies of them and `best.json`, which says by
which metric and how good they are; its file `checkpoint` names the best, so
that the folder itself works as a checkpoint.
"""

import math
import os
import time
from typing import Any, Dict, Mapping, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import evaluation_files
from executor import model_dir as model_dir_lib
from modeling import storage

_JSON = 'best.json'
_ASIDE = 'earlier_run'  # folder, for the best of an earlier training run
_TYPES = {'metric': str, 'mode': str, 'best': list, 'last_step': int,
          'improved_step': int, 'evaluations_without_improvement': int}


def folder(config: base.Config) -> str:
  """The folder of the best checkpoints."""
  return os.path.join(config.model_dir, 'best' + config.eval.suffix)


def read(config: base.Config) -> Dict[str, Any]:
  """The content of best.json; an empty record where there is none.

  A damaged record is recovered from the lines of the evaluations.

  Args:
    config: experiment.

  Returns:
    {'metric', 'mode', 'best': [{'step', 'value', 'checkpoint', 'time'}], best
    first, 'last_step', 'last_fingerprint', 'improved_step', 'improved_value',
    'evaluations_without_improvement'}.
  """
  section = config.eval
  record = {'metric': section.best_metric, 'mode': section.best_metric_mode,
            'best': [], 'last_step': 0, 'last_fingerprint': None,
            'improved_step': 0, 'improved_value': None,
            'evaluations_without_improvement': 0}
  path = _json_path(config)
  stored = _read(path)
  if stored is None:
    return _made_again(config, record) if tf.gfile.Exists(path) else record
  if all(stored[key] == record[key] for key in ('metric', 'mode')):
    return stored
  tf.logging.warning(
      '%s is about %s (%s), not eval.best_metric %s (%s): its checkpoints are '
      'replaced.', path, stored['metric'], stored['mode'], record['metric'],
      record['mode'])
  return record


def _read(path):
  """The content of a best.json; None where it is missing or damaged."""
  record = storage.read_record(path, **_TYPES)
  entries = record['best'] if record else []
  is_whole = all(isinstance(entry, dict) and {
      'step', 'value', 'checkpoint'} <= set(entry) for entry in entries)
  return record if is_whole else None


def _made_again(config, record):
  """The record as the lines of the evaluations have it.

  Copies that no line is about are set aside.
  """
  target = folder(config)
  copies = {checkpoints.fingerprint(path): path
            for path in checkpoints.find_all(target)}
  for line in evaluation_files.read_evaluated(model_dir_lib.eval_dir(config)):
    value = line.record.get(config.eval.best_metric)
    value = float('nan') if value is None else value
    if line.step > record['last_step']:
      _count(config, record, line.step, value)
    path = copies.pop(line.fingerprint, None)
    if path and math.isfinite(value):
      _insert(config, record, path, line.step, value)
  tf.logging.warning(
      '%s was damaged and is recovered from the evaluations, which know %d of '
      'the copies next to it.', _json_path(config), len(record['best']))
  if copies:
    _set_aside(target, dict(record, best=[
        {'step': checkpoints.step_of(path), 'value': None,
         'checkpoint': os.path.basename(path)}
        for path in copies.values()]))
  return record


def update(config: base.Config, path: str, metrics: Mapping[str, float],
           held: Optional[str] = None) -> None:
  """Updates the best checkpoints after an evaluation.

  Repeating it, after a job was killed, changes nothing.

  Args:
    config: experiment, with `eval.best_metric`.
    path: prefix of the checkpoint that was evaluated.
    metrics: {name: float}, all metrics of the evaluation.
    held: prefix of the copy that was evaluated, which training cannot delete;
      None: `path`.

  Raises:
    errors.SetupError: if there is no such metric.
  """
  if not checkpoints.is_in(path, config.model_dir):
    return  # A checkpoint of another training run.
  name = config.eval.best_metric
  if name not in metrics:
    raise errors.SetupError(
        'eval.best_metric is %r, which this evaluation does not have; it has: '
        '%s.' % (name, ', '.join(sorted(metrics))))
  record = read(config)
  step, value = checkpoints.step_of(path), float(metrics[name])
  fingerprint = _fingerprint(held or path)
  if _is_of_later_training(config, record, step, fingerprint):
    record = _without_later(folder(config), record, step - 1)
  if step > record['last_step']:  # The same one again does not count twice.
    _count(config, record, step, value)
    record['last_fingerprint'] = fingerprint
  if math.isfinite(value):
    _keep(config, record, path, held or path, value)
  else:
    tf.logging.warning('%s is %s at step %d, which counts as no improvement.',
                       name, value, step)
  _write(folder(config), record)
  patience = config.eval.early_stop_patience
  without = record['evaluations_without_improvement']
  if patience is not None and record['best'] and without >= patience:
    early_stop.request(config, step, record['improved_step'],
                       record['improved_value'], without)


def forget_after(model_dir: str, step: int) -> None:
  """Discards evaluations of steps that training has yet to reach.

  They are of an earlier training run in the folder, or of one that was taken
  back to an earlier checkpoint. Copies of their checkpoints are set aside.

  Args:
    model_dir: folder of the checkpoints.
    step: int, from which training continues; 0 for a new training run.
  """
  for path in sorted(tf.gfile.Glob(os.path.join(model_dir, 'best*',
                                                _JSON))):
    record, target = _read(path), os.path.dirname(path)
    if record is None:
      continue  # The next evaluation recovers it.
    steps = [entry['step'] for entry in record['best']]
    if max(steps + [record['last_step']]) > step:
      _write(target, _without_later(target, record, step))


def _fingerprint(path):
  """checkpoints.fingerprint; None where it is deleted already."""
  try:
    return checkpoints.fingerprint(path)
  except tf.errors.NotFoundError:
    return None


def _is_of_later_training(config, record, step, fingerprint):
  """Whether the later step that counted last belongs to another training run.

  Its checkpoint is no longer there then, or another one of its name is. Times
  of files would not tell: clocks disagree.
  """
  last = record.get('last_fingerprint')
  return bool(step <= record['last_step'] and last and last != fingerprint
              and not any(
                  _fingerprint(path) == last
                  for path in checkpoints.find_all(config.model_dir)
                  if checkpoints.step_of(path) == record['last_step']))


def _without_later(target, record, step):
  """The record as after `step`; later checkpoints are set aside."""
  kept = [entry for entry in record['best'] if entry['step'] <= step]
  later = [entry for entry in record['best'] if entry['step'] > step]
  if later:
    _set_aside(target, dict(record, best=later))
  record = dict(record, best=kept, last_step=min(record['last_step'], step),
                last_fingerprint=None, evaluations_without_improvement=0)
  if record['improved_step'] > step:
    record.update(improved_step=kept[0]['step'] if kept else 0,
                  improved_value=kept[0]['value'] if kept else None)
  return record


def _set_aside(target, record):
  """Moves copies that are the best of another training run out of the way."""
  aside, number = os.path.join(target, _ASIDE), 2
  while tf.gfile.Exists(aside):
    aside, number = '%s-%d' % (os.path.join(target, _ASIDE), number), number + 1
  tf.gfile.MakeDirs(aside)
  for entry in record['best']:
    for path in tf.gfile.Glob(os.path.join(target, entry['checkpoint'] + '.*')):
      tf.gfile.Rename(path, os.path.join(aside, os.path.basename(path)))
  storage.write_json(os.path.join(aside, _JSON), record)
  tf.logging.warning(
      'The best checkpoints in %s are of an earlier training run, or of steps '
      'before training went back to an earlier checkpoint: step %s. They no '
      'longer count, and are kept in %s.', target, ', '.join(
          str(entry['step']) for entry in record['best']), aside)


def _json_path(config):
  return os.path.join(folder(config), _JSON)


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


def _insert(config, record, path, step, value):
  """Adds a checkpoint to the best, if it is one of them.

  Returns:
    Its place, from 0; None if it is none.
  """
  count = config.eval.keep_best_max
  others = [entry for entry in record['best'] if entry['step'] != step]
  # Of equal values the earlier one stays.
  place = sum(not _is_better(config, value, entry['value'])
              for entry in others)
  if place < count:
    others.insert(place, {'step': step, 'value': value, 'time': time.time(),
                          'checkpoint': os.path.basename(path)})
  record['best'] = others[:count]
  return place if place < count else None


def _keep(config, record, path, held, value):
  """Copies a checkpoint that is among the best, and adds it to the record."""
  before = record['best']
  place = _insert(config, record, path, checkpoints.step_of(path), value)
  if place is None:
    return
  try:
    _copy(held, folder(config))
  except tf.errors.NotFoundError:
    tf.logging.warning(
        '%s is one of the best checkpoints (%s %.4g), but training deleted it '
        'before the evaluation ended. A greater train.keep_checkpoint_max '
        'leaves more time.', path, config.eval.best_metric, value)
    record['best'] = before
    return
  tf.logging.info('%s is number %d of the best checkpoints: %s %.4g.', path,
                  place + 1, config.eval.best_metric, value)


def _copy(path, target):
  """Copies a checkpoint; its index, which completes it, comes last."""
  tf.gfile.MakeDirs(target)
  files = tf.gfile.Glob(path + '.data-*') + [path + '.index']
  for source in files:
    copy = os.path.join(target, os.path.basename(source))
    tf.gfile.Copy(source, copy + '.part', overwrite=True)
    tf.gfile.Rename(copy + '.part', copy, overwrite=True)


def _write(target, record):
  """Writes the record, and removes the copies that it no longer names."""
  tf.gfile.MakeDirs(target)
  storage.write_json(os.path.join(target, _JSON), record)
  names = [entry['checkpoint'] for entry in record['best']]
  if names:
    checkpoints.write_state(target, names[::-1])
  elif tf.gfile.Exists(os.path.join(target, 'checkpoint')):
    tf.gfile.Remove(os.path.join(target, 'checkpoint'))
  for path in tf.gfile.Glob(os.path.join(target, 'model.ckpt-*')):
    if not any(os.path.basename(path).startswith((name + '.index',
                                                  name + '.data-'))
               and not path.endswith('.part') for name in names):
      tf.gfile.Remove(path)
