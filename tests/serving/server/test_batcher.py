"""Tests of serving.server.batcher: who is run with whom."""

from concurrent import futures
import threading

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving.server import batcher as batcher_lib
from serving.server import errors
from serving.server import served_model


def _signature(batch_size=None, name='s'):
  t = served_model.Tensor(tf.float32, [batch_size, 2], 'x:0', False)
  return served_model.Signature(name, 'predict', {'x': t}, {'y': t})


def _feeds(*rows):
  return {'x': np.array([[row, row] for row in rows], np.float32)}


class _Network:
  """Doubles its rows; waits until it is let go; fails on negative rows."""

  def __init__(self):
    self.calls, self.go = [], threading.Event()
    self.entered = threading.Event()

  def __call__(self, name, feeds):
    self.entered.set()
    assert self.go.wait(20)
    self.calls.append((name, feeds['x'][:, 0].tolist()))
    if (feeds['x'] < 0).any():
      raise ValueError('broken')
    return {'y': feeds['x'] * 2}


@pytest.fixture
def network():
  return _Network()


@pytest.fixture
def make(network):
  """Batchers whose first run waits, so that the queue fills."""
  made = []
  def make_one(**options):
    options.setdefault('batch_timeout_s', 0.)
    batcher = batcher_lib.Batcher(network, **options)
    made.append(batcher)
    blocked = batcher.submit(_signature(), _feeds(100))
    assert network.entered.wait(20)
    return batcher, blocked
  yield make_one
  network.go.set()
  for batcher in made:
    batcher.close()


def _rows(future):
  return future.result(20)['y'][:, 0].tolist()


def test_requests_are_merged_and_answers_are_their_own(make, network):
  batcher, blocked = make(max_batch_size=4)
  asked = [batcher.submit(_signature(), _feeds(*rows))
           for rows in ([1, 2], [3], [4, 5], [6])]
  assert len(batcher) == 4
  network.go.set()
  assert [_rows(f) for f in [blocked] + asked] == [
      [200], [2, 4], [6], [8, 10], [12]]
  # The third does not fit beside the first two; the fourth does.
  assert [rows for _, rows in network.calls] == [[100], [1, 2, 3, 6], [4, 5]]


def test_other_signatures_and_shapes_run_apart(make, network):
  batcher, _ = make()
  batcher.submit(_signature(), _feeds(1))
  batcher.submit(_signature(name='t'), _feeds(2))
  batcher.submit(_signature(), {'x': np.zeros([1, 3], np.float32)})
  last = batcher.submit(_signature(), _feeds(3))
  network.go.set()
  batcher.close()
  assert _rows(last) == [6]
  assert network.calls == [('s', [100]), ('s', [1, 3]), ('t', [2]), ('s', [0])]


def test_costs_limit_a_run(make, network):
  batcher, _ = make(max_cost=10)
  for cost, row in ((6, 1), (5, 2), (4, 3), (50, 4)):
    batcher.submit(_signature(), _feeds(row), cost)
  network.go.set()
  batcher.close()
  assert [rows for _, rows in network.calls] == [[100], [1, 3], [2], [4]]


def test_fixed_batches_are_filled_up(make, network):
  batcher, _ = make()
  many = batcher.submit(_signature(2), _feeds(1, 2, 3))
  network.go.set()
  assert _rows(many) == [2, 4, 6]
  assert [rows for _, rows in network.calls][1:] == [[1, 2], [3, 3]]


def test_long_requests_run_in_parts(make, network):
  batcher, _ = make(max_batch_size=2)
  many = batcher.submit(_signature(), _feeds(1, 2, 3))
  network.go.set()
  assert _rows(many) == [2, 4, 6]
  assert [rows for _, rows in network.calls][1:] == [[1, 2], [3]]


def test_a_broken_request_spoils_no_other(make, network):
  batcher, _ = make()
  good, bad, other = [batcher.submit(_signature(), _feeds(row))
                      for row in (1, -1, 2)]
  network.go.set()
  assert _rows(good) == [2] and _rows(other) == [4]
  with pytest.raises(ValueError, match='broken'):
    bad.result(20)
  assert _rows(batcher.submit(_signature(), _feeds(7))) == [14]


def test_answers_without_rows_are_not_shared():
  def network(name, feeds):
    del name
    return {'mean': feeds['x'].mean(), 'y': feeds['x']}
  batcher = batcher_lib.Batcher(network, batch_timeout_s=.2)
  asked = [batcher.submit(_signature(), _feeds(row)) for row in (1, 2)]
  assert [f.result(20)['mean'] for f in asked] == [1, 2]
  batcher.close()


def test_answers_without_rows_of_long_requests():
  def network(name, feeds):
    del name
    return {'mean': feeds['x'].mean(), 'y': feeds['x']}
  batcher = batcher_lib.Batcher(network, max_batch_size=2, batch_timeout_s=0.)
  assert batcher.submit(_signature(), _feeds(1, 2, 6)).result(20)['mean'] == 3
  with pytest.raises(errors.RequestError, match='takes 2 at once, not 3'):
    batcher.submit(_signature(2), _feeds(1, 2, 6)).result(20)
  batcher.close()


def test_a_request_waits_for_others():
  sizes = []
  def network(name, feeds):
    del name
    return {'y': feeds['x']}
  batcher = batcher_lib.Batcher(
      network, max_batch_size=3, batch_timeout_s=20.,
      on_batch=lambda rows, seconds: sizes.append(rows))
  asked = [batcher.submit(_signature(), _feeds(row)) for row in (1, 2, 3)]
  assert [_rows(f) for f in asked] == [[1], [2], [3]]  # sooner than in 20 s
  assert sizes == [3]
  batcher.close()


def test_who_is_gone_is_not_answered(make, network):
  batcher, _ = make()
  gone = batcher.submit(_signature(), _feeds(1), is_wanted=lambda: False)
  cancelled = batcher.submit(_signature(), _feeds(2))
  assert cancelled.cancel()
  network.go.set()
  batcher.close()
  with pytest.raises(futures.CancelledError):
    gone.result(20)
  assert [rows for _, rows in network.calls] == [[100]]


def test_long_waits_are_refused(network):
  network.go.set()
  batcher = batcher_lib.Batcher(network, batch_timeout_s=0.,
                                queue_timeout_s=-1.)
  late = batcher.submit(_signature(), _feeds(1))
  with pytest.raises(errors.RequestError, match='waited') as e:
    late.result(20)
  assert e.value.status == 503 and e.value.headers() == {'Retry-After': '1'}
  batcher.close()


def test_close_answers_what_waits(make, network):
  batcher, blocked = make()
  waiting = batcher.submit(_signature(), _feeds(1))
  network.go.set()
  batcher.close()
  assert blocked.done() and _rows(waiting) == [2]
  assert not batcher.is_alive()
  with pytest.raises(errors.RequestError, match='stopping'):
    batcher.submit(_signature(), _feeds(2))
