"""Tests of tools/benchmarks/latency.py."""

import pytest

from tools.benchmarks import latency


def test_functions_take_turns():
  calls = []
  timed = latency.measure({'a': lambda: calls.append('a'),
                           'b': lambda: calls.append('b')}, 3, 2)
  assert calls == ['a', 'b'] * 5
  assert list(timed) == ['a', 'b']
  assert [len(t.walls) for t in timed.values()] == [3, 3]
  assert all(t.warm_up >= t.first >= 0 for t in timed.values())


def test_without_warm_up():
  timed = latency.measure({'a': lambda: None}, 1, 0)['a']
  assert timed.warm_up == 0 and timed.first == timed.walls[0]


def test_figures():
  # 1, 2, ..., 101 ms: the percentiles are these numbers.
  walls = [1e-3 * (i + 1) for i in range(101)]
  figures = latency.summary(
      latency.Latencies(.5, 2., walls[::-1], [2e-3] * 101), 8)
  assert figures == {
      'first_call_ms': 500., 'warm_up_ms': 2000., 'runs': 101,
      'p50_ms': pytest.approx(51.), 'p90_ms': pytest.approx(91.),
      'p99_ms': pytest.approx(100.), 'mean_ms': pytest.approx(51.),
      'min_ms': pytest.approx(1.), 'max_ms': pytest.approx(101.),
      'cpu_ms': pytest.approx(2.),
      'images_per_second': pytest.approx(8 / .051)}
  title, line = latency.table([(8, 'network', figures)])
  assert len(title) == len(line)
  assert line.split() == ['8', 'network', '500', '51', '91', '100', '51', '2',
                          '156.9']
