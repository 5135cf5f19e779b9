"""Asks a server more than it can answer, and checks every answer.

  python -m tools.benchmarks.serving_load --url=http://127.0.0.1:8501 --name=m

Many clients ask at once: most for images whose answers are known (each was
asked alone before), some with broken images, bodies that are too large, and
bodies that are cut off. Who is answered 503 comes again when it is told to.
Prints one JSON object; the exit status is 1 if a good request got no right
answer in the end, or a bad one was not refused.

It works with every model whose signature takes encoded images.
"""

import argparse
import asyncio
import base64
import io
import json
import random
import re
import sys
import time
from typing import Any, Dict, Optional, Sequence

import aiohttp
import numpy as np
from PIL import Image

from tools.common import numbers

# Of a hundred requests.
_SHARES = (('good', 80), ('broken', 8), ('truncated', 4), ('oversized', 3),
           ('cut off', 5))
_NUM_IMAGES = 16  # whose answers are known
_TOLERANCE = 1e-3  # batches of other sizes add up in another order
_PAUSE_S = .25  # between looks at the server's memory


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.benchmarks.serving_load', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--url', required=True, help='of the server')
  parser.add_argument('--name', default='default', help='of the model')
  parser.add_argument('--clients', type=numbers.whole(), default=200,
                      metavar='N')
  parser.add_argument('--requests', type=numbers.whole(), default=5000,
                      metavar='N')
  parser.add_argument('--image_size', type=numbers.whole(), default=96,
                      metavar='PIXELS',
                      help='of the longer side')
  parser.add_argument('--oversized_mb', type=numbers.positive, default=40.,
                      metavar='N',
                      help='of the bodies that are too large')
  return parser.parse_args(argv)


class Load:
  """The clients of a server.

  Attributes:
    counts: {what happened: int}.
    problems: [str], what should not have happened.
    latencies: [float], seconds of good requests, from the last time they were
      sent.
  """

  def __init__(self, url: str, name: str, image_size: int = 96,
               oversized_bytes: int = 40 * 2**20) -> None:
    """Takes the server and what it is asked."""
    self._url, self._name = url.rstrip('/'), name
    self._bodies = [_body(_image(i, image_size)) for i in range(_NUM_IMAGES)]
    self._oversized_bytes = oversized_bytes
    self._known = []
    self.counts, self.problems = {}, []
    self.latencies, self.memory = [], []

  async def run(self, clients: int, requests: int) -> Dict[str, Any]:
    """Asks, and waits for all answers.

    Args:
      clients: int, at once.
      requests: int, in all.

    Returns:
      {name: figure}.
    """
    kinds = _kinds(requests)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
      self._session = session
      self._known = [(await self._ask(body))[1] for body in self._bodies]
      queue = iter(enumerate(kinds))
      watch = asyncio.ensure_future(self._watch())
      start = time.monotonic()
      await asyncio.gather(*[self._client(queue) for _ in range(clients)])
      seconds = time.monotonic() - start
      watch.cancel()
      self.memory.append(await self._resident())
    return self._figures(clients, requests, seconds)

  async def _client(self, queue):
    """Asks one request after the other."""
    for index, kind in queue:
      try:
        await getattr(self, '_' + kind.replace(' ', '_'))(index)
      except (aiohttp.ClientError, OSError, asyncio.TimeoutError) as e:
        self.problems.append('%s %d: %r' % (kind, index, e))

  def _count(self, what):
    self.counts[what] = self.counts.get(what, 0) + 1

  async def _ask(self, body):
    async with self._session.post(
        '%s/v1/models/%s:predict' % (self._url, self._name),
        data=body) as response:
      return response.status, await response.json(), response.headers

  async def _persist(self, body):
    """Asks until there is room; returns status and answer."""
    while True:
      start = time.monotonic()
      status, values, headers = await self._ask(body)
      if status != 503:
        return status, values, time.monotonic() - start
      self._count('asked to come again')
      # Not all at the same moment.
      await asyncio.sleep(float(headers['Retry-After']) * random.uniform(.5, 1))

  async def _good(self, index):
    number = index % _NUM_IMAGES
    status, values, seconds = await self._persist(self._bodies[number])
    self.latencies.append(seconds)
    if status == 200 and is_close(values, self._known[number]):
      self._count('good, answered right')
    else:
      self.problems.append('good %d: %d %.200r' % (index, status, values))

  async def _refused(self, index, body, statuses):
    status, values, _ = await self._persist(body)
    if status in statuses and values.get('error'):
      self._count('bad, refused')
    else:
      self.problems.append('bad %d: %d %.200r' % (index, status, values))

  async def _broken(self, index):
    content = [b'', b'no image', b'\x89PNG\r\n\x1a\n' + bytes(40)][index % 3]
    body = _body(content) if index % 4 else b'{"instances": [{"b64": "'
    await self._refused(index, body, (400,))

  async def _truncated(self, index):
    content = _image(index, 96)
    await self._refused(index, _body(content[:len(content) // 2]), (400,))

  async def _oversized(self, index):
    try:
      await self._refused(index, bytes(self._oversized_bytes), (413,))
    except (aiohttp.ClientError, OSError):
      # The server closes the connection rather than read all of it.
      self._count('bad, refused')

  async def _cut_off(self, index):
    """Goes away in the middle of a body."""
    host, port = re.match(r'http://([^:/]+):(\d+)', self._url).groups()
    _, writer = await asyncio.open_connection(host, int(port))
    body = self._bodies[index % _NUM_IMAGES]
    head = 'POST /v1/models/%s:predict HTTP/1.1\r\nHost: %s\r\n' % (
        self._name, host)
    writer.write(('%sContent-Length: %d\r\n\r\n' % (head, len(body))).encode(
        'ascii') + body[:len(body) // 2])
    try:
      await writer.drain()
      await asyncio.sleep(.01)
    finally:
      writer.close()
    self._count('cut off')

  async def _watch(self):
    while True:
      self.memory.append(await self._resident())
      await asyncio.sleep(_PAUSE_S)

  async def _resident(self):
    """Megabytes of the server's process."""
    async with self._session.get(self._url + '/metrics') as response:
      text = await response.text()
    return float(re.search(
        r'(?m)^process_resident_memory_bytes (\S+)', text).group(1)) / 2**20

  def _figures(self, clients, requests, seconds):
    p50, p90, p99 = np.percentile(self.latencies, [50, 90, 99])
    fifth = len(self.memory) // 5
    return {
        'clients': clients, 'requests': requests,
        'seconds': round(seconds, 1), 'counts': self.counts,
        'good_per_second': round(len(self.latencies) / seconds, 1),
        'latency_ms': {'p50': round(1000 * p50), 'p90': round(1000 * p90),
                       'p99': round(1000 * p99)},
        'memory_mb': {'before': round(self.memory[0]),
                      'after_a_fifth': round(self.memory[fifth]),
                      'most': round(max(self.memory)),
                      'after': round(self.memory[-1])},
        'problems': self.problems[:20], 'num_problems': len(self.problems)}


def _kinds(count):
  """[kind of each request], mixed, the same every time."""
  kinds = [kind for kind, share in _SHARES
           for _ in range(count * share // 100)]
  kinds += ['good'] * (count - len(kinds))
  random.Random(0).shuffle(kinds)
  return kinds


def _image(seed, size):
  """bytes of a JPEG of coloured blocks."""
  rng = np.random.RandomState(seed % 2**32)
  blocks = rng.randint(0, 256, [6, 8, 3]).astype(np.uint8)
  stream = io.BytesIO()
  Image.fromarray(blocks).resize(
      (size, size * 3 // 4), Image.NEAREST).save(stream, 'jpeg')
  return stream.getvalue()


def _body(content):
  return json.dumps({'instances': [
      {'b64': base64.b64encode(content).decode('ascii')}]}).encode('ascii')


def is_close(values: Any, expected: Any) -> bool:
  """Whether two JSON values are the same but for the last digits."""
  if isinstance(expected, dict):
    return isinstance(values, dict) and set(values) == set(expected) and all(
        is_close(values[key], expected[key]) for key in expected)
  if isinstance(expected, list):
    return isinstance(values, list) and len(values) == len(expected) and all(
        map(is_close, values, expected))
  if isinstance(expected, float):
    return isinstance(values, (int, float)) and abs(
        values - expected) <= _TOLERANCE * max(1., abs(expected))
  return values == expected


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Runs the load; returns the exit status."""
  arguments = parse_arguments(argv)
  load = Load(arguments.url, arguments.name, arguments.image_size,
              int(arguments.oversized_mb * 2**20))
  figures = asyncio.run(load.run(arguments.clients, arguments.requests))
  print(json.dumps(figures, indent=1))
  return 1 if load.problems else 0


if __name__ == '__main__':
  sys.exit(main())
