"""The state of a model_dir: for people, schedulers and the next job.

An evaluation reports what it does in `status.json` next to its results, and
then updates `model_dir/status.json`, which sums up the folder. A training run
updates it every half minute, beside its steps; `python -m tools.status` shows
the same at any time.
"""

import os
import socket
import time
from typing import Any, Callable, Dict, List, Optional

import tensorflow.compat.v1 as tf

from configs import base
from executor import checkpoints
from executor import early_stop
from executor import model_dir as model_dir_lib
from executor import run_lock
from modeling import storage

_NAME = 'status.json'
_BEAT_SECONDS = 30  # between two of these files of an evaluation
_SILENT_SECONDS = 1200  # evaluators may compute for minutes without a report
_AHEAD_SECONDS = 120
_EVAL, _BEST = 'eval', 'best'  # folders; eval.suffix follows
# Metrics of single classes, of which there may be thousands.
_OF_CLASSES = ('ByCategory', '_class_')


class Voice:
  """Reports what an evaluation does, every half minute and at each change."""

  def __init__(self, config: base.Config,
               clock: Callable[[], float] = time.time) -> None:
    """Keeps where to write; nothing is written before `say`.

    Args:
      config: experiment.
      clock: () -> seconds since 1970.
    """
    self._config = config
    self._clock = clock
    self._last: Any = None  # (state, doing)
    self._since = self._written = 0.

  def say(self, state: str, doing: str, problems: Any = (),
          progress: str = '') -> None:
    """Writes the present state.

    Args:
      state: 'waiting', 'evaluating', 'idle' or 'ended'.
      doing: what it does or waits for, in a phrase.
      problems: sentences about what needs attention.
      progress: how far it is; a change of this alone is not written at once.
    """
    now = self._clock()
    if (state, doing, problems) != self._last:
      self._last, self._since = (state, doing, problems), now
    elif abs(now - self._written) < _BEAT_SECONDS:
      return
    self._written = now
    try:
      storage.write_json(voice_path(self._config), {
          'state': state, 'doing': doing, 'progress': progress,
          'since': self._since, 'time': now, 'problems': list(problems),
          'host': socket.gethostname(), 'pid': os.getpid()})
      write(self._config.model_dir, now)
    except (tf.errors.OpError, OSError) as e:
      tf.logging.warning('The status was not written: %s', str(e).split(
          '\n')[0])


def voice_path(config: base.Config) -> str:
  """Where an evaluation says what it does."""
  return os.path.join(model_dir_lib.eval_dir(config), _NAME)


def tell(model_dir: str, now: float) -> None:
  """`write` for a training run, which continues where that fails.

  Args:
    model_dir: folder of the checkpoints; nothing is written before the training
      run has begun there.
    now: seconds since 1970.
  """
  try:
    if tf.gfile.Exists(model_dir_lib.params_path(model_dir)):
      write(model_dir, now)
  except (tf.errors.OpError, OSError, ValueError) as e:
    tf.logging.warning('The status was not written: %s', str(e).split('\n')[0])


def write(model_dir: str, now: float) -> None:
  """Writes model_dir/status.json.

  Args:
    model_dir: folder of the checkpoints.
    now: seconds since 1970.
  """
  storage.write_json(os.path.join(model_dir, _NAME), collect(model_dir, now))


def collect(model_dir: str, now: float) -> Dict[str, Any]:
  """The state of a model_dir.

  Args:
    model_dir: folder of the checkpoints.
    now: seconds since 1970.

  Returns:
    {'model_dir', 'time', 'training': {'state', 'step', 'total_steps', ...},
    'checkpoint': {'step', 'path'} or None, 'evaluations': [{'suffix', 'state',
    'doing', 'step', 'metrics', 'best', ...}], 'early_stop', 'problems':
    [sentence]}, JSON values; unknown ones are None or missing. Damaged files do
    not stop it.
  """
  problems: List[str] = []
  latest = checkpoints.latest(model_dir)
  content = {
      'model_dir': model_dir, 'time': now,
      'training': _training(model_dir, now, problems),
      'checkpoint': latest and {'step': checkpoints.step_of(latest),
                                'path': latest},
      'evaluations': [_evaluation(model_dir, suffix, now, problems)
                      for suffix in _suffixes(model_dir)],
      'early_stop': early_stop.read(model_dir)}
  ahead = _seconds_ahead(latest, now)
  if ahead > _AHEAD_SECONDS:
    problems.append(
        'Clocks disagree: the newest checkpoint lies %d s in the future. Only '
        'the ages that are shown here depend on it.' % ahead)
  return dict(content, problems=problems)


def _training(model_dir, now, problems):
  """State, step, rate and losses of the training run."""
  line = storage.last_json_line(model_dir_lib.train_log_path(model_dir))
  line = line if isinstance(line, dict) else {}
  total = _total_steps(model_dir, problems)
  training = {
      'state': 'not begun', 'step': line.get('step'), 'total_steps': total,
      'time': line.get('time'),
      'steps_per_second': line.get('steps_per_second'),
      'images_per_second': line.get('images_per_second'),
      'losses': {key: value for key, value in line.items()
                 if key.endswith('loss')}}
  if training['step'] and training['steps_per_second'] and total:
    training['seconds_left'] = (
        max(0, total - training['step']) / training['steps_per_second'])
  finished = model_dir_lib.read_finished(model_dir)
  lock = run_lock.read(model_dir)
  if finished:
    training.update(state=finished['state'], step=finished['step'])
    training.pop('seconds_left', None)
    if finished['state'] == 'diverged':
      problems.append('The training run diverged after step %d.'
                      % finished['step'])
  elif lock:
    training.update(host=lock['host'], pid=lock['pid'])
    is_alive = run_lock.is_alive(model_dir, now)
    training['state'] = 'running' if is_alive else 'ended without a word'
    if not is_alive:
      problems.append(
          'The training run on %s (process %s) has ended without a word; the '
          'same command resumes it.' % (lock['host'], lock['pid']))
  elif line:
    training['state'] = 'stopped'
  return training


def _total_steps(model_dir, problems):
  try:
    return model_dir_lib.flat_params(
        model_dir_lib.params_path(model_dir)).get('train.total_steps')
  except base.ConfigError as e:
    problems.append('params.yaml cannot be read: %s' % e)
    return None


def _suffixes(model_dir):
  """[eval.suffix] of all evaluations that wrote into a folder."""
  if not tf.gfile.IsDirectory(model_dir):
    return []
  names = [name.rstrip('/') for name in tf.gfile.ListDirectory(model_dir)]
  return sorted(
      name[len(_EVAL):] for name in names if name.startswith(_EVAL) and any(
          tf.gfile.Exists(os.path.join(model_dir, name, file))
          for file in ('metrics.json', _NAME)))


def _evaluation(model_dir, suffix, now, problems):
  """The state of an evaluation, and its last results."""
  folder = os.path.join(model_dir, _EVAL + suffix)
  voice = storage.read_record(os.path.join(folder, _NAME), state=str,
                              time=(int, float)) or {}
  metrics = storage.read_record(os.path.join(folder, 'metrics.json'),
                                step=int) or {}
  best = storage.read_record(os.path.join(
      model_dir, _BEST + suffix, 'best.json'), metric=str, best=list) or {}
  evaluation = {
      'suffix': suffix, 'state': voice.get('state', 'unknown'),
      'doing': voice.get('doing'), 'progress': voice.get('progress'),
      'since': voice.get('since'), 'time': voice.get('time'),
      'host': voice.get('host'), 'pid': voice.get('pid'),
      'step': metrics.get('step'), 'evaluated_at': metrics.get('time'),
      'metrics': _headlines(metrics),
      'best': dict(best['best'][0], metric=best['metric'])
              if best.get('best') else None}
  name = 'The evaluation%s' % (suffix and ' ' + suffix)
  problems += ['%s: %s' % (name, problem)
               for problem in voice.get('problems') or ()]
  silent = now - voice.get('time', now)
  if evaluation['state'] in ('waiting', 'evaluating') and (
      abs(silent) > _SILENT_SECONDS):
    evaluation['state'] = 'silent'
    problems.append('%s on %s (process %s) has not reported for %d s.' % (
        name, voice.get('host'), voice.get('pid'), silent))
  return evaluation


def _headlines(metrics):
  """The metrics other than those of single classes."""
  return {key: value for key, value in metrics.items()
          if key not in ('step', 'time', 'class_names')
          and isinstance(value, (int, float))
          and not any(part in key for part in _OF_CLASSES)}


def _seconds_ahead(path: Optional[str], now: float) -> float:
  """How far a checkpoint lies in the future; 0 without one."""
  try:
    return checkpoints.time_of(path) - now if path else 0.
  except tf.errors.NotFoundError:
    return 0.
