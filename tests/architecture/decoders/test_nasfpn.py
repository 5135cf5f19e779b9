"""NAS-FPN: the cell by hand, its blocks, its input stage."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from architecture import normalization
from architecture.decoders import nasfpn
from tests.architecture import graphs

CELL = 'fpn_cells/cell_0/'


def _nasfpn(min_level=3, max_level=7, **arguments):
  arguments.setdefault('fpn_feat_dims', 1)
  arguments.setdefault('num_repeats', 1)
  return nasfpn.NASFPN(min_level, max_level,
                       normalization.BatchNormActivation(epsilon=0.),
                       **arguments)


def _features(*levels, **options):
  """{level: [1, 2 ** (7 - level), ..., C]} of 10 ** (level - 3)."""
  return {level: tf.fill([1, 2 ** (7 - level), 2 ** (7 - level),
                          options.get('channels', 1)], 10. ** (level - 3))
          for level in levels}


def _copying():
  values = {}
  for i in range(7):
    scope = CELL + 'sub_policy%d/op_after_combine%d/' % (i, i + 5)
    values[scope + 'conv/kernel'] = graphs.centered()
    # The fused kernel has a smallest epsilon.
    values[scope + 'bn/moving_variance'] = 1. - 1.001e-5
  return values


def test_a_cell_that_only_sums():
  """Values are constant over each level, so that resampling keeps them."""
  pyramid = _nasfpn(use_sum_for_combination=True)(_features(3, 4, 5, 6, 7),
                                                  False)
  pyramid = graphs.run(pyramid, _copying())
  f = [1., 10., 100., 1000., 10000.]
  f.append(f[1] + f[3])
  f.append(f[1] + f[5])
  f.append(f[0] + f[6])
  f.append(f[6] + f[7])
  f.append(f[7] + f[8] + f[2])  # with the input of level 5,
  f.append(f[6] + f[9] + f[4])  # and that of level 7
  f.append(f[9] + f[10])
  expected = {3: f[7], 4: f[8], 5: f[9], 6: f[11], 7: f[10]}
  assert sorted(pyramid) == [3, 4, 5, 6, 7]
  for level, value in expected.items():
    np.testing.assert_allclose(
        pyramid[level], np.full([1, 2 ** (7 - level)] + [2 ** (7 - level), 1],
                                value), rtol=1e-4)


def test_attention_weighs_the_finer_feature():
  coarse, fine = np.zeros([2, 1, 2, 2, 2], np.float32)
  coarse[0, :, :, 0] = [[-1., 2.], [0., 1.]]
  coarse[0, :, :, 1] = -3.
  fine[...] = 5.
  got = graphs.run(nasfpn.global_attention(tf.constant(coarse),
                                           tf.constant(fine)))
  gates = 1. / (1. + np.exp(-np.array([2., -3.])))
  np.testing.assert_allclose(got, coarse + 5. * gates, rtol=1e-6)


def test_a_cell_with_attention():
  """The parent of the coarser level weighs, before resampling."""
  features = {level: .1 * (level - 2) * tf.ones_like(x)
              for level, x in _features(3, 4, 5, 6, 7).items()}
  pyramid = graphs.run(_nasfpn()(features, False), _copying())
  def attention(coarse, fine):
    return coarse + fine / (1. + np.exp(-coarse))
  f = [.1, .2, .3, .4, .5]
  f.append(attention(f[3], f[1]))
  f.append(f[1] + f[5])
  f.append(f[0] + f[6])
  f.append(f[6] + f[7])
  f.append(attention(f[8], f[7]) + f[2])
  f.append(attention(f[9], f[6]) + f[4])
  f.append(attention(f[10], f[9]))
  for level, value in ((3, f[7]), (4, f[8]), (5, f[9]), (6, f[11]), (7, f[10])):
    np.testing.assert_allclose(pyramid[level], value, rtol=1e-4)


def test_coarser_levels_are_pooled_in_the_input_stage():
  pyramid = _nasfpn(use_sum_for_combination=True)(
      {3: tf.constant(graphs.ramp(1, 16, 16, 1)),
       4: tf.zeros([1, 8, 8, 1]), 5: tf.constant(graphs.ramp(1, 4, 4, 1))},
      False)
  assert {level: p.shape.as_list()[1] for level, p in pyramid.items()} == {
      3: 16, 4: 8, 5: 4, 6: 2, 7: 1}
  graph = tf.get_default_graph()
  pooled = graph.get_tensor_by_name('resample_p6/MaxPool2d:0')
  np.testing.assert_array_equal(graphs.run(pooled)[0, :, :, 0],
                                [[5., 7.], [13., 15.]])


def test_levels_below_are_not_used():
  _nasfpn()(_features(2, 3, 4, 5, channels=3), False)
  kernels = [n for n in graphs.names() if n.endswith('kernel')][:4]
  assert kernels == ['resample_l3/conv2d/kernel', 'resample_l4/conv2d/kernel',
                     'resample_l5/conv2d/kernel',
                     CELL + 'sub_policy0/op_after_combine5/conv/kernel']


def test_separable_convolutions():
  _nasfpn(use_separable_conv=True)(_features(3, 4, 5, channels=3), False)
  names = graphs.names()
  assert 'resample_l3/separable_conv2d/pointwise_kernel' in names
  assert (CELL + 'sub_policy0/op_after_combine5/conv/depthwise_kernel') in names


def test_bottlenecks_widen_four_times():
  pyramid = _nasfpn(block_fn='bottleneck', num_repeats=2, fpn_feat_dims=2)(
      _features(3, 4, 5, channels=2), False)
  assert {p.shape.as_list()[3] for p in pyramid.values()} == {8}
  shapes = dict(graphs.variables())
  node = 'fpn_cells/cell_1/sub_policy4/'
  assert shapes[node + 'resample_0_7_9/conv2d/kernel'] == [1, 1, 8, 2]
  assert shapes[node + 'resample_fa_4_2/conv2d/kernel'] == [1, 1, 8, 2]
  assert shapes[node + 'op_after_combine9/conv2d/kernel'] == [1, 1, 2, 8]


def test_regularizers(monkeypatch):
  rates = []
  monkeypatch.setattr(layers, 'drop_connect',
                      lambda x, is_training, rate: rates.append(rate) or x)
  dropped = []
  class Recorder:
    def __call__(self, x, is_training):
      dropped.append(x)
      return x
  _nasfpn(block_fn='bottleneck', init_drop_connect_rate=.2,
          dropblock=Recorder())(_features(3, 4, 5), True)
  assert rates == [.2] * 7 and len(dropped) == 4 * 7
  del dropped[:]
  tf.reset_default_graph()
  _nasfpn(dropblock=Recorder())(_features(3, 4, 5), True)
  assert len(dropped) == 7


@pytest.mark.parametrize('arguments,message', [
    ({'min_level': 2, 'max_level': 6}, "'nasfpn' has levels 3 to 7.* 2 and 6"),
    ({'block_fn': 'mbconv'}, "one of bottleneck, conv, not 'mbconv'"),
    ({'init_drop_connect_rate': 1.}, r'nasfpn.init_drop_connect_rate')])
def test_settings_that_do_not_exist(arguments, message):
  with pytest.raises(ValueError, match=message):
    _nasfpn(**arguments)


def test_finest_level_that_the_backbone_lacks():
  with pytest.raises(ValueError, match='needs level 3.*has levels 4, 5'):
    _nasfpn()(_features(4, 5), False)
