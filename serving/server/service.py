"""The work behind the addresses: limits, queue, network, answer."""

import asyncio
from concurrent import futures
import functools
from typing import Any, Callable, Dict, Mapping, Optional

import numpy as np

from serving.server import admission as admission_lib
from serving.server import batcher as batcher_lib
from serving.server import errors
from serving.server import image_limits
from serving.server import metrics as metrics_lib
from serving.server import served_model
from utils import types

_NUM_THREADS = 2  # that read and write JSON while the network runs


class Limits:
  """What a server takes at most.

  Attributes:
    max_requests: int, inside at once; more are asked to come again.
    max_body_bytes: int, of one request.
    max_bytes: int, of the bodies of all requests together.
    max_pixels: int, of the images of one request, and of those of one run.
    max_rows: int, of one request.
    max_batch_size: int, rows of one run of the network.
    batch_timeout_s: float, how long a request waits for others.
    body_timeout_s: float, in which a body has to come.
    request_timeout_s: float, from the end of the body to the answer.
  """

  def __init__(self, **changes: Any) -> None:
    """Takes attributes that differ from the defaults.

    Raises:
      TypeError: for one that does not exist.
    """
    self.max_requests, self.max_rows = 128, 128
    self.max_body_bytes, self.max_bytes = 2**25, 2**28
    self.max_pixels = 2**26
    self.max_batch_size, self.batch_timeout_s = 8, .005
    self.body_timeout_s, self.request_timeout_s = 30., 60.
    for name, value in changes.items():
      if not hasattr(self, name):
        raise TypeError('There is no limit %r.' % name)
      setattr(self, name, value)


class Service:
  """A model that answers requests of many clients.

  Attributes:
    name: str, of the model in addresses.
    model: served_model.ServedModel.
    limits: Limits.
    admission: admission.Admission.
    metrics: metrics.Metrics.
  """

  def __init__(self, model: Any, name: str, limits: Optional[Limits] = None,
               class_names: Optional[types.LabelMap] = None) -> None:
    """Starts the thread that runs the network.

    Args:
      model: served_model.ServedModel, or what stands in for it.
      name: str.
      limits: Limits.
      class_names: {class id: name} for classifiers.
    """
    self.model, self.name = model, name
    self.limits = limits or Limits()
    self.class_names = class_names or {}
    self.metrics = metrics_lib.Metrics(name, model.version)
    self.admission = admission_lib.Admission(
        self.limits.max_requests, self.limits.max_body_bytes,
        self.limits.max_bytes)
    self._batcher = batcher_lib.Batcher(
        model.run, self.limits.max_batch_size, self.limits.batch_timeout_s,
        queue_timeout_s=self.limits.request_timeout_s,
        max_cost=self.limits.max_pixels, on_batch=self.metrics.batch)
    self._pool = futures.ThreadPoolExecutor(_NUM_THREADS)
    self.metrics.watch(
        requests_inside=lambda: self.admission.num_requests,
        queue=lambda: len(self._batcher),
        bytes=lambda: self.admission.num_bytes)

  async def read(self, place: Any, request: Any) -> bytes:
    """The body of a request; see admission.

    Raises:
      RequestError: if it is too large, or does not arrive in time.
    """
    try:
      return await asyncio.wait_for(place.read(request),
                                    self.limits.body_timeout_s)
    except asyncio.TimeoutError:
      raise errors.RequestError('The body did not arrive within %g seconds.' % (
          self.limits.body_timeout_s), 408, 'body')

  async def in_thread(self, function: Callable[..., Any],
                      *arguments: Any) -> Any:
    """Runs a function beside the event loop."""
    return await asyncio.get_event_loop().run_in_executor(
        self._pool, functools.partial(function, *arguments))

  def check(self, signature: served_model.Signature,
            feeds: Mapping[str, np.ndarray]) -> int:
    """The pixels of a request.

    Args:
      signature: served_model.Signature.
      feeds: {key: array [B, ...]}.

    Raises:
      RequestError: for too many rows or pixels.
    """
    rows = batcher_lib.num_rows(feeds) or 1
    if rows > self.limits.max_rows:
      raise errors.RequestError(
          'The request has %d rows, more than the %d that are allowed.' % (
              rows, self.limits.max_rows), 413, 'rows')
    return image_limits.check(feeds, signature, self.limits.max_pixels)

  async def run(
      self, signature: served_model.Signature, feeds: Mapping[str, np.ndarray],
      cost: int = 0,
      is_wanted: Callable[[], bool] = lambda: True) -> Dict[str, np.ndarray]:
    """Runs the network, with other requests.

    Args:
      signature: served_model.Signature.
      feeds: {key: array [B, ...]}.
      cost: int, of `check`.
      is_wanted: () -> bool, whether the client is still there.

    Returns:
      {key: array [B, ...]}.

    Raises:
      RequestError: if the answer takes too long; or what the run raised.
    """
    future = self._batcher.submit(signature, feeds, cost, is_wanted)
    try:
      return await asyncio.wait_for(asyncio.wrap_future(future),
                                    self.limits.request_timeout_s)
    except asyncio.TimeoutError:
      raise self._too_late()

  def run_and_wait(self, signature: served_model.Signature,
                   feeds: Mapping[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """`check` and `run` for another thread than that of the event loop.

    Args:
      signature: served_model.Signature.
      feeds: {key: array [B, ...]}.

    Returns:
      {key: array [B, ...]}.

    Raises:
      RequestError: see `check`; and if the answer takes too long.
    """
    future = self._batcher.submit(signature, feeds,
                                  self.check(signature, feeds))
    try:
      return future.result(self.limits.request_timeout_s)
    except futures.TimeoutError:
      future.cancel()
      raise self._too_late()

  def _too_late(self):
    return errors.RequestError('There was no answer within %g seconds.' % (
        self.limits.request_timeout_s), 504, 'timeout')

  def is_alive(self) -> bool:
    """Whether the network can be run."""
    return self._batcher.is_alive()

  async def drain(self, seconds: float) -> int:
    """Lets nothing in and waits until everybody is answered.

    Args:
      seconds: float, to wait at most.

    Returns:
      int, how many were not answered.
    """
    self.admission.is_stopping = True
    loop = asyncio.get_event_loop()
    deadline = loop.time() + seconds
    while self.admission.num_open and loop.time() < deadline:
      await asyncio.sleep(.02)
    return self.admission.num_open

  def close(self, wait: bool = True) -> None:
    """Ends the threads.

    Args:
      wait: bool, whether what still waits is run before.
    """
    if wait:
      self._batcher.close()
    self._pool.shutdown(wait)
