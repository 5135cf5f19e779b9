"""Tests of ops/color.py."""

import numpy as np
from PIL import Image
from PIL import ImageEnhance
from PIL import ImageOps
import pytest
import tensorflow.compat.v1 as tf

from ops import color
from tests import golden

_CASES = {c.name: c for c in golden.load_cases('autoaugment_primitives')}


def _run(function, image, *arguments, **options):
  with tf.Graph().as_default(), tf.Session() as session:
    return session.run(function(
        tf.constant(image), *[tf.constant(a, tf.float32) for a in arguments],
        **options))


def _image(height=30, width=40, seed=0):
  return np.random.RandomState(seed).randint(
      0, 256, [height, width, 3]).astype(np.uint8)


def _cases(start):
  cases = [c for name, c in _CASES.items() if name.startswith(start)]
  assert cases
  return pytest.mark.parametrize('case', cases, ids=lambda c: c.name)


def _input(case):
  return case.meta['all_arrays']['inputs']['in']['image']


@_cases('enhance_')
def test_reference_enhancements(case):
  for name, expected in case.outputs.items():
    options = {'legacy': True} if name in ('contrast', 'sharpness') else {}
    np.testing.assert_array_equal(
        _run(getattr(color, name), _input(case), case.params['factor'],
             **options), expected, err_msg=name)


@_cases('solarize_add')
def test_reference_solarize_add(case):
  assert case.params['threshold'] == 128
  np.testing.assert_array_equal(
      _run(color.solarize_add, _input(case), case.params['addition']),
      case.outputs['image'])


@pytest.mark.parametrize('legacy', [False, True])
@_cases('solarize_')
def test_reference_solarize(case, legacy):
  if 'addition' in case.params:
    return
  np.testing.assert_array_equal(
      _run(color.solarize, _input(case), case.params['threshold'],
           legacy=legacy), case.outputs['image'])


@_cases('posterize_')
def test_reference_posterize(case):
  np.testing.assert_array_equal(
      _run(color.posterize, _input(case), case.params['bits']),
      case.outputs['image'])


@_cases('auto')
def test_reference_without_arguments(case):
  for name, expected in case.outputs.items():
    np.testing.assert_array_equal(
        _run(getattr(color, name), _input(case)), expected, err_msg=name)


@pytest.mark.parametrize('function, other', [
    (color.equalize, ImageOps.equalize), (color.invert, ImageOps.invert),
    (lambda image: color.posterize(image, tf.constant(3.)),
     lambda image: ImageOps.posterize(image, 3)),
    (lambda image: color.solarize(image, tf.constant(100.)),
     lambda image: ImageOps.solarize(image, 100))])
def test_equals_pillow(function, other):
  image = _image()
  np.testing.assert_array_equal(_run(function, image),
                                np.array(other(Image.fromarray(image))))


@pytest.mark.parametrize('function, other', [
    (color.contrast, ImageEnhance.Contrast),
    (color.brightness, ImageEnhance.Brightness),
    (color.color, ImageEnhance.Color)])
@pytest.mark.parametrize('factor', [0., .4, 1., 1.7])
def test_is_close_to_pillow(function, other, factor):
  """Which rounds greys and blends in its own way."""
  image = _image(seed=1)
  expected = np.array(other(Image.fromarray(image)).enhance(factor))
  difference = np.abs(_run(function, image, factor).astype(int) - expected)
  assert difference.max() <= 3


def test_contrast_of_nothing_is_the_mean_grey():
  image = np.full([8, 8, 3], 200, np.uint8)
  image[:4] = 100
  np.testing.assert_array_equal(_run(color.contrast, image, 0.), 150)
  # Upstream: 64 pixels / 256.
  np.testing.assert_array_equal(_run(color.contrast, image, 0., legacy=True),
                                0)


def test_solarize_at_256():
  image = _image()
  np.testing.assert_array_equal(_run(color.solarize, image, 256.), image)
  np.testing.assert_array_equal(
      _run(color.solarize, image, 256., legacy=True), 255 - image)


@pytest.mark.parametrize('height, width', [(1, 1), (2, 5), (3, 3)])
def test_sharpness_of_small_images(height, width):
  image = _image(height, width)
  result = _run(color.sharpness, image, 1.9)
  assert result.shape == image.shape
  if min(height, width) < 3:
    np.testing.assert_array_equal(result, image)


def test_sharpness_is_exact():
  """Against whole numbers; upstream's convolution may be one less."""
  image = _image(seed=2)
  pixels = image.astype(int)
  total = sum(pixels[y:28 + y, x:38 + x] for y in range(3) for x in range(3))
  smooth = (total + 4 * pixels[1:-1, 1:-1]) // 13
  result = _run(color.sharpness, image, 0.)
  np.testing.assert_array_equal(result[1:-1, 1:-1], smooth)
  np.testing.assert_array_equal(result[0], image[0])
  legacy = _run(color.sharpness, image, 0., legacy=True).astype(int)
  assert set(np.unique(legacy - result)) <= {-1, 0}


@pytest.mark.parametrize('function', [color.autocontrast, color.equalize])
def test_one_colour_stays(function):
  image = np.full([5, 6, 3], 77, np.uint8)
  np.testing.assert_array_equal(_run(function, image), image)
