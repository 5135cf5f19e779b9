"""Tests of tools.serve: the command from its start to a signal."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request

import pytest
import tensorflow.compat.v1 as tf

from serving.server import image_model
from tests import docs_blocks
from tests import runtimes
from tests.serving.server import servers
from tests.serving.server import tiny_models
from tools import serve

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('export')
  tiny_models.detector(path / '3')
  return path


@contextlib.contextmanager
def _process(*arguments):
  """The command, ended at the end of the test whatever happens."""
  process = subprocess.Popen(
      [sys.executable, '-m', 'tools.serve'] + list(arguments), cwd=_ROOT,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True,
      env=dict(os.environ, TF_CPP_MIN_LOG_LEVEL='2'))
  try:
    yield process
  finally:
    process.kill()
    process.communicate()


def _ask(url, values):
  request = urllib.request.Request(
      url + ':predict', json.dumps(values).encode('utf-8'))
  with urllib.request.urlopen(request, timeout=60) as response:
    return json.loads(response.read().decode('utf-8'))


@pytest.mark.parametrize('number', runtimes.alternate([signal.SIGTERM,
                                                      signal.SIGINT]))
def test_serves_until_a_signal(folder, number):
  with _process('--saved_model=%s' % folder, '--port=0', '--name=shapes',
                '--threads=1', '--log_requests') as process:
    assert process.stdout.readline() == 'Serving shapes, version 3, of %s\n' % (
        folder / '3')
    url = re.search(r'http://127.0.0.1:\d+/\S+',
                    process.stdout.readline()).group()
    assert url.endswith('/v1/models/shapes')
    rows = [servers.b64(tiny_models.png(value=v)) for v in (5, 6)]
    # More than one run, so that the signal comes while the network works.
    asked = []
    thread = threading.Thread(target=lambda: asked.append(
        _ask(url, {'instances': rows * 60})))
    assert len(_ask(url, {'instances': rows})['predictions']) == 2
    thread.start()
    while _inside(url) == 0 and not asked:
      pass
    process.send_signal(number)
    thread.join(60)
    output, errors = process.communicate(timeout=60)
    assert len(asked[0]['predictions']) == 120
    assert process.returncode == 0, errors
    assert 'everybody was answered' in output
    assert 'Traceback' not in errors
    assert errors.count('"POST /v1/models/shapes:predict HTTP/1.1" 200') == 2


@pytest.mark.one_runtime('tf1')
def test_clients_of_the_documents(folder, tmp_path):
  """They compile, and the one for REST prints what the model sees."""
  files = {b.argument: b.text for b in docs_blocks.read('docs/serving.md')
           if b.tag == 'file'}
  for name, text in files.items():
    compile(text, name, 'exec')
  image = tmp_path / 'image.png'
  image.write_bytes(tiny_models.png(20, 30, 255))
  with _process('--saved_model=%s' % folder, '--port=0',
                '--name=shapes') as process:
    process.stdout.readline()
    url = re.search(r'http://[^/]+', process.stdout.readline()).group()
    client = tmp_path / 'client.py'
    client.write_text(files['rest_client.py'].replace(
        'http://127.0.0.1:8501', url))
    def run(*paths):
      return subprocess.run(
          [sys.executable, str(client)] + [str(path) for path in paths],
          capture_output=True, text=True)
    lines = run(image, image).stdout.splitlines()
    assert len(lines) == 6
    assert lines[0] == '%s 1 1.0 0.0 0.0 20.0 30.0' % image
    wrong = run(client)  # not an image
    assert wrong.returncode == 1 and 'Row 0 of input' in wrong.stderr


def _inside(url):
  """How many requests the server has."""
  with urllib.request.urlopen(url.split('/v1')[0] + '/metrics') as response:
    text = response.read().decode('utf-8')
  return float(re.search(r'requests_inside{.*?} (\S+)', text).group(1))


def test_a_port_in_use_and_no_model(folder, tmp_path, capsys):
  with _process('--saved_model=%s' % folder, '--port=0') as process:
    process.stdout.readline()
    port = re.search(r':(\d+)/', process.stdout.readline()).group(1)
    assert serve.main(['--saved_model=%s' % folder, '--port=' + port]) == 1
    assert 'Another --port may be free' in capsys.readouterr().err
  assert serve.main(['--saved_model=%s' % tmp_path]) == 1
  assert 'is not an exported model' in capsys.readouterr().err
  assert serve.main(['--saved_model=%s' % folder, '--label_map=%s' % (
      tmp_path / 'no.csv')]) == 1
  assert 'label map' in capsys.readouterr().err


def test_a_model_that_cannot_run(folder, capsys, monkeypatch):
  def fail(self):
    raise tf.errors.ResourceExhaustedError(None, None, 'OOM of a tensor')
  monkeypatch.setattr(image_model.Detect, 'warm_up', fail)
  assert serve.main(['--saved_model=%s' % folder]) == 1
  assert capsys.readouterr().err.endswith('Error: OOM of a tensor\n')


@pytest.mark.parametrize('arguments, sentence', [
    ([], '--saved_model'), (['--saved_model=x', '--name=a/b'], '--name is'),
    (['--saved_model=x', '--max_rows=0'], '--max_rows should be above 0'),
    (['--saved_model=x', '--grace_s=-1'], '--grace_s should be')])
def test_wrong_arguments(arguments, sentence, capsys):
  with pytest.raises(SystemExit):
    serve.parse_arguments(arguments)
  assert sentence in capsys.readouterr().err


def test_limits_of_the_command_line():
  limits = serve.make_limits(serve.parse_arguments([
      '--saved_model=x', '--max_body_mb=1.5', '--max_megapixels=2',
      '--batch_timeout_ms=7']))
  assert (limits.max_body_bytes, limits.max_pixels, limits.batch_timeout_s) == (
      1572864, 2000000, .007)
  # Local unless told.
  assert serve.parse_arguments(['--saved_model=x']).host == '127.0.0.1'
