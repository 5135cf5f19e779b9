"""The page at /, and what its script asks."""

import asyncio
from concurrent import futures
import json
import os
import secrets
from typing import Any, Callable

from aiohttp import web
import jinja2

from serving import images as images_lib
from serving.server import errors
from serving.server import page_answer
from serving.server import service as service_lib

_TEMPLATE = 'page.html.j2'
_NUM_THREADS = 2  # each holds the pixels of an image, and waits for the network
# Nothing comes from elsewhere, and no other script than the page's own runs.
_POLICY = ("default-src 'none'; script-src 'nonce-%s'; style-src 'nonce-%s'; "
           "img-src data: blob:; connect-src 'self'; base-uri 'none'; "
           "form-action 'none'; frame-ancestors 'none'")


class Page:
  """Handlers of the page."""

  def __init__(self, service: service_lib.Service,
               detect: Callable[[bytes], Any], min_score: float = .3) -> None:
    """Reads the template.

    Args:
      service: service.Service.
      detect: bytes of an image -> result of serving.results; it may block. It
        raises images.InputError.
      min_score: float, where the slider stands at first.
    """
    self._service, self._detect = service, detect
    self._min_score = min_score
    self._pool = futures.ThreadPoolExecutor(_NUM_THREADS)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(os.path.dirname(__file__)),
        autoescape=True, undefined=jinja2.StrictUndefined)
    self._template = environment.get_template(_TEMPLATE)

  def add_to(self, app: web.Application) -> None:
    """Adds the addresses to an aiohttp application."""
    app.router.add_get('/', self.show)
    app.router.add_post('/answer', self.answer)
    app.on_cleanup.append(self._close)

  async def show(self, request: web.Request) -> web.Response:
    """GET: the page."""
    del request
    nonce = secrets.token_urlsafe(16)
    model = self._service.model
    text = self._template.render(
        nonce=nonce, name=self._service.name, version=model.version,
        min_score=self._min_score,
        rest_path='/v1/models/%s' % self._service.name)
    return web.Response(text=text, content_type='text/html', headers={
        'Content-Security-Policy': _POLICY % (nonce, nonce),
        'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-store'})

  async def answer(self, request: web.Request) -> web.Response:
    """POST of an image file: what the model sees in it, as JSON."""
    service = self._service
    with service.admission.place() as place:
      content = await service.read(place, request)
      body = await asyncio.get_event_loop().run_in_executor(
          self._pool, self._answer, content)
    return web.Response(body=body, content_type='application/json')

  def _answer(self, content):
    try:
      result = self._detect(content)
    except images_lib.InputError as e:
      raise errors.RequestError(str(e), reason='image')
    values = page_answer.of_result(result)
    return json.dumps(values).encode('utf-8')

  async def _close(self, app):
    del app
    self._pool.shutdown(wait=False)
