"""An evaluation that several processes share, through files in its folder.

Process 0 announces the checkpoint, holds it, and computes the metrics; the
others predict their part of the images and write the result to `parts/`. Only
the folder connects them.
"""

import os
import time
from typing import Any, Callable, Dict, List
import uuid

import tensorflow.compat.v1 as tf

from configs import base
from executor import errors
from executor import hooks
from executor import model_dir as model_dir_lib
from executor import status
from modeling import storage

_POLL_SECONDS = 2
_REMIND_SECONDS = 60
_FOLDER, _REQUEST = 'parts', 'request.json'


class Leader:
  """Asks the other processes for their parts."""

  def __init__(self, config: base.Config,
               sleep: Callable[[float], None] = time.sleep,
               clock: Callable[[], float] = time.monotonic) -> None:
    """Keeps where to write.

    Args:
      config: experiment; `eval.eval_timeout` and `eval.stall_timeout` limit
        the time it waits.
      sleep: (seconds) -> None.
      clock: () -> seconds.
    """
    self._section = config.eval
    self._folder = _folder(config)
    self._sleep, self._clock = sleep, clock
    self._number = ''

  def ask(self, path: str, held: str) -> None:
    """Announces what is evaluated.

    Args:
      path: checkpoint prefix, for messages.
      held: prefix of the files, which are kept until all parts are there.
    """
    self._number = uuid.uuid4().hex  # Parts for a killed leader do not count.
    storage.write_json(os.path.join(self._folder, _REQUEST), {
        'number': self._number, 'path': path, 'held': held})

  def others(self) -> List[Dict[str, Any]]:
    """Waits for the parts of all others, in their order.

    Raises:
      errors.EvalTimeout: naming those that did not come.
      errors.Stalled: when no part came for `eval.stall_timeout`.
    """
    start = last = moved = self._clock()
    parts: List[Any] = [None] * (self._section.num_parts - 1)
    before = None
    while True:
      # They may be large: each is read once.
      parts = [self._part(k) if part is None else part
               for k, part in enumerate(parts, 1)]
      missing = [k for k, part in enumerate(parts, 1) if part is None]
      if not missing:
        return parts
      now = self._clock()
      if missing != before:
        before, moved = missing, now
      self._check(missing, 'eval.eval_timeout', now - start,
                  self._section.eval_timeout, errors.EvalTimeout)
      self._check(missing, 'eval.stall_timeout', now - moved,
                  self._section.stall_timeout, errors.Stalled)
      if now - last >= _REMIND_SECONDS:
        last = now
        tf.logging.info('Still waiting for eval.part %s of %d.', missing,
                        self._section.num_parts)
      self._sleep(_POLL_SECONDS)

  def _check(self, missing, key, waited, limit, error):
    """Raises an error of that class when the limit of a key is reached."""
    if limit is not None and waited >= limit:
      raise error(
          'eval.part %s of %d did not come for %s (%s): is that job running?'
          % (missing, self._section.num_parts, hooks.format_duration(limit),
             key))

  def _part(self, number):
    content = storage.read_record(_part_path(self._folder, number))
    if content and content.get('number') == self._number:
      return content['part']
    return None

  def end(self) -> None:
    """Announces the end to the other processes, and removes the parts."""
    for number in range(1, self._section.num_parts):
      path = _part_path(self._folder, number)
      if tf.gfile.Exists(path):
        tf.gfile.Remove(path)
    storage.write_json(os.path.join(self._folder, _REQUEST), {
        'number': uuid.uuid4().hex, 'path': None, 'held': None})


def follow(config: base.Config, predict: Callable[[str, str], Dict[str, Any]],
           sleep: Callable[[float], None] = time.sleep,
           clock: Callable[[], float] = time.monotonic) -> None:
  """Does what a leader asks for, until it ends.

  Args:
    config: experiment, with `eval.part` above 0.
    predict: (path, held) -> the part, JSON values.
    sleep: (seconds) -> None.
    clock: () -> seconds.

  Raises:
    errors.EvalTimeout: when nothing was asked for `eval.eval_timeout` seconds.
    errors.Stalled: when the leader gave no sign of life for
      `eval.stall_timeout` seconds, beside the `eval.min_eval_interval` in which
      it sleeps.
  """
  section, folder = config.eval, _folder(config)
  # A request to an earlier process, or the end of an earlier leader.
  old = _request(folder)
  answered = old['number'] if old and old['path'] is None else None
  start = clock()
  life = _SignsOfLife(config, clock)
  tf.logging.info('Part %d of %d: waiting for the checkpoints that eval.part 0 '
                  'names.', section.part, section.num_parts)
  while True:
    request = _request(folder)
    if request and request['number'] != answered:
      answered, start = request['number'], clock()
      if request['path'] is None:
        tf.logging.info('eval.part 0 has ended, and so does this one.')
        return
      try:
        part = predict(request['path'], request['held'])
      except (tf.errors.OpError, ValueError):
        if tf.gfile.Exists(request['held'] + '.index'):
          raise
        tf.logging.warning('%s is no longer held: its evaluation was given up.',
                           request['path'])
        continue
      storage.write_json(_part_path(folder, section.part),
                         {'number': answered, 'part': part})
    elif (section.eval_timeout is not None
          and clock() - start >= section.eval_timeout):
      raise errors.EvalTimeout(
          'eval.part 0 asked for nothing for %s (eval.eval_timeout).'
          % hooks.format_duration(section.eval_timeout))
    life.check(request)
    sleep(_POLL_SECONDS)


class _SignsOfLife:
  """What a leader writes: requests, and every half minute what it does."""

  def __init__(self, config, clock):
    self._section, self._clock = config.eval, clock
    self._request_path = os.path.join(_folder(config), _REQUEST)
    self._path = status.voice_path(config)
    self._last, self._start = None, clock()

  def check(self, request):
    """Raises errors.Stalled after too long without a new one."""
    # By this process's clock: that of the leader's host may differ.
    last, now = (request, storage.read_record(self._path)), self._clock()
    if last != self._last:
      self._last, self._start = last, now
    limit = self._section.stall_timeout
    if limit is not None and now - self._start >= (
        limit + self._section.min_eval_interval):
      raise errors.Stalled(
          'eval.part 0 of %d gave no sign of life for %s (eval.stall_timeout '
          'and eval.min_eval_interval): neither a new request in %s nor a new '
          '%s. Is that job running?' % (
              self._section.num_parts, hooks.format_duration(now - self._start),
              self._request_path, self._path))


def _request(folder):
  content = storage.read_record(os.path.join(folder, _REQUEST), number=str)
  return content if content and {'path', 'held'} <= set(content) else None


def _part_path(folder, number):
  return os.path.join(folder, 'part-%d.json' % number)


def _folder(config):
  return os.path.join(model_dir_lib.eval_dir(config), _FOLDER)
