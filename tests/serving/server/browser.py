"""Chromium without a window, told what to do over its DevTools protocol."""

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess

import aiohttp
import pytest

PROGRAM = next((path for path in map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome')) if path), None)
# Sandboxes need rights that containers do not give.
_FLAGS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
          '--disable-dev-shm-usage', '--disable-background-networking',
          '--remote-debugging-port=0', '--window-size=1300,900',
          '--hide-scrollbars')
needed = pytest.mark.skipif(
    PROGRAM is None, reason='Chromium is not installed: on Debian, "apt-get '
    'install chromium" brings it.')


@contextlib.contextmanager
def started(folder):
  """A browser that keeps its files in a folder; yields its port."""
  profile = str(folder / 'profile')
  process = subprocess.Popen(
      [PROGRAM, '--user-data-dir=' + profile] + list(_FLAGS) + ['about:blank'],
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  try:
    yield os.path.join(profile, 'DevToolsActivePort')
  finally:
    process.kill()
    process.wait()


async def port(path):
  """The port that a browser has written into a file."""
  for _ in range(600):
    if os.path.exists(path):
      with open(path) as f:
        lines = f.read().split()
      if lines:
        return int(lines[0])
    await asyncio.sleep(.1)
  raise AssertionError('Chromium does not start.')


class Tab:
  """A page of the browser.

  Attributes:
    problems: [str], exceptions and messages of the page, what was blocked.
    urls: [str], everything that was fetched.
  """

  def __init__(self, socket):
    self._socket, self._numbers = socket, itertools.count(1)
    self._answers, self.problems, self.urls = {}, [], []
    self._reader = asyncio.ensure_future(self._read())

  async def _read(self):
    async for message in self._socket:
      values = json.loads(message.data)
      if 'id' in values:
        self._answers.pop(values['id']).set_result(values)
      else:
        self._note(values['method'], values['params'])

  def _note(self, method, params):
    if method == 'Network.requestWillBeSent':
      self.urls.append(params['request']['url'])
    elif method == 'Runtime.exceptionThrown':
      self.problems.append(json.dumps(params['exceptionDetails']))
    elif method == 'Log.entryAdded' and params['entry']['level'] == 'error':
      self.problems.append(json.dumps(params['entry']))
    elif method == 'Page.javascriptDialogOpening':
      self.problems.append('dialog: ' + params['message'])

  async def call(self, method, **params):
    """The result of a DevTools method."""
    number = next(self._numbers)
    self._answers[number] = asyncio.get_event_loop().create_future()
    future = self._answers[number]
    await self._socket.send_json(
        {'id': number, 'method': method, 'params': params})
    values = await asyncio.wait_for(future, 60)
    assert 'error' not in values, values
    return values['result']

  async def run(self, script):
    """The value of an expression."""
    result = await self.call('Runtime.evaluate', expression=script,
                             returnByValue=True, awaitPromise=True)
    assert 'exceptionDetails' not in result, result
    return result['result'].get('value')

  async def until(self, script):
    """Waits for an expression to be true."""
    for _ in range(300):
      if await self.run(script):
        return
      await asyncio.sleep(.1)
    raise AssertionError('%s never came true; %s' % (script, self.problems))

  async def choose(self, selector, path):
    """Chooses a file in an input."""
    root = await self.call('DOM.getDocument')
    node = await self.call('DOM.querySelector', selector=selector,
                           nodeId=root['root']['nodeId'])
    await self.call('DOM.setFileInputFiles', files=[str(path)],
                    nodeId=node['nodeId'])

  async def drop(self, path, x=300, y=300):
    """Drops a file as a mouse would."""
    data = {'items': [], 'files': [str(path)], 'dragOperationsMask': 1}
    for kind in ('dragEnter', 'dragOver', 'drop'):
      await self.call('Input.dispatchDragEvent', type=kind, x=x, y=y, data=data)

  async def screenshot(self, path):
    """Writes a PNG of what is to be seen."""
    result = await self.call('Page.captureScreenshot')
    with open(str(path), 'wb') as f:
      f.write(base64.b64decode(result['data']))


async def open_tab(session, debugging_port, url):
  """Opens an address; returns its Tab."""
  base = 'http://127.0.0.1:%d' % debugging_port
  async with session.put('%s/json/new?about:blank' % base) as response:
    target = await response.json(content_type=None)
  socket = await session.ws_connect(target['webSocketDebuggerUrl'],
                                    max_msg_size=2**28)
  tab = Tab(socket)
  for domain in ('Page', 'Runtime', 'Network', 'Log', 'DOM'):
    await tab.call(domain + '.enable')
  await tab.call('Page.navigate', url=url)
  await tab.until('document.readyState == "complete" && '
                  'location.href != "about:blank"')
  return tab


async def with_tab(session, path, url):
  """The Tab of an address in the browser of `started`."""
  assert isinstance(session, aiohttp.ClientSession)
  return await open_tab(session, await port(path), url)
