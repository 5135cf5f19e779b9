"""SpineNet: sizes, scaling, resampling. The lists of variables and the
reference's numbers are in tests/modeling."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from architecture.backbones import scale_permuted
from architecture.backbones import spinenet
from configs import backbones
from configs import base
from ops import resample
from tests.architecture import graphs

# Names and shapes; the other runtime has the reference's numbers.
pytestmark = pytest.mark.one_runtime('tf2')


def _spinenet(model_id='49S', min_level=3, max_level=7, norm=None, **arguments):
  return spinenet.SpineNet(model_id, min_level, max_level,
                           norm or graphs.Unnormalized(), **arguments)


def _sizes(features):
  return {level: f.shape.as_list()[1:] for level, f in features.items()}


def test_levels_and_width():
  features = _spinenet()(tf.zeros([1, 128, 256, 3]), False)
  assert _sizes(features) == {
      level: [128 >> level, 256 >> level, 128] for level in range(3, 8)}
  tf.reset_default_graph()
  features = _spinenet(endpoint_filters=6)(tf.zeros([1, 128, 128, 3]), False)
  assert features[4].shape.as_list() == [1, 8, 8, 6]


def test_sides_that_are_no_multiples_of_the_coarsest_stride():
  features = _spinenet()(tf.zeros([1, 224, 224, 3]), False)
  assert _sizes(features) == {
      3: [28, 28, 128], 4: [14, 14, 128], 5: [7, 7, 128], 6: [4, 4, 128],
      7: [2, 2, 128]}
  variables = graphs.variables()
  tf.reset_default_graph()
  features = _spinenet()(tf.zeros([1, 100, 224, 3]), False)
  assert _sizes(features)[3] == [13, 28, 128]
  assert _sizes(features)[7] == [1, 2, 128]
  assert graphs.variables() == variables


@pytest.mark.parametrize('model_id,repeats,filters', [
    ('49S', 1, 41), ('49', 1, 64), ('96', 2, 64),
    pytest.param('143', 3, 64, marks=pytest.mark.slow),
    pytest.param('143l', 3, 83, marks=pytest.mark.slow),
    pytest.param('190', 4, 83, marks=pytest.mark.slow)])
def test_every_model(model_id, repeats, filters):
  _spinenet(model_id)(tf.zeros([1, 128, 128, 3]), False)
  shapes = dict(graphs.variables())
  assert shapes['spinenet/conv2d_3/kernel'] == [3, 3, filters, filters]
  # Stem, two groups of bottlenecks with one projection, and five endpoints.
  assert 'spinenet/conv2d_%d/kernel' % (6 + 6 * repeats) in shapes
  assert 'spinenet/conv2d_%d/kernel' % (7 + 6 * repeats) not in shapes
  assert 'spinenet/sub_policy0/scale_permuted_block_2/conv2d_%d/kernel' % (
      3 * repeats - 1) in shapes


def test_the_configuration_offers_these_models():
  for model_id in spinenet.MODEL_IDS:
    base.override(backbones.SpineNet(), {'model_id': model_id})
  with pytest.raises(base.ConfigError):
    base.override(backbones.SpineNet(), {'model_id': '50'})
  with pytest.raises(ValueError, match="one of 143, .*49S, 96, not '50'"):
    _spinenet('50')


def _resampled(width, kind, level, target, **arguments):
  """Runs one resampling to a residual block, without its variables."""
  feature = scale_permuted.Feature(tf.zeros([1, width, width, 40]), level, kind)
  block = scale_permuted.Block(target, 'residual', (0, 1), False)
  size = -(-width * 2 ** level // 2 ** target)
  return _spinenet(norm=normalization.BatchNormActivation(),
                   **arguments)._resample(
      feature, block, (size, size), False, '3_1')


@pytest.mark.parametrize('kind,channels', [('residual', 20), ('bottleneck', 5)])
def test_resampling_narrows_the_channels(kind, channels):
  """alpha is 0.5; a bottleneck's features have four times its filters."""
  x = _resampled(8, kind, 4, 4)
  assert x.shape.as_list() == [1, 8, 8, 166]
  assert [(name, shape) for name, shape in graphs.variables()
          if name.endswith('kernel')] == [
              ('resample_with_alpha_resample_3_1/conv2d/kernel',
               [1, 1, 40, channels]),
              ('resample_with_alpha_resample_3_1/conv2d_1/kernel',
               [1, 1, channels, 166])]


@pytest.mark.parametrize('steps,pools', [
    (1, []), (2, [(3, 2)]), (3, [(5, 4)])])
def test_shrinking_pools_after_one_strided_convolution(monkeypatch, steps,
                                                       pools):
  seen = []
  pool = tf.nn.max_pool2d

  def record(x, ksize, strides, padding):
    seen.append((ksize, strides))
    assert padding == 'SAME'
    return pool(x, ksize, strides, padding)

  monkeypatch.setattr(tf.nn, 'max_pool2d', record)
  x = _resampled(16, 'residual', 4, 4 + steps)
  assert x.shape.as_list()[1:3] == [16 >> steps, 16 >> steps]
  assert seen == pools
  kernels = [shape[0] for name, shape in graphs.variables()
             if name.endswith('kernel')]
  assert kernels == [1, 3, 1]


def test_the_last_step_is_not_activated():
  x = _resampled(2, 'residual', 5, 4)
  values = {n: -1. for n in graphs.names() if n.endswith('beta')}
  np.testing.assert_array_equal(graphs.run(x, values), -1.)


@pytest.mark.parametrize('size,is_native', [
    ((4, 6), False), ((4, 7), True), ((5, 6), True)])
def test_enlarging_repeats_pixels(monkeypatch, size, is_native):
  calls = []
  native = resample.native_resize
  monkeypatch.setattr(resample, 'native_resize',
                      lambda *args: calls.append(args) or native(*args))
  x = tf.constant(graphs.ramp(1, 2, 3, 1))
  got = graphs.run(spinenet.enlarge(x, size))[0, :, :, 0]
  rows = np.arange(size[0]) * 2 // size[0]
  columns = np.arange(size[1]) * 3 // size[1]
  np.testing.assert_array_equal(
      got, graphs.ramp(2, 3)[rows[:, np.newaxis], columns])
  assert bool(calls) == is_native
  del calls[:]
  spinenet.enlarge(x, size, use_native_resize_op=True)
  assert calls


def test_stochastic_depth_spares_the_stem(monkeypatch):
  rates = []
  monkeypatch.setattr(layers, 'drop_connect',
                      lambda x, is_training, rate: rates.append(rate) or x)
  _spinenet(init_drop_connect_rate=.3)(tf.zeros([1, 128, 128, 3]), True)
  assert rates[:2] == [None, None]
  np.testing.assert_allclose(rates[2:], .02 * np.arange(1, 16))
