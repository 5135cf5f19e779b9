"""Tests of exported models of every family behind the server and its page."""

import io

import numpy as np
from PIL import Image
import pytest

from serving import export
from serving import images
from serving import predictor
from serving import sources
from serving.server import errors
from serving.server import image_model
from serving.server import served_model
from serving.server import service as service_lib
from tests import runtimes
from tests.serving import small_models
from tests.serving.server import servers
from tests.serving.server import test_image_limits
from tests.serving.server import tiny_models

_NAMES = {0: 'ground', 1: 'cat', 2: '<b>dog</b>', 3: 'bird'}


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
  """model -> folder of its export, made once."""
  made = {}
  def export_model(model, **options):
    key = (model,) + tuple(sorted(options.items()))
    if key not in made:
      run = tmp_path_factory.mktemp(model)
      small_models.make(run, model)
      source = sources.find_checkpoint(run)
      made[key] = export.export(source.config, source.checkpoint,
                                run / 'export', label_map=_NAMES, **options)
    return made[key]
  return export_model


def _png(seed=0, height=50, width=80):
  return tiny_models.encoded(small_models.image(height, width, seed), 'png')


@pytest.mark.parametrize('model, options', [
    ('retinanet', {'batch_size': 1}),
    runtimes.only('tf2', 'retinanet', {'input_type': 'raw_image_tensor'}),
    pytest.param('retinanet', {'batch_size': 2}, marks=pytest.mark.slow),
    pytest.param('retinanet', {'input_type': 'image_tensor'},
                 marks=pytest.mark.slow),
    pytest.param('retinanet', {'input_type': 'tf_example'},
                 marks=pytest.mark.slow),
    runtimes.only('tf1', 'mask_rcnn', {'batch_size': -1}),
    runtimes.only('tf1', 'classification', {'batch_size': -1}),
    runtimes.only('tf2', 'segmentation', {'batch_size': 1})])
def test_the_page_sees_what_the_predictor_sees(exported, model, options):
  folder = exported(model, **options)
  expected = predictor.load(folder)([_png(0), _png(1, 64, 64)])
  async def talk(client):
    return [await client.post('/answer', data=content)
            for content in (_png(0), _png(1, 64, 64))]
  answers = servers.talk(folder, talk)
  for (status, values, _), result in zip(answers, expected):
    assert status == 200, values
    assert (values['height'], values['width']) == result.image_size
    if values['task'] == 'detection':
      assert len(values['objects']) == len(result.scores) > 0
      np.testing.assert_allclose([one['box'] for one in values['objects']],
                                 result.boxes, atol=1e-2)
      assert [one['name'] for one in values['objects']] == result.names
      assert any(one['mask'] for one in values['objects']) == (
          model == 'mask_rcnn')
    else:
      assert [one['name'] for one in values['classes']] == result.names


def test_rest_and_classify(exported):
  folder = exported('classification', batch_size=-1)
  async def talk(client):
    return (await client.predict(_png(), _png(1)),
            await client.post('/v1/models/m:classify', {
                'examples': [{'image/encoded': servers.b64(_png())}]}))
  (status, values, _), (classified, classes, _) = servers.talk(folder, talk)
  assert status == classified == 200
  probabilities = values['predictions'][0]['probabilities']
  best = classes['results'][0][0]
  assert best[1] == pytest.approx(max(probabilities), rel=1e-4)
  number = int(np.argmax(probabilities))
  assert best[0] == _NAMES.get(number, str(number))


def test_rest_of_segmentation(exported):
  folder = exported('segmentation', batch_size=1)
  async def talk(client):
    return await client.predict(_png())
  status, values, _ = servers.talk(folder, talk)
  assert status == 200 and values['predictions'][0]['key'] == 'default'
  assert set(values['predictions'][0]['category_bytes']) == {'b64'}


@pytest.fixture(scope='module')
def detect(exported):
  folder = exported('retinanet', batch_size=1)
  service = service_lib.Service(
      served_model.ServedModel(folder), 'm',
      service_lib.Limits(max_pixels=20000))
  made = image_model.Detect(service)
  made.warm_up()
  yield made
  service.close()


def _odd_images():
  """[(name, bytes)] of images that are right, if odd."""
  rng = np.random.RandomState(0)
  pixels = rng.randint(0, 256, [30, 40, 3]).astype(np.uint8)
  image = Image.fromarray(pixels)
  def saved(what, image_format, **options):
    stream = io.BytesIO()
    what.save(stream, image_format, **options)
    return stream.getvalue()
  yield 'one pixel', saved(image.crop((0, 0, 1, 1)), 'png')
  yield 'thin', saved(image.resize((10000, 1)), 'png')
  yield 'tall', saved(image.resize((1, 10000)), 'png')
  yield '16 bits', saved(Image.fromarray(
      rng.randint(0, 2**16, [30, 40]).astype(np.uint16)), 'png')
  yield 'CMYK', saved(image.convert('CMYK'), 'jpeg')
  yield 'alpha', saved(image.convert('RGBA'), 'png')
  yield 'palette', saved(image.convert('P'), 'png')
  yield 'grey', saved(image.convert('L'), 'jpeg')
  yield 'animated', saved(image, 'gif', save_all=True, append_images=[
      Image.fromarray(255 - pixels)])
  yield 'WebP', saved(image, 'webp')
  for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    yield 'EXIF %d' % orientation, saved(image, 'jpeg', exif=exif)


_ODD_IMAGES = list(_odd_images())


@pytest.mark.parametrize('name, content', _ODD_IMAGES,
                         ids=[name for name, _ in _ODD_IMAGES])
def test_odd_images_are_answered(detect, name, content):
  result = detect(content)
  width, height = Image.open(io.BytesIO(content)).size
  is_turned = name[:4] == 'EXIF' and int(name[5:]) > 4
  assert result.image_size == ((width, height) if is_turned
                               else (height, width))


@pytest.mark.parametrize('content, sentence', [
    (b'', 'is empty'), (b'<svg onload="alert(1)">', 'is not an image'),
    (_png()[:-200], 'truncated'),
    (test_image_limits._bomb(60000, 60000), 'pixels'),
    (test_image_limits._bomb(200, 200), '40000|200 x 200'),
    (test_image_limits._animation(201), '20100 pixels'),
    (tiny_models.encoded(np.zeros([200, 200, 3], np.uint8), 'gif'), '40000')])
def test_hostile_images_are_refused(detect, content, sentence):
  with pytest.raises((images.InputError, errors.RequestError), match=sentence):
    detect(content)
