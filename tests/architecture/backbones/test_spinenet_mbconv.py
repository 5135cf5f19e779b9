"""SpineNet-MBConv: sizes, scaling, resampling."""

import pytest
import tensorflow.compat.v1 as tf

from architecture.backbones import spinenet_mbconv
from configs import backbones
from configs import base
from tests.architecture import graphs

# Names and shapes; the other runtime has the reference's numbers.
pytestmark = pytest.mark.one_runtime('tf1')


def _network(model_id='49XS', min_level=3, max_level=7, **arguments):
  return spinenet_mbconv.SpineNetMBConv(
      model_id, min_level, max_level, graphs.Unnormalized(), **arguments)


@pytest.mark.parametrize('model_id,width,filters', [
    ('49', 48, [8, 48, 16]), ('49S', 40, [5, 30, 10]),
    ('49XS', 24, [4, 24, 9])])
def test_every_model(model_id, width, filters):
  features = _network(model_id)(tf.zeros([1, 128, 256, 3]), False)
  assert {level: f.shape.as_list()[1:] for level, f in features.items()} == {
      level: [128 >> level, 256 >> level, width] for level in range(3, 8)}
  shapes = dict(graphs.variables())
  # The stem, the expansion of its first block, and what it narrows to.
  names = ('conv2d', 'conv2d_1', 'conv2d_4')
  assert [shapes['spinenet_mbconv/%s/kernel' % n][-1] for n in names] == filters


def test_the_configuration_offers_these_models():
  for model_id in spinenet_mbconv.MODEL_IDS:
    base.override(backbones.SpineNetMBConv(), {'model_id': model_id})
  with pytest.raises(ValueError, match="one of 49, 49S, 49XS, not '96'"):
    _network('96')


def test_without_squeeze_and_excitation():
  _network(se_ratio=0.)(tf.zeros([1, 128, 128, 3]), False)
  biases = [n for n in graphs.names() if n.endswith('bias')]
  assert not biases
  assert 'spinenet_mbconv/conv2d_4/kernel' in graphs.names()


def test_sides_that_are_no_multiples_of_the_coarsest_stride():
  features = _network()(tf.zeros([1, 224, 100, 3]), False)
  assert {level: f.shape.as_list()[1:3] for level, f in features.items()} == {
      3: [28, 13], 4: [14, 7], 5: [7, 4], 6: [4, 2], 7: [2, 1]}


def test_shrinking_repeats_a_strided_depthwise_convolution():
  _network()(tf.zeros([1, 128, 128, 3]), False)
  scope = 'spinenet_mbconv/sub_policy2/resample_with_sepconv_resample_2_0/'
  kinds = [n[len(scope):].split('/')[0] for n in graphs.names()
           if n.startswith(scope) and n.endswith('kernel')]
  assert kinds == ['depthwise_conv2d', 'depthwise_conv2d_1', 'conv2d']
