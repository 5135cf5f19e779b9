"""Requests that wait, run together by one thread."""

import collections
from concurrent import futures
import threading
import time
from typing import Callable, Dict, Mapping, NamedTuple, Optional

import numpy as np

from serving.server import errors
from serving.server import served_model


class _Item(NamedTuple):
  """What waits.

  Attributes:
    signature: that is asked.
    feeds: by key.
    cost: its cost.
    is_wanted: whether anybody still waits for the answer.
    since: seconds.
    future: future with {key: array}.
  """
  signature: served_model.Signature
  feeds: Mapping[str, np.ndarray]
  cost: int
  is_wanted: Callable[[], bool]
  since: float
  future: futures.Future


class Batcher:
  """Merges requests that fit together into one run of the network.

  A request whose rows (the first dimension of its arrays) can stand beside
  those of others waits a moment for such. If the run of several fails, each is
  run alone: a broken image spoils no other request. A thread of its own runs
  one batch at a time.
  """

  def __init__(
      self,
      run: Callable[[str, Mapping[str, np.ndarray]], Dict[str, np.ndarray]],
      max_batch_size: int = 8, batch_timeout_s: float = .005,
      queue_timeout_s: float = 30., max_cost: Optional[int] = None,
      on_batch: Optional[Callable[[int, float], None]] = None) -> None:
    """Starts the thread.

    Args:
      run: (signature name, {key: array [B, ...]}) -> {key: array [B, ...]}.
      max_batch_size: int, rows of one run, where the graph leaves it free.
      batch_timeout_s: float, how long a request waits for others.
      queue_timeout_s: float; a request that waited longer is refused.
      max_cost: int, what the requests of one run may cost together; a dearer
        one runs alone.
      on_batch: (number of rows, seconds) -> None, called after each run.
    """
    self._run_graph, self._on_batch = run, on_batch or (lambda *_: None)
    self._max_batch_size = max_batch_size
    self._batch_timeout_s = batch_timeout_s
    self._queue_timeout_s = queue_timeout_s
    self._max_cost = float('inf') if max_cost is None else max_cost
    self._alone = set()  # merge keys whose answers have no row for each row
    self._waiting, self._changed = collections.deque(), threading.Condition()
    self._is_closed = False
    self._thread = threading.Thread(target=self._work, name='batches',
                                    daemon=True)
    self._thread.start()

  def submit(self, signature: served_model.Signature,
             feeds: Mapping[str, np.ndarray], cost: int = 0,
             is_wanted: Callable[[], bool] = lambda: True) -> futures.Future:
    """Queues a request.

    Args:
      signature: served_model.Signature.
      feeds: {key: array [B, ...]}.
      cost: int, for instance pixels.
      is_wanted: () -> bool, whether anybody still waits for the answer.

    Returns:
      concurrent.futures.Future of {key: array [B, ...]}. It raises
      RequestError, or what the run raised.

    Raises:
      RequestError: if the server is stopping.
    """
    item = _Item(signature, feeds, cost, is_wanted, time.monotonic(),
                 futures.Future())
    with self._changed:
      if self._is_closed:
        raise errors.overloaded('The server is stopping.', 'stopping')
      self._waiting.append(item)
      self._changed.notify()
    return item.future

  def __len__(self):
    """How many requests wait."""
    return len(self._waiting)

  def is_alive(self) -> bool:
    """Whether the thread works."""
    return self._thread.is_alive()

  def close(self) -> None:
    """Answers what waits, then ends the thread."""
    with self._changed:
      self._is_closed = True
      self._changed.notify()
    self._thread.join()

  def _work(self):
    while True:
      items = self._next()
      if items is None:
        return
      self._execute([item for item in items if self._is_due(item)])

  def _next(self):
    """The requests of the next run; None when there will be no more."""
    with self._changed:
      while not self._waiting:
        if self._is_closed:
          return None
        self._changed.wait()
      first = self._waiting[0]
      limit, key = self._limit(first), self._merge_key(first)
      deadline = first.since + self._batch_timeout_s
      while self._num_rows(key) < limit and not self._is_closed:
        if not self._changed.wait(max(0., deadline - time.monotonic())):
          break
      return self._take(key, limit)

  def _limit(self, item):
    """The number of rows of a run with this request."""
    if self._merge_key(item) is None:
      return 0
    return item.signature.batch_size or self._max_batch_size

  def _merge_key(self, item):
    """Equal for requests that can be merged; None for one that runs alone."""
    if num_rows(item.feeds) is None:
      return None
    key = (item.signature.name,) + tuple(
        (name, value.dtype.str, value.shape[1:])
        for name, value in sorted(item.feeds.items()))
    return None if key in self._alone else key

  def _num_rows(self, key):
    return sum(num_rows(item.feeds) for item in self._waiting
               if self._merge_key(item) == key) if key else 0

  def _take(self, key, limit):
    """Removes the first request from the queue, and those that fit to it."""
    taken = [self._waiting.popleft()]
    if key is None:
      return taken
    rows, cost = num_rows(taken[0].feeds), taken[0].cost
    others = collections.deque()
    while self._waiting:
      item = self._waiting.popleft()
      if self._merge_key(item) == key and (
          rows + num_rows(item.feeds) <= limit
          and cost + item.cost <= self._max_cost):
        taken.append(item)
        rows, cost = rows + num_rows(item.feeds), cost + item.cost
      else:
        others.append(item)
    self._waiting.extend(others)
    return taken

  def _is_due(self, item):
    """Whether a request should be run now; refuses it if it waited long."""
    if not item.is_wanted():
      item.future.cancel()
    if not item.future.set_running_or_notify_cancel():
      return False
    waited = time.monotonic() - item.since
    if waited > self._queue_timeout_s:
      item.future.set_exception(errors.overloaded(
          'The request waited for %.0f seconds, too long.' % waited,
          'queue_timeout'))
      return False
    return True

  def _execute(self, items):
    """Runs requests together and answers them."""
    if not items:
      return
    try:
      answers = self._answers(items)
    except Exception as e:  # pylint: disable=broad-except
      # The thread goes on, whatever a request brings.
      answers = e if len(items) == 1 else None
    if answers is None:
      for item in items:
        self._execute([item])
    elif isinstance(answers, Exception):
      items[0].future.set_exception(answers)
    else:
      for item, answer in zip(items, answers):
        item.future.set_result(answer)

  def _answers(self, items):
    """[{key: array}] of requests; None if they cannot be run together."""
    signature = items[0].signature
    if len(items) == 1:
      return [self._run(signature, items[0].feeds)]
    counts = [num_rows(item.feeds) for item in items]
    answers = self._run(signature, {
        key: np.concatenate([item.feeds[key] for item in items])
        for key in items[0].feeds})
    if any(value.shape[:1] != (sum(counts),) for value in answers.values()):
      self._alone.add(self._merge_key(items[0]))
      return None
    stops = np.cumsum(counts)
    return [{key: value[stop - count:stop] for key, value in answers.items()}
            for count, stop in zip(counts, stops)]

  def _run(self, signature, feeds):
    """Runs rows in parts that the graph takes, the last one filled up."""
    count = num_rows(feeds)
    size = signature.batch_size or self._max_batch_size
    if not count or (signature.batch_size is None and count <= size):
      return self._timed(signature, feeds, count or 1)
    parts = []
    for start in range(0, count, size):
      part = {key: value[start:start + size] for key, value in feeds.items()}
      rows = num_rows(part)
      if signature.batch_size:
        part = {key: np.concatenate([value] + [value[-1:]] * (size - rows))
                for key, value in part.items()}
      answer = self._timed(signature, part, rows)
      if num_rows(answer) != num_rows(part):
        return self._of_one_part(signature, feeds, answer)
      parts.append({key: value[:rows] for key, value in answer.items()})
    return {key: np.concatenate([part[key] for part in parts])
            for key in parts[0]}

  def _of_one_part(self, signature, feeds, answer):
    """The answer to a request that cannot be put together from parts."""
    count = num_rows(feeds)
    if signature.batch_size is None:
      return self._timed(signature, feeds, count)
    if count > signature.batch_size:
      raise errors.RequestError(
          'The model takes %d at once, not %d, and its answers cannot be put '
          'together.' % (signature.batch_size, count))
    return {key: value[:count] if value.shape[:1] == (signature.batch_size,)
            else value for key, value in answer.items()}

  def _timed(self, signature, feeds, rows):
    start = time.monotonic()
    answers = self._run_graph(signature.name, feeds)
    self._on_batch(rows, time.monotonic() - start)
    return answers


def num_rows(feeds: Mapping[str, np.ndarray]) -> Optional[int]:
  """The first dimension that all arrays share; None if they do not.

  Args:
    feeds: {key: array [B, ...]}.
  """
  counts = {value.shape[0] if value.ndim else None for value in feeds.values()}
  return counts.pop() if len(counts) == 1 else None
