"""Odd images are the same pixels in records, in answers and in exports."""

import io

import numpy as np
from PIL import Image
import pytest
import tensorflow.compat.v1 as tf

from ops import image_decoding
from serving import images as images_lib
from tools.datasets import image_files

_RNG = np.random.RandomState(0)
PIXELS = np.repeat(np.repeat(_RNG.randint(0, 256, [6, 8, 3]), 8, axis=0), 8,
                   axis=1).astype(np.uint8)
GREY = PIXELS[:, :, 0]


def _encoded(image, image_format, **options):
  if not isinstance(image, Image.Image):
    image = Image.fromarray(image)
  stream = io.BytesIO()
  image.save(stream, image_format, **options)
  return stream.getvalue()


def _exif(value):
  exif = Image.Exif()
  exif[0x0112] = value
  return exif


def _with_alpha(image):
  alpha = np.tile(np.arange(64, dtype=np.uint8) * 4, [48, 1])[..., np.newaxis]
  image = image if image.ndim == 3 else image[..., np.newaxis]
  return np.concatenate([image, alpha], axis=2)


PALETTE = Image.fromarray(PIXELS).quantize(32)
IMAGES = {
    'jpeg': _encoded(PIXELS, 'jpeg'), 'png': _encoded(PIXELS, 'png'),
    'grey jpeg': _encoded(GREY, 'jpeg'), 'grey png': _encoded(GREY, 'png'),
    'palette': _encoded(PALETTE, 'png'),
    'transparent palette': _encoded(PALETTE, 'png', transparency=3),
    'rgba': _encoded(_with_alpha(PIXELS), 'png'),
    'grey and alpha': _encoded(_with_alpha(GREY), 'png'),
    'one bit': _encoded(Image.fromarray(GREY > 99), 'png'),
    '16 bits': _encoded(Image.fromarray(GREY.astype(np.uint16) * 257), 'png'),
    'cmyk': _encoded(Image.fromarray(PIXELS).convert('CMYK'), 'jpeg'),
    'progressive': _encoded(PIXELS, 'jpeg', progressive=True),
    'gif': _encoded(PALETTE, 'gif'),
    'animation': _encoded(PALETTE, 'gif', save_all=True, append_images=[
        Image.fromarray(PIXELS[::-1]).quantize(32)]),
    'bmp': _encoded(PIXELS, 'bmp'),
    'thin': _encoded(PIXELS[:1], 'png'),
    'one pixel': _encoded(PIXELS[:1, :1], 'png')}
IMAGES.update({'exif %d png' % i: _encoded(PIXELS, 'png', exif=_exif(i))
               for i in range(1, 9)})
# Turned without loss by their blocks of 8 or 16 pixels.
TURNED = {'exif %d jpeg' % i: _encoded(PIXELS, 'jpeg', exif=_exif(i),
                                      quality=95)
          for i in range(2, 9)}
NOT_IN_GRAPHS = {
    'webp': _encoded(PIXELS, 'webp', lossless=True),
    'tiff': _encoded(PIXELS, 'tiff'),
    '16 bit tiff': _encoded(Image.fromarray(GREY.astype(np.uint16) * 257),
                            'tiff')}


@pytest.fixture(scope='module')
def graphs():
  """(decoder of training, decoder of exports): bytes -> uint8 [H, W, 3]."""
  with tf.Graph().as_default() as graph:
    encoded = tf.placeholder(tf.string, [])
    results = (image_decoding.decode_image(encoded),
               image_decoding.decode_upright(encoded))
  session = tf.Session(graph=graph)
  return [lambda content, r=result: session.run(r, {encoded: content})
          for result in results]


@pytest.mark.parametrize('name', list(IMAGES) + list(TURNED))
def test_the_same_in_records_answers_and_exports(graphs, name):
  train, export = graphs
  content = dict(IMAGES, **TURNED)[name]
  answered = images_lib.load(content)
  assert answered.dtype == np.uint8
  np.testing.assert_array_equal(export(content), answered)
  recorded = train(image_files.check_image(content).encoded)
  if name in TURNED:  # What stands on its side was decoded another way round.
    difference = np.abs(recorded.astype(int) - answered)
    assert recorded.shape == answered.shape and difference.mean() < 2.
  else:
    np.testing.assert_array_equal(recorded, answered)


@pytest.mark.parametrize('name', list(NOT_IN_GRAPHS))
def test_formats_that_graphs_do_not_know(graphs, name):
  content = NOT_IN_GRAPHS[name]
  answered = images_lib.load(content)
  recorded = graphs[0](image_files.check_image(content).encoded)
  np.testing.assert_array_equal(recorded, answered)
  with pytest.raises(tf.errors.OpError):
    graphs[1](content)
