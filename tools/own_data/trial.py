"""Measures how many training steps fit into some minutes, by a short trial."""

import os
import subprocess
import sys
import tempfile
import time
import typing
from typing import Any, Callable, List, Sequence

from modeling import storage

_STEPS = 60  # at most
_SETTLED = 4  # steps after which the pipeline is filled and memory is there
# What a trial has to last, from its first step on.
_LEAST_STEPS, _LEAST_SECONDS = _SETTLED + 4, 15.
_POLL_SECONDS = .3
# Time of an image in evaluation over that in training, about: the latter also
# has a backward pass.
_EVAL_SHARE = .6
_TAIL = 3000  # characters of what a trial that failed has printed


class TrialError(Exception):
  """A trial that failed, with what it printed; `code` is its exit code."""

  def __init__(self, message: str, code: int) -> None:
    super().__init__(message)
    self.code = code


class Trial(typing.NamedTuple):
  """Times of a trial.

  Attributes:
    start_seconds: seconds until the first step is done.
    step_seconds: time of a step in seconds.
    batch_size: images of a step.
  """
  start_seconds: float
  step_seconds: float
  batch_size: int

  def steps_in(self, seconds: float, num_eval_images: int, least: int) -> int:
    """Steps of a training run that fit, with an evaluation after it.

    Args:
      seconds: float, for all.
      num_eval_images: int, of the evaluation.
      least: int, the least number that is returned.
    """
    evaluation = self.start_seconds + num_eval_images * (
        _EVAL_SHARE * self.step_seconds / self.batch_size)
    left = seconds - self.start_seconds - evaluation
    return max(least, int(left / self.step_seconds))


def command(config_file: str, model_dir: str) -> List[str]:
  """Arguments of Python that train some steps in a folder."""
  return ['main.py', '--mode=train', '--config_file=' + config_file,
          '--model_dir=' + model_dir,
          '--params_override=train.total_steps=%d,train.log_every_steps=1,'
          'train.learning_rate.warmup_steps=0' % _STEPS]


def run(config_file: str, batch_size: int,
        show: Callable[[str], Any] = print) -> Trial:
  """Trains some steps in a temporary folder, and measures them.

  Args:
    config_file: the path of the configuration.
    batch_size: int, that of the configuration.
    show: a function of a str, prints a line.

  Returns:
    Trial.

  Raises:
    TrialError: when training fails.
  """
  with tempfile.TemporaryDirectory(prefix='trial') as folder:
    arguments = command(config_file, folder)
    show('$ python ' + ' '.join(arguments))
    start = time.time()
    log = os.path.join(folder, 'train_metrics.jsonl')
    with open(os.path.join(folder, 'output'), 'w+') as output:
      process = subprocess.Popen([sys.executable] + arguments, stdout=output,
                                 stderr=subprocess.STDOUT)
      try:
        while process.poll() is None and not _is_enough(_times(log)):
          time.sleep(_POLL_SECONDS)
      finally:
        is_over = process.poll() is not None
        process.kill()  # Nothing of it is kept.
        process.wait()
      if is_over and process.returncode:
        output.seek(0)
        raise TrialError('The trial failed:\n%s' % output.read()[-_TAIL:],
                         process.returncode)
    return of_times(_times(log), start, batch_size)


def _times(path):
  """[float], when each step was done."""
  return [entry['time'] for entry in storage.read_json_lines(path)]


def _is_enough(times):
  return (len(times) >= _LEAST_STEPS
          and times[-1] - times[0] >= _LEAST_SECONDS)


def of_times(times: Sequence[float], start: float, batch_size: int) -> Trial:
  """Trial of the times of its steps.

  Args:
    times: [float], when each step was done; two at least.
    start: float, when it was started.
    batch_size: int.
  """
  settled = times[min(_SETTLED, len(times) - 2):]
  return Trial(times[0] - start, max(
      (settled[-1] - settled[0]) / (len(settled) - 1), 1e-4), batch_size)
