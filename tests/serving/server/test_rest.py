"""Tests of the server over HTTP: answers, limits, errors, the end."""

import asyncio
import gzip
import json
import threading

import numpy as np
import pytest

from serving.server import service as service_lib
from tests.serving.server import servers
from tests.serving.server import tiny_models

PREDICT = '/v1/models/m:predict'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """Exports by name."""
  path = tmp_path_factory.mktemp('exports')
  tiny_models.detector(path / 'free')
  tiny_models.detector(path / 'one', batch_size=1)
  tiny_models.classifier(path / 'classes')
  tiny_models.segmenter(path / 'segments', batch_size=1)
  tiny_models.raw(path / 'raw')
  (path / 'versions').mkdir()
  tiny_models.detector(path / 'versions' / '7')
  return path


def _score(answer):
  """The brightness of the image that a row of the answer is of."""
  return int(round(255 * answer['detection_scores'][0]))


@pytest.mark.parametrize('name', ['free', 'one'])
def test_predict_by_rows(folder, name):
  async def talk(client):
    return await client.predict(
        tiny_models.png(20, 30, 10), tiny_models.png(5, 6, 200),
        tiny_models.png(7, 7, 30))
  status, values, headers = servers.talk(folder / name, talk)
  assert status == 200, values
  assert headers['Content-Type'].startswith('application/json')
  assert [_score(row) for row in values['predictions']] == [10, 200, 30]
  first = values['predictions'][0]
  assert first['num_detections'] == 3
  assert first['detection_boxes'] == [[0, 0, 20, 30], [1, 1, 20, 30],
                                      [2, 2, 20, 30]]
  assert first['image_info'][0] == [20, 30]


def test_predict_by_columns(folder):
  async def talk(client):
    return await client.post(PREDICT, {'inputs': {
        'input': [servers.b64(tiny_models.png(value=v)) for v in (1, 2)]}})
  status, values, _ = servers.talk(folder / 'free', talk)
  assert status == 200
  assert values['outputs']['num_detections'] == [3, 3]
  np.testing.assert_allclose(
      np.array(values['outputs']['detection_scores'])[:, 0], [1/255, 2/255],
      rtol=1e-6)


def test_many_clients_get_their_own_answers(folder):
  async def talk(client):
    answers = await asyncio.gather(*[
        client.predict(tiny_models.png(value=v)) for v in range(40)])
    return answers, (await client.get('/metrics'))[1]
  answers, metrics = servers.talk(
      folder / 'free', talk, service_lib.Limits(batch_timeout_s=.2))
  assert [_score(v['predictions'][0]) for _, v, _ in answers] == list(range(40))
  runs = float(metrics.split('batch_rows_count{')[1].split('} ')[1].split()[0])
  assert runs < 40  # some ran together


def test_raw_pixels(folder):
  async def talk(client):
    return await client.post(PREDICT, {
        'instances': [np.full([8, 8, 3], v).tolist() for v in (.5, 2)]})
  assert servers.talk(folder / 'raw', talk)[:2] == (
      200, {'predictions': [.5, 2.]})


def test_segmentation(folder):
  image = tiny_models.png()
  async def talk(client):
    short = await client.predict(image)
    named = await client.post(PREDICT, {'instances': [
        {'image_bytes': servers.b64(image), 'key': k, 'score_thresholds': .5}
        for k in 'ab']})
    return short, named
  short, named = servers.talk(folder / 'segments', talk)
  assert short[1]['predictions'] == [
      {'category_bytes': servers.b64(image), 'key': 'default'}]
  assert [row['key'] for row in named[1]['predictions']] == ['a', 'b']


def test_classify(folder):
  pixels = np.zeros([2, 4, 3], np.uint8)
  pixels[0, :, 0] = [10, 60, 10, 20]
  image = servers.b64(tiny_models.encoded(pixels, 'png'))
  async def talk(client):
    path = '/v1/models/m/versions/1:classify'
    good = [await client.post(path, {'examples': [{key: image}]})
            for key in ('input', 'image/encoded')]
    bad = [await client.post(path, {'examples': examples})
           for examples in ([], [{'x': image}], [1])]
    return good, bad
  good, bad = servers.talk(folder / 'classes', talk,
                           label_map={1: 'cat', 3: 'dog'})
  for status, values, _ in good:
    assert status == 200
    assert [row[0] for row in values['results'][0]] == ['cat', 'dog', '0', '2']
    np.testing.assert_allclose([row[1] for row in values['results'][0]],
                               [.6, .2, .1, .1], rtol=1e-6)
  assert [status for status, _, _ in bad] == [400] * 3
  assert "features ['x'], expected is" in bad[1][1]['error']


def test_classify_needs_a_classifier(folder):
  async def talk(client):
    return await client.post('/v1/models/m:classify', {'examples': [{}]})
  status, values, _ = servers.talk(folder / 'free', talk)
  assert status == 400 and 'use :predict' in values['error']


def test_status_and_metadata(folder):
  async def talk(client):
    return [(await client.get('/v1/models/m' + tail))[:2]
            for tail in ('', '/versions/7', '/metadata', '/versions/7/metadata',
                         '/versions/6')]
  answers = servers.talk(folder / 'versions', talk)
  assert [status for status, _ in answers] == [200] * 4 + [404]
  assert answers[0][1] == answers[1][1] == {'model_version_status': [{
      'version': '7', 'state': 'AVAILABLE',
      'status': {'error_code': 'OK', 'error_message': ''}}]}
  assert answers[2] == answers[3]
  values = answers[2][1]
  assert values['model_spec'] == {'name': 'm', 'signature_name': '',
                                  'version': '7'}
  signature = values['metadata']['signature_def']['signature_def'][
      'serving_default']
  assert signature['method_name'] == 'tensorflow/serving/predict'
  assert signature['inputs'] == {'input': {
      'dtype': 'DT_STRING', 'name': 'Placeholder:0', 'tensor_shape': {
          'dim': [{'size': '-1', 'name': ''}], 'unknown_rank': False}}}
  assert signature['outputs']['detection_classes']['dtype'] == 'DT_INT32'
  assert signature['outputs']['detection_boxes']['dtype'] == 'DT_FLOAT'


def test_errors_have_the_form_of_tensorflow_serving(folder):
  good = tiny_models.png()
  async def talk(client):
    asked = [
        client.get('/v1/models/other'), client.get('/v1/models'),
        client.get('/v1/nothing'), client.get('/nothing'),
        client.post('/v1/models/other:predict', {'instances': [1]}),
        client.post('/v1/models/m/versions/2:predict', {'instances': [1]}),
        client.post('/v1/models/m:regress', {'examples': [{}]}),
        client.post('/v1/models/m:guess', {}), client.post('/metrics'),
        client.post(PREDICT, data=b'{"instances": ['),
        client.predict(good, b'nothing'), client.predict(good[:-30]),
        client.predict(good, signature_name='x'),
        client.post(PREDICT, data=b'x', headers={'Content-Encoding': 'br'}),
        client.post(PREDICT, data=b'x', headers={'Content-Encoding': 'gzip'})]
    return await asyncio.gather(*asked), await client.predict(good)
  answers, after = servers.talk(folder / 'free', talk)
  assert [status for status, _, _ in answers] == [
      404, 400, 400, 404, 404, 404, 400, 400, 405, 400, 400, 400, 400, 415, 400]
  for _, values, headers in answers:
    assert list(values) == ['error'] and values['error']
    assert 'Traceback' not in values['error']
    assert headers['X-Content-Type-Options'] == 'nosniff'
  assert answers[0][1]['error'] == (
      'Servable not found for request: Latest(other)')
  assert answers[2][1]['error'] == 'Malformed request: GET /v1/nothing'
  assert 'Row 1 of input is not a JPEG' in answers[10][1]['error']
  assert after[0] == 200


def test_a_broken_image_spoils_no_other(folder):
  """What the header does not show fails in the network, alone."""
  noise = np.random.RandomState(0).randint(0, 256, [40, 40, 3], np.uint8)
  broken = tiny_models.encoded(noise, 'png')[:1000]
  async def talk(client):
    return await asyncio.gather(*[
        client.predict(content) for content in
        [tiny_models.png(value=9), broken, tiny_models.png(value=8)] * 3])
  answers = servers.talk(folder / 'free', talk,
                         service_lib.Limits(batch_timeout_s=.2))
  assert [status for status, _, _ in answers] == [200, 400, 200] * 3
  assert _score(answers[2][1]['predictions'][0]) == 8


@pytest.mark.parametrize('limits, contents, status, sentence', [
    (dict(max_body_bytes=50), [tiny_models.png()], 413, '50 bytes'),
    (dict(max_bytes=50), [tiny_models.png()], 503, 'allowed number of bytes'),
    (dict(max_pixels=599), [tiny_models.png(20, 30)], 413, '600 pixels'),
    (dict(max_pixels=1000), [tiny_models.png(20, 30)] * 2, 413, '1200 pixels'),
    (dict(max_rows=1), [tiny_models.png()] * 2, 413, '2 rows'),
    (dict(max_requests=0), [tiny_models.png()], 503, 'accepts no more')])
def test_limits(folder, limits, contents, status, sentence):
  async def talk(client):
    return await client.predict(*contents)
  found, values, headers = servers.talk(
      folder / 'free', talk, service_lib.Limits(**limits))
  assert found == status and sentence in values['error']
  assert headers.get('Retry-After') == ('1' if status == 503 else None)


def test_compressed_bodies(folder):
  def body(size):
    text = json.dumps({'instances': [servers.b64(tiny_models.png())]})
    return gzip.compress((text + ' ' * size).encode('utf-8'))
  async def talk(client):
    headers = {'Content-Encoding': 'gzip'}
    return [await client.post(PREDICT, data=data, headers=headers) for data in (
        body(0), body(2 * 10**6), body(0)[:-20], b'no gzip')]
  answers = servers.talk(folder / 'free', talk,
                         service_lib.Limits(max_body_bytes=10**6))
  assert [status for status, _, _ in answers] == [200, 413, 400, 400]
  assert 'truncated' in answers[2][1]['error']


def test_bodies_that_do_not_come(folder, caplog):
  async def talk(client):
    reader, writer = await asyncio.open_connection(
        *client.url.split('//')[1].split(':'))
    writer.write(b'POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{'
                 % PREDICT.encode('ascii'))
    status = await reader.readline()
    writer.close()
    # Another one goes away in the middle.
    _, writer = await asyncio.open_connection(
        *client.url.split('//')[1].split(':'))
    writer.write(b'POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{'
                 % PREDICT.encode('ascii'))
    await writer.drain()
    writer.close()
    answer = await client.predict(tiny_models.png())
    while client.service.admission.num_requests:
      await asyncio.sleep(.01)
    return status, answer, client.service.admission.num_bytes
  status, answer, held = servers.talk(
      folder / 'free', talk, service_lib.Limits(body_timeout_s=.2))
  assert status.split()[1] == b'408' and answer[0] == 200 and held == 0
  assert 'Traceback' not in caplog.text and not [
      record for record in caplog.records if record.exc_info]


class _Held:
  """Stops a service's network until `go`."""

  def __init__(self, service):
    self.go, self.entered = threading.Event(), threading.Event()
    self._run = service._batcher._run_graph
    service._batcher._run_graph = self

  def __call__(self, name, feeds):
    self.entered.set()
    assert self.go.wait(20)
    return self._run(name, feeds)


async def _until(predicate):
  for _ in range(2000):
    if predicate():
      return
    await asyncio.sleep(.01)
  raise AssertionError('It did not happen.')


def test_overload_is_told_and_passes(folder):
  async def talk(client):
    held = _Held(client.service)
    asked = [asyncio.ensure_future(client.predict(tiny_models.png(value=v)))
             for v in range(6)]
    await _until(lambda: sum(task.done() for task in asked) == 4)
    refused = [task.result() for task in asked if task.done()]
    probes = [await client.get(path) for path in (
        '/healthz', '/readyz', '/v1/models/m')]
    held.go.set()
    answered = [await task for task in asked]
    return refused, probes, answered, await client.predict(tiny_models.png())
  refused, probes, answered, after = servers.talk(
      folder / 'free', talk, service_lib.Limits(max_requests=2))
  for status, values, headers in refused:
    assert (status, headers['Retry-After']) == (503, '1')
    assert 'try again' in values['error']
  assert [status for status, _, _ in probes] == [200] * 3
  assert sorted(status for status, _, _ in answered) == [200] * 2 + [503] * 4
  assert after[0] == 200


def test_no_answer_in_time(folder):
  async def talk(client):
    held = _Held(client.service)
    late = await client.predict(tiny_models.png())
    held.go.set()
    for _ in range(20):  # A busy machine may be late itself.
      after = await client.predict(tiny_models.png())
      if after[0] != 504:
        break
    return late, after
  late, after = servers.talk(folder / 'free', talk,
                             service_lib.Limits(request_timeout_s=.3))
  assert late[0] == 504 and 'within 0.3 seconds' in late[1]['error']
  assert after[0] == 200


def test_stopping_answers_what_is_inside(folder):
  async def talk(client):
    held = _Held(client.service)
    inside = asyncio.ensure_future(client.predict(tiny_models.png(value=77)))
    await _until(held.entered.is_set)
    stopping = asyncio.ensure_future(client.server.stop())
    await asyncio.sleep(.05)
    refused = [await client.predict(tiny_models.png()),
               await client.get('/readyz'), await client.get('/v1/models/m')]
    alive = await client.get('/healthz')
    held.go.set()
    return await inside, refused, alive, await stopping
  inside, refused, alive, left = servers.talk(folder / 'free', talk)
  assert inside[0] == 200 and _score(inside[1]['predictions'][0]) == 77
  assert [status for status, _, _ in refused] == [503, 503, 200]
  assert 'stopping' in refused[0][1]['error']
  assert refused[2][1]['model_version_status'][0]['state'] == 'UNLOADING'
  assert alive[0] == 200 and left == 0


def test_metrics(folder):
  async def talk(client):
    await client.predict(tiny_models.png(), tiny_models.png())
    await client.predict(b'')
    await client.get('/v1/models/m')
    own = await client.get('/metrics')
    return own, await client.get('/monitoring/prometheus/metrics')
  (status, text, headers), other = servers.talk(folder / 'free', talk)
  assert status == other[0] == 200
  assert headers['Content-Type'].startswith('text/plain')
  labels = 'model_name="m",version="1"'
  for line in (
      'requests_total{method="predict",model_name="m",status="200",'
      'version="1"} 1.0',
      'requests_total{method="predict",model_name="m",status="400",'
      'version="1"} 1.0',
      'requests_total{method="status",model_name="m",status="200",'
      'version="1"} 1.0',
      'refused_total{model_name="m",reason="image",version="1"} 1.0',
      # The first of them warmed the network up.
      'rows_total{%s} 3.0' % labels, 'run_seconds_count{%s} 2.0' % labels,
      'requests_inside{%s} 0.0' % labels, 'queue_requests{%s} 0.0' % labels,
      'body_bytes{%s} 0.0' % labels):
    assert '\nvision_serving_' + line + '\n' in text, line
  assert '\nprocess_resident_memory_bytes ' in text
