"""The classification head: values by hand, names, dropout."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import normalization
from architecture.heads import classification
from tests.architecture import graphs


def _head(num_classes=2, **settings):
  return classification.ClassificationHead(
      num_classes, normalization.BatchNormActivation(), **settings)


def _features(channels=1):
  """Level 2 is a ramp, level 3 is 10 everywhere."""
  fine = graphs.ramp(1, 4, 4, 1)
  return {2: tf.constant(np.repeat(fine, channels, axis=3)),
          3: tf.fill([1, 2, 2, channels], 10.)}


def _logits(head, features=None, is_training=False):
  kernel = 'classification_head/dense/kernel'
  return graphs.run(head(_features() if features is None else features,
                         is_training), {kernel: [[1., 2.]]})


def test_top_level_alone():
  np.testing.assert_allclose(_logits(_head()), [[10., 20.]])


def test_mean_of_all_levels():
  # The ramp has the mean 7.5.
  np.testing.assert_allclose(_logits(_head(aggregation='all')), [[8.75, 17.5]])


def test_three_levels_are_added_from_coarse_to_fine():
  features = {2: tf.zeros([1, 7, 7, 1]),
              3: tf.zeros([1, 4, 4, 1]),
              4: tf.reshape(tf.constant([0., 0., 0., 49.]), [1, 2, 2, 1])}
  # Of 7 pixels the last three read the second row of 4, and that of 2.
  got = _logits(_head(aggregation='all'), features)[0, 0]
  rows = sum(int(i * 4 / 7) >= 2 for i in range(7))
  assert got == pytest.approx(rows ** 2 / 3.)


def test_levels_of_different_channels():
  features = {2: tf.zeros([1, 4, 4, 1]), 3: tf.zeros([1, 2, 2, 5])}
  with pytest.raises(ValueError, match='level 2 has 1, level 3 has 5'):
    _head(aggregation='all')(features, False)


def test_variables_with_a_convolution():
  _head(5, endpoints_num_filters=3)(_features(channels=4), False)
  scope = 'classification_head/'
  assert graphs.variables() == [
      (scope + 'conv2d/kernel', [1, 1, 4, 3]),
      (scope + 'batch_normalization/gamma', [3]),
      (scope + 'batch_normalization/beta', [3]),
      (scope + 'batch_normalization/moving_mean', [3]),
      (scope + 'batch_normalization/moving_variance', [3]),
      (scope + 'dense/kernel', [3, 5]), (scope + 'dense/bias', [5])]


def test_tensors_that_can_be_fetched_by_name():
  _head()(_features(), False)
  graph = tf.get_default_graph()
  for name in ('final_avg_pool', 'logits'):
    graph.get_tensor_by_name('classification_head/%s:0' % name)


def test_dropout_in_training_only():
  head = _head(num_classes=1, dropout_rate=.5)
  features = {3: tf.ones([400, 1, 1, 1])}
  kernel = {'classification_head/dense/kernel': 1.}
  dropped = graphs.run(head(features, True), kernel)
  assert set(np.unique(dropped)) == {0., 2.}
  assert .3 < (dropped == 0.).mean() < .7
  tf.reset_default_graph()
  kept = graphs.run(head({3: tf.ones([400, 1, 1, 1])}, False), kernel)
  assert (kept == 1.).all()


@pytest.mark.parametrize('settings, message', [
    ({'aggregation': 'mean'}, "'mean'; it can be top, all"),
    ({'dropout_rate': 1.}, 'dropout_rate is 1')])
def test_wrong_settings(settings, message):
  with pytest.raises(ValueError, match=message):
    _head(**settings)
