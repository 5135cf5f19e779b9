"""Tests of serving.server.image_limits: hostile images."""

import struct
import zlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from serving.server import errors
from serving.server import image_limits
from serving.server import served_model
from tests.serving.server import tiny_models


def _signature(dtype=tf.string, shape=(None,)):
  t = served_model.Tensor(dtype, list(shape), 'x:0', False)
  key = served_model.Tensor(tf.string, [None], 'k:0', True)
  return served_model.Signature('s', 'predict', {'input': t, 'key': key}, {})


def _check(*contents, **more):
  array = np.empty([len(contents)], object)
  array[:] = contents
  return image_limits.check(dict(more, input=array), _signature(), 1000)


def _bomb(width, height):
  """A PNG of a few bytes that claims to be huge."""
  def chunk(kind, data):
    return struct.pack('>I', len(data)) + kind + data + struct.pack(
        '>I', zlib.crc32(kind + data) & 0xffffffff)
  return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack(
      '>IIBBBBB', width, height, 8, 2, 0, 0, 0)) + chunk(
          b'IDAT', zlib.compress(b'')) + chunk(b'IEND', b'')


def _animation(frames):
  stack = [np.full([10, 10, 3], i % 250, np.uint8) for i in range(frames)]
  from PIL import Image
  return tiny_models.encoded(
      stack[0], 'gif', save_all=True,
      append_images=[Image.fromarray(one) for one in stack[1:]])


def _example(content):
  example = tf.train.Example()
  example.features.feature['image/encoded'].bytes_list.value.append(content)
  return example.SerializeToString()


def test_pixels_are_counted():
  assert _check(tiny_models.png(20, 30), tiny_models.png(4, 5)) == 620
  assert _check(_example(tiny_models.png(20, 30))) == 600
  assert _check(_animation(3)) == 300
  assert _check(tiny_models.encoded(
      np.zeros([2, 3, 3], np.uint8), 'jpeg')) == 6


@pytest.mark.parametrize('contents, sentence', [
    ([tiny_models.png(20, 60)], 'Row 0 of input has 1200 pixels, more than the '
     '1000'),
    ([tiny_models.png(20, 30), tiny_models.png(21, 30)],
     'images up to row 1 of input have 1230'),
    ([_bomb(60000, 60000)], 'Row 0 of input has (far more|36)'),
    ([tiny_models.png(1, 1), _example(_bomb(9000, 9000))], 'Row 1 of input'),
    ([_animation(12)], 'has 1200 pixels')])
def test_too_many_pixels(contents, sentence):
  with pytest.raises(errors.RequestError, match=sentence) as e:
    _check(*contents)
  assert e.value.status == 413


@pytest.mark.parametrize('content, sentence', [
    (b'', 'is empty: 0 bytes'), (b'no image', 'is not a JPEG'),
    (_example(b''), 'is empty'), (b'\n\xff\xff', 'is not a JPEG'),
    (tf.train.Example().SerializeToString() or b'\n\0', 'is'),
    (tiny_models.png()[:20], 'beginning is damaged'),
    (tiny_models.encoded(np.zeros([2, 3, 3], np.uint8), 'tiff'),
     'is not a JPEG, PNG, GIF or BMP')])
def test_what_is_not_an_image(content, sentence):
  with pytest.raises(errors.RequestError, match=sentence) as e:
    _check(content)
  assert e.value.status == 400


def test_other_inputs_are_not_looked_at():
  assert _check(key=np.array([b'x'], object)) == 0
  pixels = np.zeros([1, 50, 50, 3], np.uint8)
  assert image_limits.check({'input': pixels}, _signature(
      tf.uint8, (1, 50, 50, 3)), 1000) == 0
