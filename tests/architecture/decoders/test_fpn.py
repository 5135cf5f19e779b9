"""The feature pyramid by hand: sums, coarser levels, names."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.decoders import fpn
from tests.architecture import graphs


def _features(*levels, **options):
  """{level: [1, 2**(5 - level), ..., 1]} of the value 10 ** -(level - 3)."""
  channels = options.get('channels', 1)
  return {level: tf.fill([1, 2 ** (5 - level), 2 ** (5 - level), channels],
                         10. ** (3 - level)) for level in levels}


def _copying(levels):
  """Kernels with which every convolution copies its input."""
  values = {'fpn/l%d/kernel' % level: 1. for level in levels}
  values.update(('fpn/post_hoc_d%d/kernel' % level, graphs.centered())
                for level in levels)
  return values


def _pyramid(min_level, max_level, features, **options):
  options.setdefault('use_batch_norm', False)
  return fpn.FPN(min_level, max_level, fpn_feat_dims=1, **options)(
      features, False)


def test_levels_are_summed_from_the_coarsest_down():
  features = _features(3, 4, 5)
  features[4] = tf.constant(graphs.ramp(1, 2, 2, 1))
  pyramid = graphs.run(_pyramid(3, 5, features), _copying([3, 4, 5]))
  np.testing.assert_allclose(pyramid[5].ravel(), [.01])
  np.testing.assert_allclose(pyramid[4][0, :, :, 0],
                             [[.01, 1.01], [2.01, 3.01]])
  # Every value of level 4 becomes 2 x 2 equal ones; level 3 itself is 1.
  np.testing.assert_allclose(
      pyramid[3][0, :, :, 0],
      [[1.01, 1.01, 2.01, 2.01]] * 2 + [[3.01, 3.01, 4.01, 4.01]] * 2)


def test_sums_are_of_the_laterals_not_of_the_smoothed_levels():
  values = _copying([3, 4, 5])
  values['fpn/post_hoc_d4/kernel'] = 0.
  pyramid = graphs.run(_pyramid(3, 5, _features(3, 4, 5)), values)
  np.testing.assert_allclose(pyramid[4], 0.)
  np.testing.assert_allclose(pyramid[3], 1.11, rtol=1e-6)


def test_coarser_levels_start_from_the_smoothed_one():
  values = dict(_copying([3, 4, 5]), **{
      'fpn/post_hoc_d5/bias': 4., 'fpn/p6/kernel': graphs.centered(),
      'fpn/p6/bias': -10., 'fpn/p7/kernel': graphs.centered(),
      'fpn/p7/bias': .5})
  pyramid = graphs.run(_pyramid(3, 7, _features(3, 4, 5)), values)
  np.testing.assert_allclose(pyramid[6].ravel(), [.01 + 4. - 10.], rtol=1e-6)
  # A relu stands before all but the first of them.
  np.testing.assert_allclose(pyramid[7].ravel(), [.5])
  assert {level: p.shape[1] for level, p in pyramid.items()} == {
      3: 4, 4: 2, 5: 1, 6: 1, 7: 1}


def test_the_relu_before_p7_does_not_follow_the_activation():
  swish = normalization.BatchNormActivation(activation='swish')
  pyramid = _pyramid(5, 7, _features(5), norm_activation=swish)
  pyramid = graphs.run(pyramid, {
      'fpn/p6/bias': -1., 'fpn/p6/kernel': 0., 'fpn/p7/kernel': 1.})
  np.testing.assert_array_equal(pyramid[7].ravel(), [0.])


def test_strided_convolutions_pad_as_same():
  """A side of 4: windows at pixels 0-2 and 2-4, so the centres are 1 and 3."""
  features = {5: tf.constant(graphs.ramp(1, 4, 4, 1))}
  values = dict(_copying([5]), **{'fpn/p6/kernel': graphs.centered()})
  pyramid = graphs.run(_pyramid(5, 6, features), values)
  np.testing.assert_array_equal(pyramid[6][0, :, :, 0], [[5, 7], [13, 15]])


def test_variables_in_their_order():
  fpn.FPN(3, 7, fpn_feat_dims=4,
          norm_activation=normalization.BatchNormActivation())(
              _features(2, 3, 4, 5, channels=2), True)
  layers = ['l3', 'l4', 'l5', 'post_hoc_d3', 'post_hoc_d4', 'post_hoc_d5',
            'p6', 'p7']
  expected = ['fpn/%s/%s' % (layer, kind) for layer in layers
              for kind in ('kernel', 'bias')]
  expected += ['fpn/p%d-bn/%s' % (level, kind) for level in range(3, 8)
               for kind in ('gamma', 'beta', 'moving_mean', 'moving_variance')]
  assert graphs.names() == expected
  shapes = dict(graphs.variables())
  assert shapes['fpn/l3/kernel'] == [1, 1, 2, 4]
  assert shapes['fpn/post_hoc_d3/kernel'] == [3, 3, 4, 4]
  assert shapes['fpn/p6/kernel'] == [3, 3, 4, 4]


def test_levels_are_normalized_but_not_activated():
  pyramid = _pyramid(5, 6, _features(5), use_batch_norm=True,
                     norm_activation=normalization.BatchNormActivation())
  pyramid = graphs.run(pyramid, {'fpn/p5-bn/beta': -3., 'fpn/p6-bn/beta': -4.,
                                 'fpn/post_hoc_d5/kernel': 0.,
                                 'fpn/p6/kernel': 0.})
  # Level 6 comes from level 5 before its normalization.
  assert pyramid[5].ravel().tolist() == [-3.]
  assert pyramid[6].ravel().tolist() == [-4.]


def test_separable_convolutions_have_the_same_names():
  fpn.FPN(5, 6, fpn_feat_dims=4, use_separable_conv=True,
          use_batch_norm=False)(_features(5, channels=2), True)
  assert graphs.names() == [
      'fpn/%s/%s' % (layer, kind) for layer in ('l5', 'post_hoc_d5', 'p6')
      for kind in ('depthwise_kernel', 'pointwise_kernel', 'bias')]


def test_coarser_features_than_the_pyramid_has_are_not_used():
  pyramid = _pyramid(3, 4, _features(2, 3, 4, 5))
  assert sorted(pyramid) == [3, 4]
  assert 'fpn/l5/kernel' not in graphs.names()


def test_finest_level_that_the_backbone_lacks():
  with pytest.raises(ValueError, match='min_level is 2.*has levels 3, 4, 5'):
    _pyramid(2, 7, _features(3, 4, 5))


def test_identity_returns_its_levels_untouched():
  features = _features(2, 3, 4, 5)
  pyramid = fpn.Identity(3, 5)(features, True)
  assert sorted(pyramid) == [3, 4, 5]
  assert all(pyramid[level] is features[level] for level in pyramid)
  assert not graphs.names()


def test_identity_names_the_levels_that_lack():
  with pytest.raises(ValueError, match="3 to 7; it lacks 6, 7. Use 'fpn'"):
    fpn.Identity(3, 7)(_features(2, 3, 4, 5), True)
