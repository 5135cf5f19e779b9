"""Tests of ops/resample.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import compat
from ops import resample
from tests import golden

CASES = golden.load_cases('resize_misc')


def _cases(name):
  return [case for case in CASES if case.name == name]


def _run(fetches):
  with tf.Session() as session:
    return session.run(fetches)


def test_upsampling_equals_the_reference():
  for case in _cases('upsample'):
    x, volume = case.inputs['x'], case.inputs['x3d']
    got = _run([resample.nearest_upsample(tf.constant(x), 2),
                resample.nearest_upsample(tf.constant(x), 3),
                resample.nearest_upsample(tf.constant(volume), 2)])
    for value, name in zip(got, ('up2', 'up3', 'up3d')):
      np.testing.assert_array_equal(value, case.outputs[name])


@pytest.mark.parametrize('for_xla', [False, True])
def test_native_resize_equals_the_reference(for_xla, monkeypatch):
  monkeypatch.setattr(compat, 'in_xla_context', lambda: for_xla)
  for case in _cases('upsample'):
    x = case.inputs['x']
    for name in ('nat_up', 'nat_odd', 'nat_down', 'nat_int'):
      expected = case.outputs[name]
      # The integers of the reference are 100 times the values, truncated.
      values = (x * 100).astype(np.int32) if name == 'nat_int' else x
      got = _run(resample.native_resize(tf.constant(values),
                                        expected.shape[1:3]))
      assert got.dtype == expected.dtype
      np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize('size', [(6, 8), (7, 9), (5, 11), (2, 3), (33, 70)])
def test_native_resize_for_xla(size, monkeypatch):
  """The values and gradients of the kernel."""
  rng = np.random.RandomState(0)
  x = tf.constant(rng.randn(2, 3, 4, 5), tf.float32)
  weights = tf.constant(rng.randn(2, *(size + (5,))), tf.float32)
  results = []
  for for_xla in (False, True):
    monkeypatch.setattr(compat, 'in_xla_context', lambda f=for_xla: f)
    y = resample.native_resize(x, size)
    results.append(_run([y, tf.gradients(y * weights, x)[0]]))
  np.testing.assert_array_equal(results[0][0], results[1][0])
  np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-5,
                             atol=1e-5)


@pytest.mark.parametrize('size', [
    (6, 8), (7, 9), (2, 3), (3, 4), (33, 70), (12, 4), (15, 28)])
def test_bilinear_resize_for_xla(size, monkeypatch):
  """The values and gradients of the kernel."""
  rng = np.random.RandomState(0)
  x = tf.constant(rng.randn(2, 3, 4, 5), tf.float32)
  weights = tf.constant(rng.randn(2, *(size + (5,))), tf.float32)
  results = []
  for for_xla in (False, True):
    monkeypatch.setattr(compat, 'in_xla_context', lambda f=for_xla: f)
    y = resample.resize_bilinear(x, size)
    results.append(_run([y, tf.gradients(y * weights, x)[0]]))
  for plain, compiled in zip(*results):
    np.testing.assert_allclose(plain, compiled, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('shape, scale', [
    ((2, 3, 5, 4), (2, 4)), ((1, 1, 1, 2), (3, 2)), ((1, 6, 1, 1), (1, 5)),
    ((3, 4, 4, 21), (4, 4)), ((1, 7, 2, 3), (8, 7)), ((1, 5, 3, 2), (1, 1))])
def test_whole_scales_for_xla_are_those_of_the_kernel(shape, scale,
                                                      monkeypatch):
  x = np.random.RandomState(0).randn(*shape).astype(np.float32)
  batch = tf.placeholder(tf.float32, (None,) + shape[1:])
  size = shape[1] * scale[0], shape[2] * scale[1]
  kernel = resample.resize_bilinear(batch, size)
  monkeypatch.setattr(compat, 'in_xla_context', lambda: True)
  ours = resample.resize_bilinear(batch, size)
  assert ours.shape.as_list() == [None] + list(size) + [shape[3]]
  with tf.Session() as session:
    ours, kernel = session.run([ours, kernel], {batch: x})
  np.testing.assert_allclose(ours, kernel, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize('size', [(8, 12), (7, 9)])
def test_no_form_of_the_kernel_for_xla(size, monkeypatch):
  """It takes more memory than a TPU core has, as does that of its gradient."""
  monkeypatch.setattr(compat, 'in_xla_context', lambda: True)
  x = tf.placeholder(tf.float32, [2, 4, 6, 3])
  tf.gradients(resample.resize_bilinear(x, size), x)
  types = {op.type for op in tf.get_default_graph().get_operations()}
  assert not [kind for kind in types if 'ResizeBilinear' in kind]


def test_a_size_that_the_run_decides(monkeypatch):
  monkeypatch.setattr(compat, 'in_xla_context', lambda: True)
  x = tf.constant(np.arange(6.), tf.float32, shape=[1, 2, 3, 1])
  got, expected = _run([resample.resize_bilinear(x, tf.constant([4, 5])),
                        tf.image.resize_bilinear(x, [4, 5])])
  np.testing.assert_array_equal(got, expected)


def test_image_kernels_equal_the_reference():
  for case in _cases('tf1_resize_images'):
    x = case.inputs['x']
    for name, expected in case.outputs.items():
      kind, size = name.split('_')
      size = [int(side) for side in size.split('x')]
      resize = {'bilinear': resample.resize_bilinear,
                'nearest': resample.resize_nearest}[kind]
      got = _run(resize(tf.constant(x), size))
      np.testing.assert_allclose(got.astype(np.float32),
                                 expected.astype(np.float32), atol=1e-4)


def test_upsampling_by_hand():
  x = tf.constant([[[[1.], [2.]], [[3.], [4.]]]])
  got = _run(resample.nearest_upsample(x, 2))[0, :, :, 0]
  assert got.tolist() == [[1, 1, 2, 2]] * 2 + [[3, 3, 4, 4]] * 2
  assert resample.nearest_upsample(x, 1) is x


def test_upsampling_by_xla():
  """The values of the plain form, of volumes too, and its gradients."""
  rng = np.random.RandomState(0)
  for shape, scale in (((2, 3, 5, 4), 3), ((1, 2, 3, 4, 2), 2)):
    x = tf.constant(rng.randn(*shape), tf.float32)
    repeated = [n * scale for n in shape[1:-1]]
    weights = tf.constant(rng.randn(shape[0], *repeated, shape[-1]), tf.float32)

    def build(x, weights, scale=scale):
      y = resample.nearest_upsample(x, scale)
      return y, tf.gradients(y * weights, x)[0]

    (got, d_got), (expected, d_expected) = _run([
        tf.xla.experimental.compile(build, [x, weights]), build(x, weights)])
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_allclose(d_got, d_expected, rtol=1e-5, atol=1e-6)


def test_gradient_of_upsampling_is_the_sum():
  x = tf.placeholder(tf.float32, [None, 2, None, 1])
  y = resample.nearest_upsample(x, 2)
  gradient, = tf.gradients(y * tf.reshape(tf.range(16.), [1, 4, 4, 1]), x)
  with tf.Session() as session:
    got = session.run(gradient, {x: np.zeros([1, 2, 2, 1])})
  assert got[0, :, :, 0].tolist() == [[0 + 1 + 4 + 5, 2 + 3 + 6 + 7],
                                      [8 + 9 + 12 + 13, 10 + 11 + 14 + 15]]


def test_upsampling_keeps_type_and_static_shape():
  x = tf.zeros([2, 3, 5, 4], tf.bfloat16)
  y = resample.nearest_upsample(x, 2)
  assert y.dtype == tf.bfloat16 and y.shape.as_list() == [2, 6, 10, 4]


@pytest.mark.parametrize('size', [(7, 3), (23, 64), (40, 17)])
def test_nearest_equals_the_kernel(size):
  """A window of the gathered form is the same window of TF's kernel."""
  x = tf.constant(np.random.RandomState(0).randint(0, 255, [2, 23, 17, 3]),
                  tf.uint8)
  got, part, expected = _run([
      resample.resize_nearest(x, size),
      resample.resize_nearest(x, size, first=(2, 1), window=(4, 90)),
      tf.image.resize_nearest_neighbor(x, size)])
  np.testing.assert_array_equal(got, expected)
  np.testing.assert_array_equal(part, expected[:, 2:6, 1:91])


def test_nearest_of_no_images():
  assert _run(resample.resize_nearest(tf.zeros([0, 5, 6, 1]),
                                      (3, 4))).shape == (0, 3, 4, 1)


def _pyramid():
  return {3: tf.ones([1, 4, 6, 1]), 4: 2. * tf.ones([1, 2, 3, 1]),
          5: tf.reshape(tf.constant([0., 8.]), [1, 1, 2, 1])}


def test_levels_are_fused_at_the_finest():
  fused = resample.fuse_levels(_pyramid(), 3)
  with tf.Session() as session:
    fused = session.run(fused)[0, :, :, 0]
  # 1 + 2 + from 0 to 8 over 3 pixels, then 8.
  np.testing.assert_allclose(fused, [[3., 3. + 8. / 3, 3. + 16. / 3,
                                      11., 11., 11.]] * 4, rtol=1e-6)


@pytest.mark.parametrize('level, size', [(2, [8, 12]), (4, [2, 3])])
def test_levels_are_fused_at_a_finer_or_coarser_one(level, size):
  fused = resample.fuse_levels(_pyramid(), level)
  assert fused.shape.as_list() == [1] + size + [1]


def test_type_of_the_features_stays():
  features = {level: tf.cast(x, tf.bfloat16) for level, x in _pyramid().items()}
  assert resample.fuse_levels(features, 3).dtype == tf.bfloat16


def test_levels_cannot_be_fused_at_a_coarser_one_than_all():
  with pytest.raises(ValueError, match=r'6 is coarser.*\[3, 4, 5\]'):
    resample.fuse_levels(_pyramid(), 6)
