"""Runs commands one after the other, and resumes where it was interrupted."""

import hashlib
import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import Any, Callable, Dict, Iterable, Optional, Sequence, Tuple

from utils import files
from utils import processes
from utils import version

STATE = 'train_on.json'


class StageError(Exception):
  """A stage that failed; `code` is the exit code of its command."""

  def __init__(self, message: str, code: int = 1) -> None:
    super().__init__(message)
    self.code = code


def digest(paths: Iterable[str],
           name_of: Callable[[str], str] = os.path.abspath) -> str:
  """A digest of the names, sizes and times of files.

  Args:
    paths: files, and folders of which all files count; one that is missing
      counts, too.
    name_of: function of a path, what to call it.

  Returns:
    64 hexadecimal digits.
  """
  result = hashlib.sha256()
  for path in paths:
    for name in _files(path):
      stat = os.stat(name)
      result.update(('%s %d %d\n' % (name_of(name), stat.st_size,
                                     stat.st_mtime_ns)).encode())
    result.update(('%s.\n' % name_of(path)).encode())
  return result.hexdigest()


def _files(path):
  if os.path.isfile(path):
    return [path]
  return sorted(os.path.join(folder, name)
                for folder, _, names in os.walk(path) for name in names)


class State:
  """What has been done in a folder: a file of stages with their digests.

  Files in the folder are known by their names within it, so that it may be
  moved, or called by another path.
  """

  def __init__(self, folder: str) -> None:
    """Reads it, or begins in an empty folder.

    Raises:
      StageError: if the folder has files that something else wrote.
    """
    self._folder = os.path.abspath(folder)
    self._path = os.path.join(folder, STATE)
    self._done: Dict[str, Any] = {}
    self._running: Optional[str] = None  # begun and not done
    self._origins: Dict[str, str] = {}
    self._remembered: Dict[str, Any] = {}
    if os.path.exists(self._path):
      with open(self._path) as f:
        content = json.load(f)
      self._done = content['stages']
      self._running = content.get('running')
      self._origins = content.get('origins', {})
      self._remembered = content.get('remembered', {})
      if 'origins' not in content:  # Of a version that kept paths as typed.
        for entry in self._done.values():
          entry['outputs'] = {self._name(path): value for path, value in
                              entry['outputs'].items()}
    elif os.path.isdir(folder) and os.listdir(folder):
      raise StageError(
          '%s has files that this command did not write, such as %s. Choose '
          'another --output, so that nothing is overwritten.' % (
              folder, sorted(os.listdir(folder))[0]))
    else:
      os.makedirs(folder, exist_ok=True)
      self._write()  # From now on, what is in it is from here.

  def _write(self):
    files.write_atomically(self._path, json.dumps(
        {'version': version.VERSION, 'stages': self._done,
         'running': self._running, 'origins': self._origins,
         'remembered': self._remembered}, indent=1))

  def _name(self, path):
    """A path as the file has it: of the folder, or else from the root."""
    path = os.path.abspath(path)
    inside = os.path.relpath(path, self._folder)
    return path if inside.split(os.sep)[0] == os.pardir else inside

  def is_done(self, stage: Any) -> bool:
    """Whether a stage has run on the same inputs, and its files are there."""
    entry = self._done.get(stage.name)
    return bool(entry and entry['inputs'] == self._inputs(stage)
                and all(map(os.path.exists, stage.outputs)))

  def _inputs(self, stage):
    return self._summary(stage.key, stage.inputs)

  def _summary(self, key, paths):
    return '%s %s' % (hashlib.sha256(key.encode()).hexdigest()[:16],
                      digest(paths, self._name)[:16])

  def remember(self, name: str, key: str, paths: Iterable[str],
               function: Callable[[], Any]) -> Any:
    """What was found in files, without reading them again.

    Args:
      name: what is remembered.
      key: differs where the function would find something else in them.
      paths: files; whether they are the same, their names, sizes and times
        tell.
      function: finds it, as something that JSON can hold.

    Returns:
      Its result, now or in an earlier process.
    """
    inputs = self._summary(key, paths)
    entry = self._remembered.get(name)
    if not entry or entry['inputs'] != inputs:
      entry = {'inputs': inputs, 'value': function()}
      self._remembered[name] = entry
      self._write()
    return entry['value']

  def make_room(self, stage: Any) -> None:
    """Removes files of a stage that its command would not replace.

    Raises:
      StageError: for a file that was changed since.
    """
    written: Dict[str, str] = {}
    for entry in self._done.values():
      written.update(entry['outputs'])
    for path in stage.replaced:
      if not os.path.exists(path):
        continue
      # What a stage has left that was interrupted is its own.
      if (self._running != stage.name
          and written.get(self._name(path)) != files.sha256(path)):
        raise StageError(
            '%s was changed by hand, and the data or the flags have changed '
            'since it was written. Move it away, or choose another --output.'
            % path)
      os.remove(path)

  def begin(self, stage: Any) -> Optional[str]:
    """Notes that a stage begins.

    What it would resume is moved away if it began from other data or flags:
    it would go on with what it has learnt from those, and an evaluation could
    be of images that it was trained on.

    Args:
      stage: plan.Stage.

    Returns:
      Where its folder has been moved; None: it stays.
    """
    self._running = stage.name
    moved = None
    if stage.folder:
      origin = self._summary(*stage.origin)
      if (self._origins.get(stage.name, origin) != origin
          and os.path.isdir(stage.folder) and os.listdir(stage.folder)):
        moved = _free_name(stage.folder)
        os.rename(stage.folder, moved)
      self._origins[stage.name] = origin
    self._write()
    return moved

  def mark_done(self, stage: Any, command: str, seconds: float,
                changed: Sequence[str] = ()) -> None:
    """Notes that a stage has run.

    Args:
      stage: plan.Stage.
      command: str.
      seconds: float.
      changed: paths of files of earlier stages that it has changed.
    """
    # Last, so that of a file that two have written the later digest counts.
    self._done.pop(stage.name, None)
    self._done[stage.name] = {
        'command': command, 'seconds': round(seconds, 1),
        'inputs': self._inputs(stage),
        'outputs': {self._name(path): files.sha256(path)
                    for path in list(stage.outputs) + list(changed)}}
    self._running = None
    self._write()


def _free_name(path):
  """`path` with the first number for which there is no file."""
  return next(name for name in ('%s-%d' % (path, i) for i in itertools.count(1))
              if not os.path.exists(name))


def command_line(arguments: Sequence[str]) -> str:
  """A command as a person would type it."""
  return 'python ' + ' '.join(shlex.quote(a) for a in arguments)


def call(arguments: Sequence[str]) -> Tuple[int, Optional[int]]:
  """Runs a program; a signal to this one reaches it, and is waited for.

  Args:
    arguments: [str] of Python.

  Returns:
    Its exit code; the signal that came, or None.
  """
  environment = dict(os.environ, PYTHONUNBUFFERED='1')
  environment.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  received, started = [], []

  def pass_on(number, _):
    received.append(number)
    if number != signal.SIGINT:  # Ctrl-C on a terminal reaches both.
      for process in started:
        processes.send_signal(process, number)
  previous = {number: signal.signal(number, pass_on)
              for number in (signal.SIGINT, signal.SIGTERM)}
  try:
    started.append(subprocess.Popen([sys.executable] + list(arguments),
                                    env=environment))
    code = started[0].wait()
  finally:
    for number, handler in previous.items():
      signal.signal(number, handler)
  return (code if code >= 0 else 128 - code), next(iter(received), None)


def run(stage: Any, state: State, number: int, total: int,
        arguments: Optional[Sequence[str]] = None, changed: Any = (),
        show: Callable[[str], Any] = print) -> bool:
  """Runs a stage unless it is done.

  Args:
    stage: plan.Stage.
    state: State.
    number: int, its place.
    total: int, of the stages.
    arguments: [str] instead of those of the stage, or None.
    changed: see State.mark_done.
    show: a function of a str, prints a line.

  Returns:
    Whether it ran.

  Raises:
    StageError: when it fails, and after it when a signal came.
  """
  title = '[%d/%d] %s' % (number, total, stage.name)
  if state.is_done(stage):
    show('%s: done before.' % title)
    return False
  state.make_room(stage)
  moved = state.begin(stage)
  command = command_line(arguments or stage.arguments)
  show('\n%s' % title)
  if moved:
    show('The data or the flags have changed: it starts over. What there was '
         'is kept in %s.' % moved)
  show('$ %s' % command)
  start = time.time()
  code, number = call(arguments or stage.arguments)
  if code:
    raise StageError(
        'Stopped at "%s" (exit code %d); the reason is above. Once it is '
        'corrected, the same command resumes from there.' % (
            stage.name, code), code)
  missing = [path for path in stage.outputs if not os.path.exists(path)]
  if missing:
    raise StageError('"%s" ended without writing %s.' % (
        stage.name, ' and '.join(missing)))
  state.mark_done(stage, command, time.time() - start, changed)
  if number is not None:  # It came too late for the stage, not for the rest.
    raise StageError(
        'Stopped after "%s" by %s. The same command resumes from there.' % (
            stage.name, signal.Signals(number).name), 128 + number)
  return True
