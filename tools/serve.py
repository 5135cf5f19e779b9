"""Serves an exported model on this machine, over HTTP.

  python -m tools.serve --saved_model=/tmp/export

answers TensorFlow Serving's REST interface at /v1/models/NAME, and serves a
page at / that draws the objects of an image, metrics for Prometheus at
/metrics, and probes at /healthz and /readyz. It has no passwords, so it listens
on this machine only, unless --host says otherwise. SIGTERM and SIGINT end it
after the requests that are being answered; a second signal ends it at once.

docs/serving.md has examples, and the command of TensorFlow Serving for the same
export.
"""

import argparse
import asyncio
import logging
import re
import sys
from typing import Any, Optional, Sequence

from ops import tensorflow_later as tf
from tools.common import numbers
from tools.common import reasons

_DESCRIPTIONS = (
    ('max_requests', int, 128, 'requests in progress at once; more are '
                               'answered with 503 and Retry-After'),
    ('max_body_mb', float, 32., 'megabytes of one request'),
    ('max_bodies_mb', float, 256., 'megabytes of all requests in progress'),
    ('max_megapixels', float, 64., 'millions of pixels of the images of one '
     'request'),
    ('max_rows', int, 128, 'images of one request'),
    ('max_batch_size', int, 8, 'images of one run of the network, where the '
     'export leaves that free'),
    ('batch_timeout_ms', float, 5., 'how long a request waits for others to '
     'run with'),
    ('request_timeout_s', float, 60., 'seconds until a request must be '
     'answered'),
    ('body_timeout_s', float, 30., 'seconds in which a request must have '
                                   'arrived'),
    ('grace_s', float, 30., 'seconds after a signal for answering the requests '
                            'in progress'))
_LOCAL = ('127.0.0.1', '::1', 'localhost')


def parse_arguments(argv: Optional[Sequence[str]] = None) -> argparse.Namespace:
  """Command line to a namespace."""
  parser = argparse.ArgumentParser(
      prog='python -m tools.serve', description=__doc__,
      formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument('--saved_model', required=True, metavar='FOLDER',
                      help='an export of tools.export_saved_model, or a folder '
                           'of such exports, named by version, of which the '
                           'newest is served')
  parser.add_argument('--name', default='default',
                      help='name of the model in addresses (default: default)')
  parser.add_argument('--host', default='127.0.0.1',
                      help='address to listen at; 0.0.0.0: all addresses of '
                           'this machine (default: 127.0.0.1)')
  parser.add_argument('--port', type=int, default=8501,
                      help='0: any free port (default: 8501, as TensorFlow '
                           'Serving)')
  parser.add_argument('--threads', type=numbers.whole(), metavar='N',
                      help='CPU threads of the network (default: as many as '
                           'cores)')
  parser.add_argument('--label_map', metavar='FILE',
                      help='label map, lines id:name (default: from the '
                           'export)')
  parser.add_argument('--min_score', type=numbers.share, default=.3,
                      metavar='SCORE',
                      help='initial value of the slider on the page (default: '
                           '0.3)')
  parser.add_argument('--no_page', action='store_true', help='no page at /')
  parser.add_argument('--log_requests', action='store_true',
                      help='a line on stderr for every request')
  for name, kind, default, text in _DESCRIPTIONS:
    parser.add_argument('--' + name, type=kind, default=default, metavar='N',
                        help='%s (default: %g)' % (text, default))
  arguments = parser.parse_args(argv)
  if not re.match(r'[^/:\s]+$', arguments.name):
    parser.error('--name is a part of addresses, without / : and blanks.')
  for name, _, _, _ in _DESCRIPTIONS:
    if getattr(arguments, name) < 0 or (
        name.startswith('max_') and getattr(arguments, name) <= 0):
      parser.error('--%s should be above 0.' % name)
  return arguments


def make_limits(arguments: argparse.Namespace) -> Any:
  """service.Limits of a command line."""
  from serving.server import service
  return service.Limits(
      max_requests=arguments.max_requests, max_rows=arguments.max_rows,
      max_body_bytes=int(arguments.max_body_mb * 2**20),
      max_bytes=int(arguments.max_bodies_mb * 2**20),
      max_pixels=int(arguments.max_megapixels * 10**6),
      max_batch_size=arguments.max_batch_size,
      batch_timeout_s=arguments.batch_timeout_ms / 1000.,
      body_timeout_s=arguments.body_timeout_s,
      request_timeout_s=arguments.request_timeout_s)


def main(argv: Optional[Sequence[str]] = None) -> int:
  """Serves until a signal comes; returns the exit status."""
  arguments = parse_arguments(argv)
  # TensorFlow takes seconds to load: not before the arguments are right.
  from serving import sources
  from serving.server import lifecycle
  from serving.server import start
  logging.basicConfig(level=logging.INFO, stream=sys.stderr,
                      format='%(asctime)s %(levelname)s %(message)s')
  try:
    service, app = start.make(
        arguments.saved_model, arguments.name, make_limits(arguments),
        label_map=arguments.label_map, num_threads=arguments.threads,
        with_page=not arguments.no_page, min_score=arguments.min_score)
  except (sources.LoadError, tf.errors.OpError) as e:
    print('Error: %s' % reasons.of(e), file=sys.stderr)
    return 1
  server = lifecycle.Server(
      app, service, arguments.host, arguments.port, arguments.grace_s,
      logging.getLogger('requests') if arguments.log_requests else None)
  try:
    num_left = asyncio.run(server.run(
        lambda address: _announce(arguments, service, address)))
  except (OSError, OverflowError) as e:
    print('Error: cannot listen on %s:%d: %s. Another --port may be free.'
          % (arguments.host, arguments.port, getattr(e, 'strerror', None) or e),
          file=sys.stderr)
    return 1
  finally:
    service.close(wait=False)
  print('Stopped; %s.' % ('%d requests were not answered' % num_left
                          if num_left else 'everybody was answered'))
  return 1 if num_left else 0


def _announce(arguments, service, address):
  """Says what is served where."""
  host = '[%s]' % address[0] if ':' in address[0] else address[0]
  url = 'http://%s:%d' % (host, address[1])
  print('Serving %s, version %s, of %s' % (
      service.name, service.model.version, service.model.folder))
  print('REST interface: %s/v1/models/%s' % (url, service.name))
  if not arguments.no_page:
    print('Page:           %s/' % url)
  if arguments.host not in _LOCAL:
    print('Everybody who reaches %s can use it: there is no password and no '
          'encryption.' % host)
  sys.stdout.flush()


if __name__ == '__main__':
  sys.exit(main())
