"""From the first request to a polite end."""

import asyncio
import signal
from typing import Any, Callable

from aiohttp import web

from serving.server import service as service_lib

# After a signal the answers are on their way; connections close then.
_CLOSE_S = 1.


class Server:
  """Listens until a signal comes.

  Attributes:
    address: (host, port), once it listens.
  """

  def __init__(self, app: web.Application, service: service_lib.Service,
               host: str = '127.0.0.1', port: int = 8501, grace_s: float = 30.,
               access_log: Any = None) -> None:
    """Takes what is served, and where.

    Args:
      app: aiohttp.web.Application.
      service: service.Service.
      host: str, the address to listen at.
      port: int; 0 takes a free one.
      grace_s: float, in which requests are answered after a signal.
      access_log: logging.Logger of requests, or None.
    """
    self._service, self._grace_s = service, grace_s
    self._where = host, port
    self._runner = web.AppRunner(
        app, handle_signals=False, access_log=access_log,
        # Bodies are decompressed with a limit; see admission.
        auto_decompress=False)
    self._signals = []

  async def run(self,
                on_ready: Callable[[Any], Any] = lambda address: None) -> int:
    """Serves until SIGTERM or SIGINT; a second one ends it at once.

    Args:
      on_ready: address -> None, called when it listens.

    Returns:
      int, how many requests were not answered.

    Raises:
      OSError: if the address cannot be had.
    """
    stop = asyncio.Event()
    await self.start()
    try:
      self._listen_to_signals(stop)
      on_ready(self.address)
      await stop.wait()
      return await self.stop()
    finally:
      await self._runner.cleanup()

  async def start(self) -> None:
    """Begins to listen."""
    await self._runner.setup()
    await web.TCPSite(self._runner, *self._where,
                      shutdown_timeout=_CLOSE_S).start()
    self.address = self._runner.addresses[0][:2]

  async def stop(self) -> int:
    """Answers what is inside, then closes; returns how many it could not."""
    hurry = asyncio.ensure_future(self._hurry())
    left = asyncio.ensure_future(self._service.drain(self._grace_s))
    await asyncio.wait([hurry, left], return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    left.cancel()
    num_left = self._service.admission.num_open
    await self._runner.cleanup()
    return num_left

  async def _hurry(self):
    """Ends with the second signal."""
    while len(self._signals) < 2:
      await asyncio.sleep(.05)

  def _listen_to_signals(self, stop):
    def on_signal(number):
      self._signals.append(number)
      stop.set()
    for number in (signal.SIGTERM, signal.SIGINT):
      asyncio.get_event_loop().add_signal_handler(number, on_signal, number)
