"""Timing of TensorFlow operations on a machine that others use, too.

CPU seconds of the process are the steady figure there, wall time is not. What
is to be compared runs in turns (A-B-A-B), so that both see the same
disturbances, and medians are reported.
"""

import collections
import json
import platform
import resource
import statistics
import time
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional

import tensorflow.compat.v1 as tf

from utils import files


class Timing(NamedTuple):
  """Seconds of one run.

  Attributes:
    cpu: median.
    wall: median.
    cpu_min: the least disturbed run.
    runs: number of runs.
  """
  cpu: float
  wall: float
  cpu_min: float
  runs: int


_INPUTS = 'benchmark_inputs'  # graph collection, not that of model variables


def measure(functions: Mapping[str, Callable[[], Any]], repeats: int,
            warmup: int = 2) -> Dict[str, Timing]:
  """Times functions in turns.

  Args:
    functions: {name: function without arguments}.
    repeats: int, timed runs of each.
    warmup: int, runs of each before, which are not timed.

  Returns:
    {name: Timing}, in the order of `functions`.
  """
  runs = {name: [] for name in functions}
  for turn in range(warmup + repeats):
    for name, function in functions.items():
      cpu, wall = time.process_time(), time.perf_counter()
      function()
      cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
      if turn >= warmup:
        runs[name].append((cpu, wall))
  results = collections.OrderedDict()
  for name, pairs in runs.items():
    cpus, walls = zip(*pairs)
    results[name] = Timing(statistics.median(cpus), statistics.median(walls),
                           min(cpus), len(pairs))
  return results


def stored(value: Any) -> tf.Tensor:
  """A tensor with this value that is neither fed nor constant.

  Feeding would be timed, and work on constants would be done in advance.

  Args:
    value: NumPy array.

  Returns:
    tensor; `Job` fills the variable behind it.
  """
  source = tf.placeholder(value.dtype, value.shape)
  variable = tf.Variable(source, trainable=False, use_resource=True,
                         collections=[])
  tf.add_to_collection(_INPUTS, (variable.initializer, source, value))
  return variable.read_value()


class Job:
  """A graph with its session; a function without arguments that runs it."""

  def __init__(self, build: Callable[[], Any]) -> None:
    """Builds and initialises.

    Args:
      build: function without arguments that returns what to compute, a nest of
        tensors and operations, in the default graph.
    """
    self._graph = tf.Graph()
    with self._graph.as_default():
      tf.set_random_seed(0)
      fetches = tf.nest.flatten(build())
      initializer = tf.global_variables_initializer()
      self._session = tf.Session()
      self._session.run(initializer)
      for initializer, source, value in tf.get_collection(_INPUTS):
        self._session.run(initializer, {source: value})
      # Operations rather than tensors: copying results out is not the work.
      self._run = self._session.make_callable(
          [fetch if isinstance(fetch, tf.Operation) else fetch.op
           for fetch in fetches])

  def __call__(self) -> None:
    self._run()

  def close(self) -> None:
    """Frees the memory of the session."""
    self._session.close()


def report(timings: Mapping[str, Timing], unit: str,
           references: Optional[Mapping[str, float]] = None) -> List[str]:
  """The timings as lines of text.

  Args:
    timings: {name: Timing}.
    unit: 's' or 'ms'.
    references: {name: seconds of CPU that the reference takes}.

  Returns:
    [str].
  """
  factor = {'s': 1., 'ms': 1e3}[unit]
  width = max([len(name) for name in timings] + [4])
  lines = ['%-*s %12s %12s %12s %14s' % (
      width, 'name', 'CPU ' + unit, 'least CPU', 'wall ' + unit,
      'reference CPU')]
  for name, timing in timings.items():
    reference = (references or {}).get(name)
    lines.append('%-*s %12.4g %12.4g %12.4g %14s' % (
        width, name, factor * timing.cpu, factor * timing.cpu_min,
        factor * timing.wall,
        '-' if reference is None else '%.4g' % (factor * reference)))
  return lines


def peak_memory() -> float:
  """The most memory this process has held, in GB."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def write_json(path: str, timings: Mapping[str, Timing],
               **settings: Dict[str, Any]) -> None:
  """Writes the timings and what they were taken with.

  Args:
    path: the path of the file.
    timings: {name: Timing}.
    **settings: what else belongs to the record.
  """
  record = dict(settings, tensorflow=tf.__version__,
                python=platform.python_version(), peak_memory_gb=peak_memory(),
                seconds={name: timing._asdict()
                         for name, timing in timings.items()})
  files.write_atomically(path, json.dumps(record, indent=1) + '\n')
