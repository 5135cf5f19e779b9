"""Every part that a configuration can name, and names that do not exist."""

import dataclasses

import pytest
import tensorflow.compat.v1 as tf

from architecture import factory
from architecture import layers
from architecture import normalization
from architecture.backbones import efficientnet
from configs import backbones
from configs import decoders
from configs import factory as config_factory
from ops import resample
from tests import runtimes
from tests.architecture import graphs

SMALL = {'architecture': {'min_level': 3, 'max_level': 5, 'num_classes': 3},
         'resnet': {'resnet_depth': 10}, 'fpn': {'fpn_feat_dims': 2},
         'retinanet_head': {'num_convs': 1, 'num_filters': 2},
         'anchor': {'num_scales': 2, 'aspect_ratios': [1., 2., .5]}}
# Graphs that take seconds to build; the runtime that builds them.
_LARGE = {'spinenet': 'tf1', 'spinenet_mbconv': 'tf2',
          'efficientnet-b0': 'tf1'}


def _config(*overrides):
  """The small configuration with further blocks over it."""
  changes = {name: dict(values) for name, values in SMALL.items()}
  for override in overrides:
    for name, values in override.items():
      changes.setdefault(name, {}).update(values)
  return config_factory.load_config('retinanet', None, changes)[0]


def _norm(config):
  return normalization.build(config.batch_norm_activation)


def _named(config, **names):
  """The configuration with names that its own checks would not let through."""
  return dataclasses.replace(config, architecture=dataclasses.replace(
      config.architecture, **names))


@pytest.mark.parametrize('name', [
    runtimes.only(_LARGE[name], name) if name in _LARGE
    else pytest.param(name, marks=[] if name == 'resnet' else [
        pytest.mark.slow])
    for name in sorted(backbones.BACKBONES)])
def test_every_backbone(name):
  config = _config({'architecture': {'backbone': name}})
  features = factory.build_backbone(config, graphs.Unnormalized())(
      tf.zeros([1, 64, 64, 3]), False)
  for level in (3, 4, 5):
    assert features[level].shape.as_list()[:3] == [1, 64 >> level, 64 >> level]


@pytest.mark.parametrize('name', sorted(decoders.DECODERS))
def test_every_decoder(name):
  config = _config({
      # Whose levels all decoders can have.
      'architecture': {'multilevel_features': name, 'max_level': 7,
                       'backbone': 'spinenet'},
      'nasfpn': {'fpn_feat_dims': 2, 'num_repeats': 1}})
  features = {level: tf.zeros([1, 128 >> level, 128 >> level, 2])
              for level in (2, 3, 4, 5, 6, 7)}
  pyramid = factory.build_decoder(config, _norm(config))(features, False)
  # As many channels as the section of the decoder says, the same everywhere.
  channels = pyramid[3].shape[3].value
  assert {level: f.shape.as_list() for level, f in pyramid.items()} == {
      level: [1, 128 >> level, 128 >> level, channels]
      for level in (3, 4, 5, 6, 7)}


def test_every_efficientnet_is_in_the_table():
  assert set(backbones.EFFICIENTNETS + backbones.EFFICIENTNET_LITES) == set(
      efficientnet.NAMES)


# Pyramids that each kind of backbone can have: `identity` wants all levels.
PAIRS = [(backbone, decoder)
         for backbone in ('resnet', 'spinenet', 'spinenet_mbconv',
                          'efficientnet-b0')
         for decoder in sorted(decoders.DECODERS)
         if decoder != 'identity' or backbone.startswith('spinenet')]


@pytest.mark.parametrize('backbone,decoder', [
    runtimes.only(_LARGE[pair[0]], *pair) if pair[0] in _LARGE else pair
    for pair in PAIRS])
def test_every_pyramid_on_every_family_with_every_head(backbone, decoder):
  """The smallest members; the other ones have lists of their variables."""
  config = _config({
      'architecture': {'backbone': backbone, 'max_level': 7,
                       'multilevel_features': decoder},
      'spinenet': {'model_id': '49S'}, 'spinenet_mbconv': {'model_id': '49XS'},
      'nasfpn': {'fpn_feat_dims': 2, 'num_repeats': 1}})
  norm = graphs.Unnormalized()
  features = factory.build_backbone(config, norm)(
      tf.zeros([1, 128, 128, 3]), False)
  pyramid = factory.build_decoder(config, norm)(features, False)
  assert {level: f.shape.as_list()[:3] for level, f in pyramid.items()} == {
      level: [1, 128 >> level, 128 >> level] for level in range(3, 8)}
  classes, boxes = factory.build_retinanet_head(config, norm)(pyramid, False)
  scores, deltas = factory.build_rpn_head(_mask_config(), norm)(pyramid, False)
  for level in range(3, 8):
    assert [x[level].shape.as_list()[3] for x in (
        classes, boxes, scores, deltas)] == [18, 24, 3, 12]
  crops = pyramid[3][:, :4, :4]
  logits, encoded = factory.build_fast_rcnn_head(_mask_config(), norm)(
      crops[:, tf.newaxis], False)
  assert logits.shape.as_list() == [1, 1, 3]
  assert encoded.shape.as_list() == [1, 1, 12]
  masks = factory.build_mask_head(_mask_config(), norm)(
      crops[:, tf.newaxis], tf.ones([1, 1], tf.int32), False)
  assert masks.shape.as_list() == [1, 1, 8, 8]


def _mask_config():
  return config_factory.load_config('mask_rcnn', None, {
      'architecture': {'min_level': 3, 'max_level': 7, 'num_classes': 3},
      'rpn_head': {'num_filters': 2}, 'frcnn_head': {'fc_dims': 2},
      'mrcnn_head': {'num_convs': 1, 'num_filters': 2}})[0]


@pytest.mark.parametrize('name', sorted(normalization.ACTIVATIONS))
def test_every_activation(name):
  config = _config({'batch_norm_activation': {'activation': name}})
  assert _norm(config).activate(tf.zeros([2])).shape.as_list() == [2]


@pytest.mark.parametrize('build,key,table', [
    (factory.build_backbone, 'backbone', backbones.BACKBONES),
    (factory.build_decoder, 'multilevel_features', decoders.DECODERS)])
def test_wrong_names_list_the_right_ones(build, key, table):
  config = _named(_config(), **{key: 'mobilenet'})
  with pytest.raises(ValueError) as e:
    build(config, _norm(config))
  assert str(e.value) == (
      "architecture.%s is 'mobilenet'; it can be %s."
      % (key, ', '.join(sorted(table))))


def test_section_of_the_normalization_is_obeyed():
  config = _config({'batch_norm_activation': {
      'batch_norm_momentum': .5, 'batch_norm_epsilon': 3., 'use_sync_bn': True,
      'batch_norm_trainable': True, 'activation': 'relu'}})
  outputs = _norm(config)(tf.constant([[2.], [4.]]), True)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    outputs, _ = session.run(
        [outputs, tf.get_collection(tf.GraphKeys.UPDATE_OPS)])
    mean = session.run(tf.global_variables()[2])
  # Variance 1 and epsilon 3: halves. Mean 3 with momentum 1/2: 1.5.
  assert outputs.ravel().tolist() == [0., .5]
  assert mean.tolist() == [1.5]
  frozen = _config({'batch_norm_activation': {'batch_norm_trainable': False}})
  tf.reset_default_graph()
  _norm(frozen)(tf.zeros([2, 1]), True)
  assert not tf.trainable_variables()


def _depends_on_chance(config):
  """Whether two runs of the backbone in training differ."""
  tf.reset_default_graph()
  backbone = factory.build_backbone(config, _norm(config))
  # So many that all of them being dropped alike twice is out of the question.
  images = tf.random.stateless_normal([16, 64, 64, 3], seed=[1, 2])
  features = backbone(images, True)[5]
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    return (session.run(features) != session.run(features)).any()


def test_regularizers_of_the_backbone_come_from_the_configuration():
  assert not _depends_on_chance(_config())
  assert _depends_on_chance(_config({'dropblock': {
      'dropblock_keep_prob': .5, 'dropblock_size': 2}}))
  assert _depends_on_chance(_config({'resnet': {
      'init_drop_connect_rate': .5}}))


def test_folded_images_come_from_the_configuration():
  config = _config({'architecture': {'space_to_depth_block_size': 2}})
  features = factory.build_backbone(config, _norm(config))(
      tf.zeros([1, 32, 32, 12]), True)
  assert features[2].shape.as_list()[:3] == [1, 16, 16]


@pytest.mark.parametrize('name,num_enlarged', [
    runtimes.only('tf1', 'spinenet', 5),
    runtimes.only('tf2', 'spinenet_mbconv', 5)])
def test_sections_of_the_spinenets_are_obeyed(monkeypatch, name, num_enlarged):
  """Stochastic depth and the kind of resize."""
  rates, enlarged = [], []
  resize = resample.native_resize
  monkeypatch.setattr(layers, 'drop_connect',
                      lambda x, is_training, rate: rates.append(rate) or x)
  monkeypatch.setattr(resample, 'native_resize',
                      lambda *args: enlarged.append(args) or resize(*args))
  config = _config({
      'architecture': {'backbone': name, 'max_level': 4},
      name: {'init_drop_connect_rate': .5, 'use_native_resize_op': True}})
  factory.build_backbone(config, graphs.Unnormalized())(
      tf.zeros([1, 128, 128, 3]), True)
  assert rates[-1] == .5 and len(set(rates)) >= 15
  assert len(enlarged) == num_enlarged


def test_width_of_spinenets_pyramid():
  config = _config({'architecture': {'backbone': 'spinenet'},
                    'spinenet': {'endpoints_num_filters': 7}})
  features = factory.build_backbone(config, graphs.Unnormalized())(
      tf.zeros([1, 128, 128, 3]), True)
  assert features[5].shape.as_list() == [1, 4, 4, 7]


def test_section_of_nasfpn_is_obeyed():
  config = _config({
      'architecture': {'multilevel_features': 'nasfpn', 'max_level': 7},
      'nasfpn': {'fpn_feat_dims': 2, 'num_repeats': 2, 'activation': 'swish',
                 'use_separable_conv': True, 'use_sum_for_combination': True}})
  features = {level: tf.zeros([1, 128 >> level, 128 >> level, 2])
              for level in (3, 4, 5)}
  factory.build_decoder(config, _norm(config))(features, False)
  assert 'fpn_cells/cell_1/sub_policy6/op_after_combine11/conv/' \
      'pointwise_kernel' in graphs.names()
  assert not [n for n in graphs.names() if 'cell_2' in n]
  kinds = [op.type for op in tf.get_default_graph().get_operations()]
  assert 'Sigmoid' in kinds and 'Relu' not in kinds and 'Max' not in kinds


def test_section_of_the_pyramid_is_obeyed():
  config = _config({'fpn': {'fpn_feat_dims': 6, 'use_separable_conv': True,
                            'use_batch_norm': False}})
  features = {level: tf.zeros([1, 32 >> level, 32 >> level, 2])
              for level in (3, 4, 5)}
  pyramid = factory.build_decoder(config, _norm(config))(features, False)
  assert pyramid[3].shape.as_list() == [1, 4, 4, 6]
  assert 'fpn/l3/pointwise_kernel' in graphs.names()
  assert not [n for n in graphs.names() if n.endswith('gamma')]


def test_head_of_the_sections():
  config = _config({'retinanet_head': {
      'num_convs': 2, 'num_filters': 6, 'use_separable_conv': True,
      'use_batch_norm': False}})
  features = {level: tf.zeros([1, 64 >> level, 64 >> level, 2])
              for level in (3, 4, 5)}
  classes, boxes = factory.build_retinanet_head(config, _norm(config))(
      features, True)
  # 2 scales of 3 ratios; 3 classes, 4 coordinates.
  assert classes[3].shape.as_list() == [1, 8, 8, 18]
  assert boxes[5].shape.as_list() == [1, 2, 2, 24]
  shapes = dict(graphs.variables())
  assert shapes['retinanet/box_net/box-1/pointwise_kernel'] == [1, 1, 6, 6]
  assert not [n for n in shapes if n.endswith('gamma') or 'box-2' in n]
