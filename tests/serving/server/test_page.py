"""Tests of the page: what it is sent, and in a browser what it does with it."""

import asyncio
import base64
import io
import json

import aiohttp
import numpy as np
from PIL import Image
import pytest

from serving import answers
from serving import images
from serving import results
from serving.server import app as app_lib
from serving.server import lifecycle
from serving.server import page as page_lib
from serving.server import page_answer
from serving.server import served_model
from serving.server import service as service_lib
from tests.serving.server import browser
from tests.serving.server import servers
from tests.serving.server import tiny_models

HOSTILE = '<img src=x onerror="alert(1)">\n\'"&amp;' + 'x' * 200
_NAMES = {1: 'cat', 2: HOSTILE, 3: '</script><script>alert(2)</script>'}


def _image(height=120, width=200):
  """A gradient, so that what is drawn differs from the ground."""
  pixels = np.zeros([height, width, 3], np.uint8)
  pixels[:, :, 0] = np.linspace(0, 200, width)
  pixels[:, :, 1] = np.linspace(0, 200, height)[:, np.newaxis]
  return pixels


def _detection(image, masks=True):
  """Three objects; of the masks the left half is inside."""
  height, width = image.shape[:2]
  half = np.tile(np.arange(8) < 4, [8, 1]).astype(np.float32)
  return results.DetectionResult(
      [[.1 * height, .1 * width, .6 * height, .5 * width],
       [.3 * height, .5 * width, .9 * height, .9 * width],
       [-5, -5, .2 * height, 2 * width]], [.9, .5, .2], [1, 2, 3],
      masks=np.stack([half] * 3) if masks else None, image=image,
      image_size=image.shape[:2], class_names=_NAMES)


def _pixels(uri):
  kind, text = uri.split(',')
  assert kind in ('data:image/png;base64', 'data:image/jpeg;base64')
  return np.array(Image.open(io.BytesIO(base64.b64decode(text))))


def test_objects():
  values = page_answer.of_result(_detection(_image()))
  assert json.loads(json.dumps(values)) == values
  assert (values['task'], values['height'], values['width']) == (
      'detection', 120, 200)
  assert _pixels(values['preview']).shape == (120, 200, 3)
  first = values['objects'][0]
  assert (first['name'], first['class']) == ('cat', 1)
  np.testing.assert_allclose(first['box'], [12, 20, 72, 100], rtol=1e-5)
  mask = first['mask']
  assert (mask['y'], mask['x'], mask['height'], mask['width']) == (
      12, 20, 60, 40)  # the half of the box that is inside
  assert (_pixels(mask['png']) > 127)[:, :39].all()
  # What is beyond the image is cut.
  assert values['objects'][2]['mask']['x'] == 0
  assert page_answer.of_result(_detection(_image(), masks=False))['objects'][
      0]['mask'] is None


def test_masks_that_an_export_has_pasted():
  """They are as large as the image; the page gets what is not empty."""
  image = _image()
  pasted = np.zeros([1, 3, 130, 250], np.uint8)  # of a batch with a larger one
  pasted[0, 0, 12:72, 20:60] = pasted[0, 1, 119, 199] = 1
  result = answers.of_detections({
      'num_detections': [3], 'detection_scores': np.float32([[.9, .8, .7]]),
      'detection_boxes': np.float32([[[12, 20, 72, 100]] * 3]),
      'detection_classes': np.array([[1, 1, 1]]), 'pasted_masks': pasted,
      'image_info': np.ones([1, 4, 2], np.float32)}, 0, None, image=image,
      image_size=image.shape[:2], class_names=_NAMES)
  masks = [one['mask'] for one in page_answer.of_result(result)['objects']]
  assert [masks[0][key] for key in ('y', 'x', 'height', 'width')] == [
      12, 20, 60, 40]
  assert (_pixels(masks[0]['png']) == 255).all()
  assert [masks[1][key] for key in ('y', 'x', 'height', 'width')] == [
      119, 199, 1, 1]
  assert masks[2] is None


def test_large_images_are_shown_smaller():
  values = page_answer.of_result(_detection(_image(3, 4000)), max_side=100)
  assert (values['preview_height'], values['preview_width']) == (1, 100)
  values = page_answer.of_result(_detection(_image(1200, 2000)), max_side=200)
  assert _pixels(values['preview']).shape == (120, 200, 3)
  np.testing.assert_allclose(values['objects'][0]['box'],
                             [120, 200, 720, 1000], rtol=1e-5)
  assert values['objects'][0]['mask']['width'] == 40


def _segmentation(image, scores=None):
  label_map = np.zeros(image.shape[:2], np.int32)
  label_map[10:20, 5:45] = 1
  label_map[30:, :] = 258
  return results.SegmentationResult(
      label_map, scores, image=image, image_size=image.shape[:2],
      class_names={0: 'ground', 258: 'sky'})


def test_label_maps():
  image = _image(40, 50)
  scores = np.full([40, 50], .5, np.float32)
  values = page_answer.of_result(_segmentation(image, scores))
  pixels = _pixels(values['label_map'])
  assert pixels[15, 20].tolist() == [1, 0, 127]
  assert pixels[35, 0].tolist() == [2, 1, 127]
  assert [(c['name'], c['class'], c['score']) for c in values['classes']] == [
      ('ground', 0, .55), ('1', 1, .2), ('sky', 258, .25)]
  pixels = _pixels(page_answer.of_result(_segmentation(image))['label_map'])
  assert pixels[0, 0].tolist() == [0, 0, 255]


def test_classes():
  values = page_answer.of_result(results.ClassificationResult(
      [.1, .6, .3], image=_image(), image_size=(120, 200), class_names=_NAMES))
  assert [(c['name'], round(c['score'], 3)) for c in values['classes']] == [
      ('cat', .6), (HOSTILE, .3), ('0', .1)]


class _Pages:
  """A server whose page gets answers from a function."""

  def __init__(self, folder, detect, name='m'):
    model = served_model.ServedModel(folder)
    self.service = service_lib.Service(model, name)
    app = app_lib.make(self.service, page_lib.Page(self.service, detect))
    self._server = lifecycle.Server(app, self.service, port=0)

  def talk(self, conversation):
    """Runs coroutine(Client)."""
    async def run():
      await self._server.start()
      async with aiohttp.ClientSession() as session:
        result = await conversation(servers.Client(
            session, self._server.address[1], self.service, self._server))
      await self._server.stop()
      return result
    with servers.loop() as loop:
      try:
        return loop.run_until_complete(run())
      finally:
        self.service.close()


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('page')
  tiny_models.raw(path / 'm')
  return path / 'm'


def _detect(content):
  return _detection(images.load(content))


def test_the_page_needs_nothing_from_elsewhere(folder):
  async def talk(client):
    return [await client.get('/') for _ in range(2)]
  (status, text, headers), again = _Pages(
      folder, _detect, name='<b>&"').talk(talk)
  assert status == 200 and headers['Content-Type'].startswith('text/html')
  assert '<b>' not in text and '&lt;b&gt;&amp;&#34;' in text
  assert 'http://' not in text and 'https://' not in text and '//' not in (
      text.split('<script')[0])
  policy = headers['Content-Security-Policy']
  assert "default-src 'none'" in policy and 'unsafe' not in policy
  assert policy != again[2]['Content-Security-Policy']  # a nonce is used once


def test_answers_of_the_page(folder):
  async def talk(client):
    good = await client.post('/answer', data=tiny_models.png(20, 30))
    bad = [await client.post('/answer', data=data) for data in (
        b'', b'<svg onload=alert(1)>')]
    client.service.admission.is_stopping = True
    return good, bad, await client.post('/answer', data=b'x')
  good, bad, late = _Pages(folder, _detect).talk(talk)
  assert good[0] == 200 and good[1]['objects'][1]['name'] == HOSTILE
  assert [status for status, _, _ in bad] == [400, 400]
  assert 'is empty' in bad[0][1]['error']
  assert 'not an image' in bad[1][1]['error']
  assert 'svg' not in bad[1][1]['error']
  assert late[0] == 503


def _in_browser(pages, tmp_path, script):
  """Runs coroutine(Tab, Client) on the page; checks that it stays harmless."""
  async def talk(client):
    with browser.started(tmp_path) as path:
      tab = await browser.with_tab(client.session, path, client.url + '/')
      result = await script(tab, client)
      assert [url for url in tab.urls if not url.startswith(
          (client.url, 'data:', 'blob:'))] == []
      return result, tab.problems
  return pages.talk(talk)


# The middle of a pixel of the image, which is shown enlarged.
_PIXEL = ('Array.from(document.getElementById("canvas").getContext("2d")'
          '.getImageData((%d + .5) * enlarged, (%d + .5) * enlarged, 1, 1)'
          '.data)')
_ROWS = ('Array.from(document.querySelectorAll("#list li")).map('
         'item => item.querySelector(".name").textContent)')
_SET = ('(() => { const e = document.getElementById("%s"); e.%s = %s; '
        'e.dispatchEvent(new Event("input")); })()')
_IS_ANSWERED = '!document.getElementById("found").hidden'


@pytest.mark.slow
@browser.needed
def test_dropped_images_in_a_browser(folder, tmp_path):
  # A name with what is dangerous in HTML, and as long as file names may be.
  image = tmp_path / ('<img src=x onerror=alert(3)>\'"\n%s.png' % ('y' * 150))
  image.write_bytes(tiny_models.encoded(_image(), 'png'))
  async def script(tab, client):
    del client
    await tab.drop(image)
    await tab.until(_IS_ANSWERED)
    rows = await tab.run(_ROWS)
    # Inside of the first mask, beside it, and where no object is.
    colors = [await tab.run(_PIXEL % point)
              for point in ((40, 40), (80, 40), (10, 110))]
    await tab.run(_SET % ('threshold', 'value', '0.6'))
    fewer = await tab.run(_ROWS)
    await tab.run(_SET % ('threshold', 'value', '0.95'))
    none = await tab.run('document.getElementById("summary").textContent')
    await tab.run(_SET % ('threshold', 'value', '0'))
    every = await tab.run(_ROWS)
    for name in ('masks', 'boxes', 'names'):
      await tab.run(_SET % (name, 'checked', 'false'))
    plain = await tab.run(_PIXEL % (40, 40))
    state = await tab.run('document.getElementById("state").textContent')
    return rows, colors, fewer, none, every, plain, state
  found, problems = _in_browser(_Pages(folder, _detect), tmp_path, script)
  rows, colors, fewer, none, every, plain, state = found
  assert problems == []
  assert rows == ['cat', HOSTILE] and fewer == ['cat']
  assert none == 'No object above 0.95; the best has 0.90.'
  assert every == ['cat', HOSTILE, _NAMES[3]]
  image_colors = [_image()[y, x] for x, y in ((40, 40), (80, 40), (10, 110))]
  distances = [np.abs(np.array(color[:3], int) - expected).max()
               for color, expected in zip(colors, image_colors)]
  assert distances[0] > 40 and distances[1] < 12 and distances[2] < 12
  assert np.abs(np.array(plain[:3], int) - image_colors[0]).max() < 12
  assert 'onerror=alert(3)' in state and '200 × 120 pixels' in state


@pytest.mark.slow
@browser.needed
def test_errors_and_other_tasks_in_a_browser(folder, tmp_path):
  bad, good = tmp_path / 'bad.png', tmp_path / 'good.png'
  bad.write_bytes(b'<script>alert(4)</script>')
  good.write_bytes(tiny_models.encoded(_image(40, 50), 'png'))
  tasks = []
  def detect(content):
    pixels = images.load(content)
    return tasks.pop(0)(pixels)
  def classes(pixels):
    return results.ClassificationResult(
        [.1, .6, .3], image=pixels, image_size=pixels.shape[:2],
        class_names=_NAMES)
  async def script(tab, client):
    await tab.choose('#file', bad)
    await tab.until('!document.getElementById("error").hidden')
    error = await tab.run('document.getElementById("error").textContent')
    tasks.append(classes)
    await tab.choose('#file', good)
    await tab.until(_IS_ANSWERED)
    rows = await tab.run(_ROWS)
    tasks.append(lambda pixels: _segmentation(
        pixels, np.full([40, 50], .5, np.float32)))
    await tab.choose('#file', good)
    await tab.until(_ROWS + '.includes("sky")')
    coloured = await tab.run(_PIXEL % (25, 35))
    await tab.run(_SET % ('threshold', 'value', '0.6'))
    plain = await tab.run(_PIXEL % (25, 35))
    # A busy server is asked again.
    client.service.admission._max_requests = 0
    tasks.append(classes)
    await tab.choose('#file', good)
    await tab.until('document.getElementById("state").textContent'
                    '.includes("busy")')
    client.service.admission._max_requests = 9
    await tab.until(_ROWS + '.includes("cat")')
    return error, rows, coloured, plain
  found, problems = _in_browser(_Pages(folder, detect), tmp_path, script)
  error, rows, coloured, plain = found
  assert 'not an image' in error
  assert rows == ['cat', HOSTILE, '0']
  image_color = _image(40, 50)[35, 25]
  assert np.abs(np.array(coloured[:3], int) - image_color).max() > 40
  assert np.abs(np.array(plain[:3], int) - image_color).max() < 12
  # The browser itself notes answers that are errors.
  assert all('the server responded with a status of' in problem
             for problem in problems)


def test_a_page_may_wait(folder):
  """Work of the page stops neither probes nor other requests."""
  async def talk(client):
    go = asyncio.Event()
    loop = asyncio.get_event_loop()
    def detect(content):
      asyncio.run_coroutine_threadsafe(go.wait(), loop).result(20)
      return _detect(content)
    pages._detect = detect
    asked = asyncio.ensure_future(client.post('/answer',
                                              data=tiny_models.png()))
    probe = await client.get('/healthz')
    go.set()
    return probe[0], (await asked)[0]
  made = _Pages(folder, lambda content: pages._detect(content))
  pages = type('Pages', (), {})
  assert made.talk(talk) == (200, 200)
