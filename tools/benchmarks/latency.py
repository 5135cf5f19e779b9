"""How long a function takes, call by call: percentiles and throughput."""

import collections
import time
from typing import (
  Any,
  Callable,
  Dict,
  List,
  Mapping,
  NamedTuple,
  Sequence,
  Tuple,
)

import numpy as np

PERCENTILES = (50, 90, 99)


class Latencies(NamedTuple):
  """Seconds of calls.

  Attributes:
    first: the first call, which prepares what later ones use.
    warm_up: all calls before those that are timed.
    walls: wall time of each timed call.
    cpus: CPU time of each timed call.
  """
  first: float
  warm_up: float
  walls: List[float]
  cpus: List[float]


def measure(functions: Mapping[str, Callable[[], Any]], num_runs: int,
            warm_up: int) -> Dict[str, Latencies]:
  """Times functions in turns, so that all see the same disturbances.

  Args:
    functions: {name: function without arguments}.
    num_runs: int, timed calls of each.
    warm_up: int, calls of each before, which are told apart.

  Returns:
    {name: Latencies}, in the order of `functions`.
  """
  calls = collections.OrderedDict((name, []) for name in functions)
  for _ in range(warm_up + num_runs):
    for name, function in functions.items():
      cpu, wall = time.process_time(), time.perf_counter()
      function()
      calls[name].append((time.perf_counter() - wall,
                          time.process_time() - cpu))
  return collections.OrderedDict(
      (name, _latencies(pairs, warm_up)) for name, pairs in calls.items())


def _latencies(pairs, warm_up):
  walls, cpus = zip(*pairs)
  return Latencies(walls[0], sum(walls[:warm_up]), walls[warm_up:],
                   cpus[warm_up:])


def summary(latencies: Latencies, batch_size: int) -> Dict[str, float]:
  """The figures of one function, as plain values.

  Args:
    latencies: Latencies.
    batch_size: int, images of one call.

  Returns:
    OrderedDict of milliseconds and of images per second. Percentiles are
    interpolated; the 99th of fewer than 100 calls lies close to the slowest.
  """
  walls = 1e3 * np.array(latencies.walls)
  figures = collections.OrderedDict([
      ('first_call_ms', 1e3 * latencies.first),
      ('warm_up_ms', 1e3 * latencies.warm_up), ('runs', len(walls))])
  for percentile in PERCENTILES:
    figures['p%d_ms' % percentile] = float(np.percentile(walls, percentile))
  figures.update(
      mean_ms=float(walls.mean()), min_ms=float(walls.min()),
      max_ms=float(walls.max()),
      cpu_ms=1e3 * float(np.mean(latencies.cpus)),
      images_per_second=1e3 * batch_size / float(walls.mean()))
  return figures


def table(results: Sequence[Tuple[int, str, Mapping[str, float]]]) -> List[str]:
  """The figures as lines of text.

  Args:
    results: [(batch size, name, figures of `summary`)].

  Returns:
    [str].
  """
  lines = ['%5s  %-10s %9s %9s %9s %9s %9s %10s %10s' % (
      'batch', 'what', 'first ms', 'p50 ms', 'p90 ms', 'p99 ms', 'mean ms',
      'CPU ms', 'images/s')]
  lines += ['%5d  %-10s %9.4g %9.4g %9.4g %9.4g %9.4g %10.4g %10.4g' % (
      (batch_size, name) + tuple(figures[key] for key in (
          'first_call_ms', 'p50_ms', 'p90_ms', 'p99_ms', 'mean_ms', 'cpu_ms',
          'images_per_second')))
            for batch_size, name, figures in results]
  return lines
