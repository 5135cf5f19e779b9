"""Tests of ops/roi_align.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import compat
from ops import roi_align
from tests import golden
from tests import runtimes
from tests.ops import slow_align

_MULTILEVEL = golden.load_cases('roi_align')
_SELECTIVE = [c for c in golden.load_cases('crop_ops')
              if c.name.startswith('selective')]

# Boxes that no detector should give, and some do.
_DEGENERATE = np.float32([
    [0, 0, 0, 0], [-1, -1, -1, -1], [9, 20, 9, 20], [9, 20, 30, 20],
    [30, 30, 20, 20], [30, 10, 20, 40], [5, 6, 6, 7], [-90, -80, -40, -50],
    [300, 400, 500, 600], [-500, -500, 900, 900], [63, 63, 64, 64],
    [0, 0, 1e-30, 1e-30], [-1e6, 3, 1e6, 5]])


def _run(fetches, feeds=None):
  with tf.Session() as session:
    return session.run(fetches, feeds)


def _random_features(rng, size=(64, 96), levels=(2, 3, 4, 5), batch=2,
                     channels=3):
  """{level: [B, h, w, C]} for an image of `size`, sizes rounded up."""
  return {level: rng.normal(size=[
      batch, -(-size[0] // 2 ** level), -(-size[1] // 2 ** level), channels
  ]).astype(np.float32) for level in levels}


def _random_rois(rng, shape, size=300.):
  """Of all sizes, some beyond the image."""
  centers = rng.uniform(-20., 120., shape + (2,))
  half = np.exp(rng.uniform(0., np.log(size), shape + (2,)))
  return np.concatenate(
      [centers - half, centers + half], axis=-1).astype(np.float32)


def _constants(features):
  return {level: tf.constant(value) for level, value in features.items()}


@pytest.mark.parametrize('case', _MULTILEVEL, ids=lambda c: c.name)
def test_multilevel_crops_equal_the_reference(case):
  features = _constants(golden.levels(case.inputs, 'features'))
  rois = tf.constant(case.inputs['boxes'])
  got = _run({
      'crop7': roi_align.multilevel_roi_align(features, rois, 7),
      'crop14': roi_align.multilevel_roi_align(features, rois, 14),
      'crop7_einsum': roi_align.multilevel_roi_align(features, rois, 7, 'fade'),
      'levels': roi_align.roi_levels(rois, case.params['min_level'],
                                     case.params['max_level'])})
  assert set(got) == set(case.outputs)
  np.testing.assert_array_equal(got.pop('levels'), case.outputs['levels'])
  for name, value in got.items():
    np.testing.assert_allclose(value, case.outputs[name], atol=1e-4)


@pytest.mark.parametrize(
    'case', [c for c in _SELECTIVE if 'kernel_y' in c.outputs],
    ids=lambda c: c.name)
def test_samples_equal_the_reference(case):
  """The two cells of each sample, and their weights."""
  boxes, bounds = case.inputs['boxes_yxhw'], case.inputs['boundaries']
  sides = case.inputs['features'].shape[2:4]
  for axis, (cells, kernel) in enumerate((('grid_y0y1', 'kernel_y'),
                                          ('grid_x0x1', 'kernel_x'))):
    got = _run(roi_align._axis_samples(
        tf.constant(boxes[:, :, axis]), tf.constant(boxes[:, :, axis + 2]),
        tf.constant(bounds[:, :, axis]),
        tf.fill(boxes.shape[:2], sides[axis]), case.params['output_size'],
        case.params['sample_offset']))
    np.testing.assert_array_equal(got[0], case.outputs[cells])
    want = case.outputs[kernel][..., 0]
    # Beyond the border both are the last cell, and only their sum counts.
    is_same = got[0][..., 0] == got[0][..., 1]
    np.testing.assert_allclose(got[1][~is_same], want[~is_same], rtol=0,
                               atol=1e-5)
    np.testing.assert_allclose(got[1].sum(axis=-1), want.sum(axis=-1), rtol=0,
                               atol=1e-5)


def test_by_hand():
  """A plane is sampled exactly: 2 rows and 2 columns of a 4 x 8 cell box."""
  y, x = np.meshgrid(np.arange(16.), np.arange(16.), indexing='ij')
  features = {2: tf.constant((10. * y + x)[None, :, :, None], tf.float32)}
  rois = tf.constant([[[8., 4., 24., 36.]]])  # cells 2 to 6 and 1 to 9
  got = _run(roi_align.multilevel_roi_align(features, rois, 2))
  assert got[0, 0, :, :, 0].tolist() == [[33., 37.], [53., 57.]]


def test_beyond_the_map_by_hand():
  """Extrapolation at the top left; repetition or zero at the bottom right."""
  features = {2: tf.constant([[1., 2.], [3., 5.]])[None, :, :, None]}
  rois = tf.constant([[[-12., 0., -4., 0.], [4., 4., 4., 6.],
                       [8., 0., 12., 0.]]])
  clamped, faded = _run(
      [roi_align.multilevel_roi_align(features, rois, 1, border)
       for border in ('clamp', 'fade')])
  # Rows -2; 1 with column 1.25; 2.5.
  assert clamped.ravel().tolist() == [1. - 2. * 2., 5., 3.]
  assert faded.ravel().tolist() == [1. - 2. * 2., 5. * .75, 0.]


@pytest.mark.parametrize('sizes, border, method', runtimes.product(
    [(1, (64, 96)), (3, (100, 36)), (7, (64, 64))], ['clamp', 'fade'],
    sorted(roi_align.METHODS)), ids=str)
def test_values_and_gradient_equal_the_slow_path(sizes, border, method):
  size, image = sizes
  rng = np.random.RandomState(size)
  values = _random_features(rng, image)
  rois = _random_rois(rng, (2, 30))
  upstream = rng.normal(size=[2, 30, size, size, 3]).astype(np.float32)
  expected, gradient = slow_align.multilevel_align(values, rois, size, border)
  features = _constants(values)
  crops = roi_align.multilevel_roi_align(
      features, tf.constant(rois), size, border, method)
  levels = sorted(features)
  got, gradients = _run([crops, tf.gradients(
      crops, [features[level] for level in levels], tf.constant(upstream))])
  np.testing.assert_allclose(got, expected, atol=2e-3, rtol=1e-4)
  for level, value in zip(levels, gradients):
    np.testing.assert_allclose(
        value, gradient(upstream)[level], atol=5e-3, rtol=1e-3)


def test_every_level_was_tried():
  rois = _random_rois(np.random.RandomState(7), (2, 30))
  levels = [slow_align.level(roi, 2, 5) for image in rois for roi in image]
  assert set(levels) == {2, 3, 4, 5}


def test_levels_at_the_limits():
  """The size where a level starts belongs to it, to the last bit."""
  sides = [224. * 2. ** i for i in range(-6, 5)]
  sides = np.float32([np.nextafter(np.float32(s), np.float32(towards))
                      for s in sides for towards in (0., s, 1e9)])
  rois = np.stack([0. * sides, 0. * sides, sides, sides], axis=1)
  got = _run(roi_align.roi_levels(tf.constant(rois), -1, 7))
  assert got.tolist() == [max(min(4 + i - below, 7), -1) for i in range(-6, 5)
                          for below in (1, 0, 0)]


def test_numeric_gradient():
  rng = np.random.RandomState(0)
  values = _random_features(rng, (16, 16), (2, 3), batch=1, channels=1)
  rois = tf.constant(np.float32([[[-3, 2, 9, 14], [0, 0, 60, 70]]]))
  features = _constants(values)
  with tf.Session():
    for level in features:
      error = tf.test.compute_gradient_error(
          features[level], values[level].shape,
          roi_align.multilevel_roi_align(features, rois, 2), [1, 2, 2, 2, 1],
          x_init_value=values[level], delta=1e-2)
      assert error < 1e-3


def test_no_gradient_to_the_rois():
  rois = tf.constant([[[0., 0., 20., 20.]]])
  features = {2: tf.ones([1, 16, 16, 2])}
  crops = roi_align.multilevel_roi_align(features, rois, 2)
  assert tf.gradients(crops, rois) == [None]


@pytest.mark.parametrize('method', sorted(roi_align.METHODS))
def test_degenerate_rois_give_finite_values_and_gradients(method):
  rng = np.random.RandomState(1)
  features = _constants(_random_features(rng, (64, 64), batch=1))
  crops = roi_align.multilevel_roi_align(
      features, tf.constant(_DEGENERATE[None]), 7, method=method)
  got, gradients = _run(
      [crops, tf.gradients(crops, list(features.values()))])
  assert np.isfinite(got).all()
  assert all(np.isfinite(value).all() for value in gradients)
  # Sample points of [9, 20, 9, 20]: all at row 9 / 4, column 20 / 4.
  np.testing.assert_allclose(got[0, 2], np.tile(got[0, 2, :1, :1], [7, 7, 1]))
  # Far to the lower right the corner of the coarsest map is repeated.
  np.testing.assert_allclose(
      got[0, 8], np.tile(got[0, 8, :1, :1], [7, 7, 1]), rtol=1e-6)


def test_nan_rois_give_nan_and_harm_no_other():
  rng = np.random.RandomState(2)
  features = _constants(_random_features(rng, (64, 64), batch=1))
  rois = np.float32([[[0, 0, 32, 32], [np.nan, 0, 32, 32], [1, 2, 30, 40]]])
  got = _run(roi_align.multilevel_roi_align(features, tf.constant(rois), 3))
  assert np.isfinite(got[0, [0, 2]]).all() and np.isnan(got[0, 1]).all()


@pytest.mark.parametrize('method', sorted(roi_align.METHODS))
def test_no_rois(method):
  features = _constants(_random_features(np.random.RandomState(3)))
  crops = roi_align.multilevel_roi_align(
      features, tf.zeros([2, 0, 4]), 7, method=method)
  got, gradients = _run(
      [crops, tf.gradients(crops, list(features.values()))])
  assert got.shape == (2, 0, 7, 7, 3)
  assert not any(value.any() for value in gradients)


@pytest.mark.parametrize('method', sorted(roi_align.METHODS))
def test_batch_may_be_unknown(method):
  rng = np.random.RandomState(4)
  values = _random_features(rng, batch=3)
  rois = _random_rois(rng, (3, 5))
  features = {level: tf.placeholder(tf.float32, (None,) + value.shape[1:])
              for level, value in values.items()}
  roi_input = tf.placeholder(tf.float32, [None, 5, 4])
  crops = roi_align.multilevel_roi_align(
      features, roi_input, 2, method=method)
  gradients = tf.gradients(crops, list(features.values()))
  assert crops.shape.as_list() == [None, 5, 2, 2, 3]
  expected, _ = slow_align.multilevel_align(values, rois, 2)
  for size in (1, 3):
    feeds = {features[level]: value[:size] for level, value in values.items()}
    feeds[roi_input] = rois[:size]
    got, some = _run([crops, gradients], feeds)
    np.testing.assert_allclose(got, expected[:size], atol=2e-3, rtol=1e-4)
    assert [len(value) for value in some] == [size] * 4


@pytest.mark.parametrize('method', sorted(roi_align.METHODS))
def test_bfloat16_is_read_as_it_is_and_summed_exactly(method):
  """Weights and sums are float32; only the results are rounded."""
  rng = np.random.RandomState(5)
  values = _random_features(rng, batch=1)
  rois = tf.constant(_random_rois(rng, (1, 20), 60.))
  rounded = {level: tf.cast(value, tf.bfloat16)
             for level, value in values.items()}
  exact = {level: tf.cast(value, tf.float32)
           for level, value in rounded.items()}
  results = []
  for features in (rounded, exact):
    crops = roi_align.multilevel_roi_align(features, rois, 7, method=method)
    gradients = tf.gradients(crops, list(features.values()))
    assert {value.dtype for value in gradients + [crops]} == {
        features[2].dtype}
    results.append([tf.cast(value, tf.float32)
                    for value in [crops] + gradients])
  for got, expected in zip(*_run(results)):
    np.testing.assert_allclose(got, expected, rtol=2. ** -8, atol=1e-6)


@pytest.mark.parametrize('has_gpu', [False, True])
def test_form_follows_the_device(has_gpu, monkeypatch):
  monkeypatch.setattr(compat, 'has_gpu', lambda: has_gpu)
  features = {2: tf.ones([1, 16, 16, 2])}
  roi_align.multilevel_roi_align(features, tf.zeros([1, 3, 4]), 2)
  kinds = {op.type for op in tf.get_default_graph().get_operations()}
  assert ('SparseTensorDenseMatMul' in kinds) == (not has_gpu)


def _xla_compile(build, inputs):
  return tf.xla.experimental.compile(build, inputs)


def _jit_compile(build, inputs):
  return tf.function(build, jit_compile=True)(*inputs)


@pytest.mark.parametrize('compile_it', [_xla_compile] + (
    [_jit_compile] if compat.IS_TF2 else []))
def test_compiles_with_xla(compile_it):
  """As on a TPU, gradient included; the form for it is chosen by itself."""
  rng = np.random.RandomState(6)
  values = _random_features(rng, batch=2, channels=8)
  levels = sorted(values)

  def build(rois, *maps):
    crops = roi_align.multilevel_roi_align(dict(zip(levels, maps)), rois, 7)
    return [crops] + tf.gradients(crops * crops, list(maps))

  inputs = [tf.constant(_random_rois(rng, (2, 10)))] + [
      tf.constant(values[level]) for level in levels]
  plain, compiled = _run([build(*inputs), compile_it(build, inputs)])
  for expected, value in zip(plain, compiled):
    np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-2)


def test_two_towers_of_a_mirrored_strategy():
  """Each replica's gradient is its own; nothing is shared between graphs."""
  rng = np.random.RandomState(8)
  value = _random_features(rng, (32, 32), (2,), batch=1)[2]
  rois = _random_rois(rng, (2, 1, 4))
  strategy = tf.distribute.MirroredStrategy(['/cpu:0', '/cpu:1'])

  def replica():
    index = tf.distribute.get_replica_context().replica_id_in_sync_group
    features = {2: tf.constant(value)}
    crops = [roi_align.multilevel_roi_align(
        features, tf.gather(tf.constant(rois), index), size)
             for size in (2, 3)]
    return tf.gradients(crops, features[2])[0]

  run = getattr(strategy, 'run', None) or strategy.experimental_run_v2
  with strategy.scope():
    gradients = strategy.experimental_local_results(run(replica))
  config = tf.ConfigProto(device_count={'CPU': 2})
  with tf.Session(config=config) as session:
    got = session.run(gradients)
  for image in range(2):
    expected = 0.
    for size in (2, 3):
      _, gradient = slow_align.multilevel_align({2: value}, rois[image], size)
      expected += gradient(np.ones([1, 4, size, size, 3]))[2]
    np.testing.assert_allclose(got[image], expected, atol=1e-3, rtol=1e-3)


def test_clear_errors():
  rois = tf.zeros([1, 2, 4])
  with pytest.raises(ValueError, match='consecutive levels.*2, 4'):
    roi_align.multilevel_roi_align(
        {2: tf.zeros([1, 8, 8, 1]), 4: tf.zeros([1, 2, 2, 1])}, rois, 7)
  with pytest.raises(ValueError, match='static'):
    roi_align.multilevel_roi_align(
        {2: tf.placeholder(tf.float32, [1, None, 8, 1])}, rois, 7)
  with pytest.raises(ValueError, match="'clamp' or 'fade'"):
    roi_align.multilevel_roi_align({2: tf.zeros([1, 8, 8, 1])}, rois, 7, 'wrap')
  with pytest.raises(ValueError, match="method='dense'.*gather, sparse"):
    roi_align.multilevel_roi_align(
        {2: tf.zeros([1, 8, 8, 1])}, rois, 7, method='dense')
