"""How much work is let in, so that memory stays bounded."""

import contextlib
from typing import Any, Iterator
import zlib

from serving.server import errors

_ENCODINGS = ('', 'identity', 'gzip', 'deflate')
_CHUNK = 2**16  # bytes decompressed at once


class Admission:
  """Counts requests and the bytes of their bodies.

  All methods are called by the thread of the event loop.

  Attributes:
    num_requests: int, that are read, wait or are worked on.
    num_open: int, whose answer is not sent in full, probes too.
    num_bytes: int, of bodies that are held.
    is_stopping: bool; nothing new is let in.
  """

  def __init__(self, max_requests: int = 128, max_body_bytes: int = 2**25,
               max_bytes: int = 2**28) -> None:
    """Takes the limits.

    Args:
      max_requests: int, that are read, wait or are answered at once.
      max_body_bytes: int, of one body.
      max_bytes: int, of all bodies together.
    """
    self._max_requests, self._max_bytes = max_requests, max_bytes
    self._max_body_bytes = max_body_bytes
    self.num_requests = self.num_open = self.num_bytes = 0
    self.is_stopping = False

  @contextlib.contextmanager
  def place(self) -> Iterator[Any]:
    """Holds the place of one request.

    Yields:
      _Place, which reads the body.

    Raises:
      RequestError: if there is none.
    """
    if self.is_stopping:
      raise errors.overloaded('The server is stopping.', 'stopping')
    if self.num_requests >= self._max_requests:
      raise errors.overloaded(
          'The server has %d requests in progress and accepts no more: try '
          'again later.' % self.num_requests, 'queue_full')
    place = _Place(self)
    self.num_requests += 1
    try:
      yield place
    finally:
      self.num_requests -= 1
      self.num_bytes -= place.held

  @contextlib.contextmanager
  def open(self) -> Iterator[None]:
    """Counts a request until its answer is sent."""
    self.num_open += 1
    try:
      yield
    finally:
      self.num_open -= 1

  def check_body(self, size: int) -> None:
    """Checks the length of a body.

    Raises:
      RequestError: for a body of too many bytes.
    """
    if size > self._max_body_bytes:
      raise errors.RequestError(
          'The body has more than the %d bytes that are allowed.' % (
              self._max_body_bytes), 413, 'body')

  def hold(self, size: int) -> None:
    """Counts bytes.

    Raises:
      RequestError: if there is no room for them.
    """
    if self.num_bytes + size > self._max_bytes:
      raise errors.overloaded('The requests in progress have reached '
                              'the allowed number of bytes: try '
                              'again later.', 'bytes')
    self.num_bytes += size


class _Place:
  """What one request holds; `held` bytes."""

  def __init__(self, admission):
    self._admission, self.held = admission, 0

  async def read(self, request):
    """The body of a request, decompressed.

    Args:
      request: aiohttp.web.Request of a server that does not decompress.

    Returns:
      bytes.

    Raises:
      RequestError: if it is too large, or compressed in an unknown way.
    """
    encoding = request.headers.get('Content-Encoding', '').lower()
    if encoding not in _ENCODINGS:
      raise errors.RequestError(
          'Bodies must be uncompressed, gzip or deflate.', 415, 'body')
    self._admission.check_body(request.content_length or 0)
    parts, size = [], 0
    async for chunk in request.content.iter_any():
      size += len(chunk)
      self._hold(size, len(chunk))
      parts.append(chunk)
    body = b''.join(parts)
    if encoding in ('gzip', 'deflate'):
      return self._decompressed(body)
    return body

  def _hold(self, size, more):
    self._admission.check_body(size)
    self._admission.hold(more)
    self.held += more

  def _decompressed(self, body):
    """bytes of gzip or zlib; a small body can stand for a huge one."""
    stream, parts, size = zlib.decompressobj(32 + zlib.MAX_WBITS), [], 0
    while body and not stream.eof:
      try:
        part = stream.decompress(body, _CHUNK)
      except zlib.error as e:
        raise errors.RequestError('The body cannot be decompressed: %s.' % e)
      size += len(part)
      self._hold(size, len(part))
      parts.append(part)
      body = stream.unconsumed_tail
    if not stream.eof:
      raise errors.RequestError('The compressed body is truncated.')
    return b''.join(parts)
