"""More clients than a server can answer at once: none is lost."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from serving import export
from serving import sources
from serving.server import service as service_lib
from tests import docs_blocks
from tests.serving import small_models
from tests.serving.server import servers
from tests.serving.server import tiny_models
from tools.benchmarks import serving_load


@pytest.fixture
def folder(tmp_path):
  tiny_models.detector(tmp_path / 'm')
  return tmp_path / 'm'


def _load(client):
  return serving_load.Load(client.url, 'm', oversized_bytes=2**20)


def test_every_good_request_is_answered_in_the_end(folder):
  async def talk(client):
    return await _load(client).run(24, 200)
  figures = servers.talk(folder, talk, service_lib.Limits(
      max_requests=8, max_body_bytes=2**19))
  assert figures['problems'] == []
  assert figures['counts'].pop('asked to come again') > 0
  assert figures['counts'] == {
      'good, answered right': 160, 'bad, refused': 30, 'cut off': 10}


def test_wrong_answers_are_noticed(folder):
  async def talk(client):
    run, calls = client.service._batcher._run_graph, []
    def wrong(name, feeds):
      answers = run(name, feeds)
      calls.append(name)
      if len(calls) > 30:
        answers['detection_scores'] += .1
      return answers
    client.service._batcher._run_graph = wrong
    return await _load(client).run(4, 100)
  figures = servers.talk(folder, talk, service_lib.Limits(
      max_body_bytes=2**19, max_batch_size=1))
  assert figures['num_problems'] > 10
  assert all(text.startswith('good ') for text in figures['problems'])


@pytest.mark.parametrize('values, expected, result', [
    ({'a': [1., 2]}, {'a': [1.0001, 2]}, True), ([1.], [1.1], False),
    ({'a': 1}, {'b': 1}, False), ([1], [1, 2], False), (None, 1., False),
    ([3], [2], False), ({'error': 'x'}, {'predictions': []}, False)])
def test_answers_are_compared(values, expected, result):
  assert serving_load.is_close(values, expected) == result


@pytest.mark.slow
def test_two_hundred_clients(tmp_path):
  """The whole load, on a process of its own and a small RetinaNet."""
  small_models.make(tmp_path / 'run', 'retinanet')
  source = sources.find_checkpoint(tmp_path / 'run')
  exported = export.export(source.config, source.checkpoint,
                           tmp_path / 'export', batch_size=-1)
  process = subprocess.Popen(
      [sys.executable, '-m', 'tools.serve', '--saved_model=%s' % exported,
       '--name=m', '--port=0'], cwd=docs_blocks.ROOT, stdout=subprocess.PIPE,
      universal_newlines=True, env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2'))
  try:
    process.stdout.readline()
    url = re.search(r'http://[\d.]+:\d+', process.stdout.readline()).group()
    output = subprocess.run(
        [sys.executable, '-m', 'tools.benchmarks.serving_load', '--url=' + url,
         '--name=m'], cwd=docs_blocks.ROOT, stdout=subprocess.PIPE,
        text=True).stdout
    figures = json.loads(output)
    process.send_signal(signal.SIGTERM)
    assert 'everybody was answered' in process.communicate(timeout=60)[0]
  finally:
    process.kill()
    process.communicate()
  assert figures['problems'] == []
  assert figures['counts']['good, answered right'] == 4000
  memory = figures['memory_mb']
  # Allocators keep what a busy moment needed; a leak goes on growing.
  assert memory['after'] < 1.1 * memory['after_a_fifth'] + 20
