"""The aiohttp application of a service."""

import asyncio
import logging
import time
from typing import Any

from aiohttp import web

from serving.server import errors
from serving.server import metrics as metrics_lib
from serving.server import rest
from serving.server import service as service_lib

_METRICS_PATHS = ('/metrics', '/monitoring/prometheus/metrics')
_METHODS = {'/': 'page', '/answer': 'answer', '/healthz': 'probe',
            '/readyz': 'probe', '/metrics': 'metrics',
            '/monitoring/prometheus/metrics': 'metrics'}
_CLIENT_GONE = 499  # as proxies count it


def make(service: service_lib.Service, page: Any = None) -> web.Application:
  """Builds the application.

  Args:
    service: service.Service.
    page: page.Page, or None: no page.

  Returns:
    aiohttp.web.Application.
  """
  app = web.Application(middlewares=[_Middleware(service).handle])
  rest.Rest(service).add_to(app)
  probes = _Probes(service)
  app.router.add_get('/healthz', probes.alive)
  app.router.add_get('/readyz', probes.ready)
  for path in _METRICS_PATHS:
    app.router.add_get(path, probes.metrics)
  if page:
    page.add_to(app)
  return app


def _method(path):
  """What an address asks for, as the metrics call it: one of a few words."""
  return rest.method(path) or _METHODS.get(path, 'other')


class _Probes:
  """Addresses for those who watch the server."""

  def __init__(self, service):
    self._service = service

  async def alive(self, request):
    """Whether the process works; restart it if not."""
    del request
    if self._service.is_alive():
      return web.Response(text='ok\n')
    raise errors.RequestError('The thread of the network has ended.', 500,
                              'internal')

  async def ready(self, request):
    """Whether it takes requests."""
    del request
    if self._service.admission.is_stopping:
      raise errors.overloaded('The server is stopping.', 'stopping')
    return web.Response(text='ok\n')

  async def metrics(self, request):
    """Figures for Prometheus."""
    del request
    return web.Response(body=self._service.metrics.text(), headers={
        'Content-Type': metrics_lib.CONTENT_TYPE})


class _Middleware:
  """Turns exceptions into answers, sends them, and counts."""

  def __init__(self, service):
    self._service = service

  @property
  def handle(self):
    """The function that aiohttp calls."""
    @web.middleware
    async def handle(request, handler):
      start = time.monotonic()
      status = _CLIENT_GONE
      try:
        with self._service.admission.open():
          response = await self._answer(request, handler)
          await self._send(request, response)
          status = response.status
        return response
      except ConnectionError:
        return web.Response(status=_CLIENT_GONE)  # nobody gets it
      finally:
        self._service.metrics.answered(_method(request.path), status,
                                       time.monotonic() - start)
    return handle

  async def _send(self, request, response):
    """Sends all of it: what is not sent is not answered."""
    response.headers['X-Content-Type-Options'] = 'nosniff'
    if self._service.admission.is_stopping:
      response.force_close()
    await response.prepare(request)
    await response.write_eof()

  async def _answer(self, request, handler):
    try:
      return await handler(request)
    except (asyncio.CancelledError, ConnectionError):
      raise
    except web.HTTPException as e:
      error = errors.RequestError('%s: %s %s' % (
          e.reason, request.method, request.path), e.status, 'not_found')
    except Exception as e:  # pylint: disable=broad-except
      error = errors.of_exception(e)
      if error.status == 500:
        logging.exception('%s %r failed.', request.method, request.path)
    self._service.metrics.refused(error.reason)
    return web.Response(
        text=errors.body(str(error)), status=error.status,
        content_type='application/json', headers=error.headers())
