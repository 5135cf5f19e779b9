"""The addresses of TensorFlow Serving's REST interface.

Source: TensorFlow Serving, api_rest.md and http_rest_api_handler.cc.
"""

import json
import re
from typing import Optional

from aiohttp import web

from serving.server import classify
from serving.server import errors
from serving.server import metadata
from serving.server import rest_json
from serving.server import service as service_lib

_ASK = re.compile(r'/v1/models/([^/:]+)(?:/versions/(\d+))?'
                  r':(classify|regress|predict)$')
_TELL = re.compile(r'/v1/models(?:/([^/:]+))?(?:/versions/(\d+))?'
                   r'(?:/(metadata))?$')


def method(path: str) -> Optional[str]:
  """The verb of an address, 'metadata' or 'status'; None of another one."""
  match = _ASK.match(path)
  if match:
    return match.group(3)
  match = _TELL.match(path)
  return match and (match.group(3) or 'status')


class Rest:
  """Handlers of a service."""

  def __init__(self, service: service_lib.Service) -> None:
    """Takes a service.Service."""
    self._service = service

  def add_to(self, app: web.Application) -> None:
    """Adds the addresses to an aiohttp application."""
    app.router.add_get('/v1/{tail:.*}', self.tell)
    app.router.add_post('/v1/{tail:.*}', self.ask)

  async def tell(self, request: web.Request) -> web.Response:
    """GET: state or metadata of the model.

    Raises:
      RequestError: for another address, model or version.
    """
    match = _TELL.match(request.path)
    if not match or not match.group(1):
      raise _malformed(request)
    service = self._service
    self._check(*match.groups()[:2])
    if match.group(3):
      values = metadata.metadata(service.name, service.model.version,
                                 service.model.signatures)
    else:
      values = metadata.status(service.model.version,
                               not service.admission.is_stopping)
    return web.Response(text=json.dumps(values, indent=1),
                        content_type='application/json')

  async def ask(self, request: web.Request) -> web.Response:
    """POST: runs the network.

    Raises:
      RequestError: for another address, model or version, or a request that
        cannot be answered.
    """
    match = _ASK.match(request.path)
    if not match:
      raise _malformed(request)
    name, version, verb = match.groups()
    service = self._service
    with service.admission.place() as place:
      body = await service.read(place, request)
      self._check(name, version)
      asked, cost = await service.in_thread(self._parse, verb, body)
      del body  # The arrays stay, the text need not.
      answers = await service.run(
          asked.signature, asked.feeds, cost,
          lambda: request.transport is not None)
      body = await service.in_thread(self._format, verb, asked, answers)
    return web.Response(body=body, content_type='application/json')

  def _check(self, name, version):
    """Raises RequestError unless the model is the one that is served."""
    if name != self._service.name:
      raise errors.RequestError('Servable not found for request: Latest(%s)'
                                % name, 404, 'not_found')
    if version and int(version) != int(self._service.model.version):
      raise errors.RequestError('Servable not found for request: Specific(%s, '
                                '%s)' % (name, version), 404, 'not_found')

  def _parse(self, verb, body):
    """(rest_json.Request, its cost)."""
    if verb == 'regress':
      raise errors.RequestError('Models of images have no regression: use '
                                ':predict.')
    values = rest_json.parse(body)
    asked = (classify.request if verb == 'classify' else
             rest_json.predict_request)(values, self._service.model.signatures)
    return asked, self._service.check(asked.signature, asked.feeds)

  def _format(self, verb, asked, answers):
    if verb == 'classify':
      return classify.response(answers, self._service.class_names)
    return rest_json.predict_response(answers, asked.by_rows)


def _malformed(request):
  return errors.RequestError('Malformed request: %s %s' % (
      request.method, request.path), reason='not_found')
