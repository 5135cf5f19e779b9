"""Doubles for tests of the loops: an evaluation, its voice, and time."""

from executor import checkpoints


class Voice:
  """Notes what is said."""

  def __init__(self):
    self.said = []

  def say(self, state, doing, problems=(), progress=''):
    del progress
    if (state, doing, problems) not in self.said:
      self.said.append((state, doing, problems))


class Evaluation:
  """Notes what is evaluated; may fail or change the folder."""

  def __init__(self, during=None):
    self.paths = []
    self.config = None
    self.voice = Voice()
    self._during = during or (lambda path: None)

  @property
  def steps(self):
    return [checkpoints.step_of(path) for path in self.paths]

  def take_over(self, config):
    self.config = config

  def is_done(self, path):
    return path in self.paths

  def run(self, path):
    self._during(path)
    self.paths.append(path)


class Clock:
  """Time that passes by sleeping; `events` are called when it is theirs."""

  def __init__(self, events=()):
    self.now = 0
    self.slept = []
    self._events = sorted(events, key=lambda e: e[0])

  def __call__(self):
    return self.now

  def sleep(self, seconds):
    self.slept.append(seconds)
    self.now += seconds
    while self._events and self._events[0][0] <= self.now:
      self._events.pop(0)[1]()
