"""Servers in this process, on a free port of the loopback."""

import asyncio
import base64
import contextlib

import aiohttp

from serving.server import lifecycle
from serving.server import start


@contextlib.contextmanager
def loop():
  """An event loop that is the current one."""
  made = asyncio.new_event_loop()
  asyncio.set_event_loop(made)
  try:
    yield made
  finally:
    made.close()
    asyncio.set_event_loop(None)


def talk(folder, conversation, limits=None, **options):
  """Serves a folder as model `m` and runs a coroutine against it.

  Args:
    folder: of the export.
    conversation: coroutine function of a Client.
    limits: service.Limits.
    **options: of start.make.

  Returns:
    What the coroutine returns.
  """
  async def run(service, app):
    server = lifecycle.Server(app, service, port=0, grace_s=20.)
    await server.start()
    async with aiohttp.ClientSession() as session:
      client = Client(session, server.address[1], service, server)
      result = await conversation(client)
    await server.stop()
    return result
  with loop() as made:
    service, app = start.make(str(folder), 'm', limits, **options)
    try:
      return made.run_until_complete(run(service, app))
    finally:
      service.close()


class Client:
  """Asks a server.

  Attributes:
    session: aiohttp.ClientSession.
    url: str, without a slash at its end.
    service: service.Service.
    server: lifecycle.Server.
  """

  def __init__(self, session, port, service=None, server=None):
    self.session, self.url = session, 'http://127.0.0.1:%d' % port
    self.service, self.server = service, server

  async def get(self, path):
    """(status, JSON or text, headers) of an address."""
    async with self.session.get(self.url + path) as response:
      return await _read(response)

  async def post(self, path, values=None, **options):
    """(status, JSON or text, headers) of JSON or other data."""
    if values is not None:
      options['json'] = values
    async with self.session.post(self.url + path, **options) as response:
      return await _read(response)

  async def predict(self, *contents, **more):
    """`post` of images, rows of the model `m`."""
    return await self.post('/v1/models/m:predict', dict(
        more, instances=[b64(content) for content in contents]))


async def _read(response):
  is_json = response.headers['Content-Type'].startswith('application/json')
  return (response.status, await (response.json() if is_json else
                                  response.text()), response.headers)


def b64(content):
  """The JSON value of bytes."""
  return {'b64': base64.b64encode(content).decode('ascii')}
