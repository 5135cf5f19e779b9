"""A headless Chromium that a test drives: pages as a person sees them.

  with browser.open_page('file:///tmp/page.html') as page:
    assert page.evaluate('document.title') == 'Page'

Speaks the protocol of Chromium's developer tools.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time

import aiohttp

PROGRAM = next((path for path in map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome')) if path), None)
MISSING = 'There is no Chromium here (Debian: apt-get install chromium).'

_START_SECONDS = 60.
_FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars',
          '--remote-debugging-port=0', '--no-first-run',
          '--disable-dev-shm-usage', '--disable-background-networking']


class Page:
  """The one tab of the browser.

  Attributes:
    requests: [URL] that the page has asked for, without those in it.
    messages: [str], of the console: errors and violations of the policy.
  """

  def __init__(self, url):
    self._url, self._loop = url, asyncio.new_event_loop()
    self._numbers = itertools.count(1)
    self.requests, self.messages = [], []
    self._session = self._socket = None

  def connect(self):
    """Takes hold of the tab."""
    async def run():
      self._session = aiohttp.ClientSession()
      self._socket = await self._session.ws_connect(self._url, max_msg_size=0)
    self._loop.run_until_complete(run())

  def close(self):
    """Lets the tab go."""
    async def run():
      await self._socket.close()
      await self._session.close()
    self._loop.run_until_complete(run())
    self._loop.close()

  def call(self, method, **params):
    """The result of a method of the protocol."""
    return self._loop.run_until_complete(
        asyncio.wait_for(self._call(method, params), 60.))

  async def _call(self, method, params):
    number = next(self._numbers)
    await self._socket.send_json(
        {'id': number, 'method': method, 'params': params})
    while True:
      message = await self._socket.receive_json()
      self._note(message)
      if message.get('id') == number:
        if 'error' in message:
          raise RuntimeError(message['error']['message'])
        return message['result']

  def _note(self, message):
    params = message.get('params', {})
    if message.get('method') == 'Network.requestWillBeSent':
      self.requests.append(params['request']['url'])
    elif message.get('method') == 'Log.entryAdded':
      self.messages.append(params['entry']['text'])
    elif message.get('method') == 'Runtime.exceptionThrown':
      self.messages.append(str(params['exceptionDetails']))

  def go(self, url):
    """Opens a page and waits until it is loaded."""
    for domain in ('Page', 'Network', 'Log', 'Runtime'):
      self.call(domain + '.enable')
    self.call('Page.navigate', url=url)
    self.wait_for('document.readyState === "complete"')

  def evaluate(self, expression):
    """The value of a JavaScript expression; a promise is waited for."""
    answer = self.call('Runtime.evaluate', expression=expression,
                       returnByValue=True, awaitPromise=True)
    if 'exceptionDetails' in answer:
      raise RuntimeError(str(answer['exceptionDetails']))
    return answer['result'].get('value')

  def wait_for(self, expression, seconds=30.):
    """Waits until an expression is true."""
    end = time.time() + seconds
    while not self.evaluate(expression):
      if time.time() > end:
        raise AssertionError('Not true in time: %s' % expression)
      time.sleep(.1)


@contextlib.contextmanager
def open_page(url, size=(1300, 1000)):
  """Starts a browser and opens a page.

  Args:
    url: of the page.
    size: (width, height) of the window.

  Yields:
    Page.
  """
  folder = tempfile.mkdtemp()
  process = subprocess.Popen(
      [PROGRAM, '--user-data-dir=' + folder, '--window-size=%d,%d' % size]
      + _FLAGS + ['about:blank'], stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL)
  try:
    page = Page(_url_of_tab(folder))
    page.connect()
    try:
      page.go(url)
      yield page
    finally:
      page.close()
  finally:
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


def _url_of_tab(folder):
  """Where the browser listens for the commands of its first tab."""
  path = os.path.join(folder, 'DevToolsActivePort')
  end = time.time() + _START_SECONDS
  while time.time() < end:
    if os.path.exists(path):
      with open(path) as f:
        lines = f.read().split()
      if len(lines) == 2:
        return _first_tab('http://127.0.0.1:%s/json' % lines[0], end)
    time.sleep(.1)
  raise RuntimeError('Chromium has not started in time.')


def _first_tab(url, end):
  async def tabs():
    async with aiohttp.ClientSession() as session:
      async with session.get(url) as response:
        return await response.json(content_type=None)
  loop = asyncio.new_event_loop()
  try:
    while time.time() < end:
      for tab in loop.run_until_complete(tabs()):
        if tab['type'] == 'page':
          return tab['webSocketDebuggerUrl']
      time.sleep(.1)
  finally:
    loop.close()
  raise RuntimeError('Chromium has opened no page.')
