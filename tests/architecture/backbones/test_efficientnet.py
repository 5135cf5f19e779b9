"""EfficientNet: sizes of all variants, names, what the paper's code fixes."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import factory
from architecture import layers
from architecture import normalization
from architecture.backbones import efficientnet
from configs import backbones
from configs import factory as config_factory
from modeling import statistics
from tests import runtimes
from tests.architecture import graphs

# name: (filters of the stem, number of blocks, channels of levels 2 to 5).
VARIANTS = {
    'b0': (32, 16, [24, 40, 112, 320]), 'b1': (32, 23, [24, 40, 112, 320]),
    'b2': (32, 23, [24, 48, 120, 352]), 'b3': (40, 26, [32, 48, 136, 384]),
    'b4': (48, 32, [32, 56, 160, 448]), 'b5': (48, 39, [40, 64, 176, 512]),
    'b6': (56, 45, [40, 72, 200, 576]), 'b7': (64, 55, [48, 80, 224, 640]),
    'b8': (72, 61, [56, 88, 248, 704]), 'l2': (136, 88, [104, 176, 480, 1376]),
    'lite0': (32, 16, [24, 40, 112, 320]),
    'lite1': (32, 21, [24, 40, 112, 320]),
    'lite2': (32, 21, [24, 48, 120, 352]),
    'lite3': (32, 24, [32, 48, 136, 384]),
    'lite4': (32, 30, [32, 56, 160, 448])}
# Size of the images, parameters and multiply-adds as they are published, in
# millions, of classifiers with 1000 classes; those of lite3 are of 300 pixels,
# although its size is said to be 280.
LITES = {'lite0': (224, 4.7, 407), 'lite1': (240, 5.4, 631),
         'lite2': (260, 6.1, 899), 'lite3': (300, 8.2, 1640),
         'lite4': (300, 13.0, 2640)}


def _build(name='efficientnet-b0', **changes):
  """The backbone of a configuration, with changes by dotted key ('__')."""
  values = {'architecture.backbone': name, 'architecture.num_classes': 5}
  values.update({k.replace('__', '.'): v for k, v in changes.items()})
  config = config_factory.load_config('classification', extra=values)[0]
  return factory.build_backbone(
      config, normalization.build(config.batch_norm_activation))


def test_the_configuration_offers_these_variants():
  assert set(backbones.EFFICIENTNETS + backbones.EFFICIENTNET_LITES) == set(
      efficientnet.NAMES)
  with pytest.raises(ValueError, match="efficientnet-b0, .*not 'b0'"):
    efficientnet.EfficientNet('b0', None)


@pytest.mark.parametrize('variant', [
    {'b0': name, 'b2': runtimes.only('tf1', name),
     'lite2': runtimes.only('tf2', name)}.get(
        name, pytest.param(name, marks=pytest.mark.slow))
    for name in sorted(VARIANTS)])
def test_every_variant(variant):
  stem, num_blocks, channels = VARIANTS[variant]
  name = 'efficientnet-' + variant
  features = _build(name)(tf.zeros([1, 65, 64, 3]), False)
  assert [features[level].shape.as_list() for level in (2, 3, 4, 5)] == [
      [1, -(-65 // 2 ** level), 64 >> level, width]
      for level, width in zip((2, 3, 4, 5), channels)]
  shapes = dict(graphs.variables())
  assert shapes[name + '/stem/conv2d/kernel'] == [3, 3, 3, stem]
  scopes = {n.split('/')[1] for n in shapes}
  assert scopes == {'stem'} | {'blocks_%d' % i for i in range(num_blocks)}


@pytest.mark.parametrize('variant', [
    pytest.param(name, marks=[] if name == 'lite0' else [pytest.mark.slow])
    for name in sorted(LITES)])
def test_lites_have_the_published_size(variant):
  size, params, flops = LITES[variant]
  counted = statistics.model_statistics(config_factory.load_config(
      'classification', extra={
          'architecture.backbone': 'efficientnet-' + variant,
          'architecture.num_classes': 1000,
          'classification_head.endpoints_num_filters': 1280,
          'classification_parser.output_size': [size, size],
          'batch_norm_activation.activation': 'relu6'})[0])
  # Ours are without batch norm.
  assert counted.params / 1e6 == pytest.approx(params, abs=.06)
  assert counted.flops / 1e6 == pytest.approx(flops, rel=.05)


def test_a_lite_has_relu6_and_no_squeeze_and_excitation():
  _build('efficientnet-lite0')(tf.zeros([1, 32, 32, 3]), False)
  types = [op.type for op in tf.get_default_graph().get_operations()]
  assert types.count('Relu6') == 1 + 1 + 15 * 2
  assert not {'Sigmoid', 'Relu', 'Mean'} & set(types)


@pytest.mark.one_runtime('tf1')
def test_no_imagenet_head():
  """Checkpoints with and without it load."""
  _build()(tf.zeros([1, 64, 64, 3]), True)
  assert not [n for n in graphs.names() if '/head/' in n]


@pytest.mark.one_runtime('tf2')
def test_stochastic_depth_rises_from_block_to_block(monkeypatch):
  rates = []
  monkeypatch.setattr(layers, 'drop_connect',
                      lambda x, is_training, rate: rates.append(rate) or x)
  _build()(tf.zeros([1, 64, 64, 3]), True)
  tf.reset_default_graph()
  _build(efficientnet__init_drop_connect_rate=None)(
      tf.zeros([1, 64, 64, 3]), True)
  assert rates[9:] == [None] * 9
  del rates[9:]
  # Blocks with a shortcut: not the first of a stage that widens or shrinks.
  np.testing.assert_allclose(
      rates, [.2 * i / 16 for i in (2, 4, 6, 7, 9, 10, 12, 13, 14)])


def test_padding_and_normalization_of_the_stem():
  images = np.zeros([1, 4, 4, 3], np.float32)
  images[0, :, :, 0] = graphs.ramp(4, 4)
  _build()(tf.constant(images), True)
  kernel = np.zeros([3, 3, 3, 32], np.float32)
  kernel[1, 1, 0] = 1.
  scope = 'efficientnet-b0/stem/'
  conv = tf.get_default_graph().get_tensor_by_name(scope + 'conv2d/Conv2D:0')
  updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)[:2]
  moving = [v for v in tf.global_variables()
            if v.op.name.startswith(scope) and 'moving' in v.op.name]
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    variable = tf.global_variables()[0]
    session.run(variable.initializer, {variable.initializer.inputs[1]: kernel})
    conv, _ = session.run([conv, updates])
    mean, variance = session.run(moving)
  # 'SAME' starts an even side at pixel 0.
  np.testing.assert_array_equal(conv[0, :, :, 3], [[5, 7], [13, 15]])
  # Momentum 0.99; the variance of 5, 7, 13, 15 is 17, not 17 * 4 / 3.
  np.testing.assert_allclose(mean, .1, rtol=1e-5)
  np.testing.assert_allclose(variance, .99 + .17, rtol=1e-5)


def test_kernels_start_with_the_papers_variance():
  _build()(tf.zeros([1, 32, 32, 3]), True)
  scope = 'efficientnet-b0/blocks_12/'
  by_name = {v.op.name: v for v in tf.global_variables()}
  kernels = [by_name[scope + n] for n in (
      'conv2d/kernel', 'depthwise_conv2d/depthwise_kernel')]
  tf.set_random_seed(1)
  pointwise, depthwise = graphs.run(kernels)
  assert pointwise.std() == pytest.approx((2. / 1152) ** .5, rel=.05)
  assert depthwise.std() == pytest.approx((2. / 25) ** .5, rel=.05)


def test_settings_of_the_section():
  images = tf.constant(np.random.RandomState(0).randn(2, 32, 32, 3), tf.float32)
  _build(efficientnet__batch_norm_momentum=.5, efficientnet__activation='relu',
         efficientnet__batch_norm_epsilon=.5,
         efficientnet__use_sync_bn=False)(images, True)
  graph = tf.get_default_graph()
  types = [op.type for op in graph.get_operations()]
  # One sigmoid a block: the gate of squeeze-and-excitation.
  assert types.count('Sigmoid') == 16
  fused = [op for op in graph.get_operations()
           if op.type.startswith('FusedBatchNorm')]
  assert len(fused) == 1 + 1 * 2 + 15 * 3
  assert {round(op.get_attr('epsilon'), 5) for op in fused} == {.5}
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    mean = session.run([tf.get_collection(tf.GraphKeys.UPDATE_OPS)[0],
                        fused[0].outputs[1]])[1]
    moving = session.run(next(v for v in tf.global_variables()
                              if 'stem' in v.op.name and 'mean' in v.op.name))
  np.testing.assert_allclose(moving, .5 * mean, rtol=1e-5)


@pytest.mark.one_runtime('tf1')
def test_common_section_freezes_batch_norm():
  _build(batch_norm_activation__batch_norm_trainable=False)(
      tf.zeros([1, 32, 32, 3]), True)
  assert not tf.get_collection(tf.GraphKeys.UPDATE_OPS)
  assert tf.trainable_variables()
  assert not [v for v in tf.trainable_variables() if 'gamma' in v.op.name]
