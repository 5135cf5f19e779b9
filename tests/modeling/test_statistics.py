"""Variables, parameters and FLOPs against the reference's lists."""

import glob
import os
import re

import numpy as np
import pytest

from configs import backbones
from configs import decoders
from configs import factory
from modeling import statistics
from tests import golden
from tests import runtimes
from tests.configs import published
from tests.modeling import variable_order

# The ImageNet head that the reference leaves in its EfficientNets.
_UNUSED_HEAD = re.compile(r'efficientnet[^/]*/head/')
# What takes more than some seconds, and is the smaller ones' code repeated.
_SLOW = re.compile(
    r'.*(eff(b7|icientnet-(b7|l2))|classification_resnet(101|152|200)'
    r'|spinenet(49_mrcnn|96|143|190))')
# Run on both runtimes, the others on one of them in turn.
_BOTH = ('retinanet_resnet18_fpn_640', 'classification_resnet18_224',
         'segmentation_resnet50_fpn_512')


def _variable_files():
  """The lists of all models whose parts are built."""
  files = {}
  for root in golden.reference_dirs():
    for path in glob.glob(os.path.join(root, 'models', 'variables', '*.json*')):
      config = _config(golden.load_json(path))
      if (config.type in factory.MODELS
          and config.architecture.backbone in backbones.BACKBONES
          and (config.architecture.multilevel_features or 'identity')
          in decoders.DECODERS):
        files[os.path.basename(path).split('.json')[0]] = path
  kept = [name for name in sorted(files) if not _SLOW.match(name)]
  marks = runtimes.of_names(tf1=kept[::2], tf2=kept[1::2])
  return [pytest.param(path, id=name, marks=(
      () if name in _BOTH else marks.get(name, [pytest.mark.slow])))
          for name, path in sorted(files.items())]


def _config(reference):
  """The configuration that a list was made with."""
  base = reference['base_yaml']
  if base:
    base = os.path.join(published.FOLDER, published.our_name(base))
  config, _ = factory.load_config(reference['model'], base,
                                  reference['override'])
  size = list(reference['input_size'])
  config, _ = factory.load_config(
      reference['model'], base, reference['override'],
      {config.architecture.parser + '.output_size': size})
  return config


def _check_variables(stats, expected):
  """Compares names, shapes and creation order with [(name, shape, trained)].

  Returns:
    What was expected, without heads that nothing uses: [(name, ([int], bool))].
  """
  want = [(name, (list(shape), bool(is_trained)))
          for name, shape, is_trained in expected
          if not _UNUSED_HEAD.match(name)]
  assert variable_order.level_by_level([
      (v['name'], (list(v['shape']), bool(v['trainable'])))
      for v in stats.variables]) == want
  return want


@pytest.mark.parametrize('path', _variable_files())
def test_variables_and_counts(path):
  reference = golden.load_json(path)
  stats = statistics.model_statistics(_config(reference))
  want = _check_variables(stats, [
      (v['name'], v['shape'], v['trainable']) for v in reference['variables']])
  assert stats.params == sum(
      np.prod(shape) for _, (shape, is_trainable) in want if is_trainable)

  zoo = golden.load_json(golden.reference_files('models/zoo.json')[0])
  row = zoo['configs'].get(reference['config'])
  if row and row['predict_graph_multi_add_billion']:
    assert stats.flops / 1e9 == pytest.approx(
        row['predict_graph_multi_add_billion'], rel=1e-3)


# Settings that published figures fit, unlike the published files; see
# docs/MODEL_ZOO.md.
ALTERNATIVES = {
    'retinanet_resnet50_nasfpn_640_repeats7':
        'retinanet_resnet50_nasfpn_7cells_640_350ep',
    'spinenet190_mrcnn_rpn1conv': 'mask_rcnn_spinenet190_rpn1conv',
    'spinenet49S_retinanet_endpoints256': 'retinanet_spinenet49S_endpoints256'}


@pytest.mark.parametrize('name', [
    runtimes.only('tf2', name) if '49S' in name
    else pytest.param(name, marks=pytest.mark.slow)
    for name in sorted(ALTERNATIVES)])
def test_other_readings_of_published_rows(name):
  path, = golden.reference_files('models/variables/alternatives/%s.json.gz'
                                 % name)
  reference = golden.load_json(path)
  config, _ = factory.load_config(None, os.path.join(
      published.FOLDER, 'zoo', ALTERNATIVES[name] + '.yaml'))
  stats = statistics.model_statistics(config)
  _check_variables(stats, [
      (v['name'], v['shape'], v['trainable']) for v in reference['variables']])
  assert stats.params / 1e6 == pytest.approx(reference['params_million'])
  assert stats.flops / 1e9 == pytest.approx(
      reference['predict_graph_multi_add_billion'], rel=1e-3)


_MBCONV = os.path.join(published.FOLDER, 'spinenet',
                       'spinenet-mbconv49_retinanet.yaml')
# Settings that no other list has: (model, file, override).
OTHER_SETTINGS = {
    'retinanet_spinenet_mbconv49S': ('retinanet', _MBCONV, {
        'spinenet_mbconv': {'model_id': '49S'},
        'retinanet_head': {'num_filters': 40}}),
    'retinanet_spinenet_mbconv49XS': ('retinanet', _MBCONV, {
        'spinenet_mbconv': {'model_id': '49XS'},
        'retinanet_head': {'num_filters': 24}}),
    'segmentation_r50_fpn_aspp_up2': ('segmentation', None, {
        'architecture': {'use_aspp': True},
        'segmentation_head': {'upsample_factor': 2}})}


@pytest.mark.parametrize('name', runtimes.alternate(sorted(OTHER_SETTINGS)))
def test_variables_of_other_settings(name):
  path = golden.reference_files('variables/architecture_variables.json.gz')[0]
  config, _ = factory.load_config(*OTHER_SETTINGS[name])
  # Variables do not depend on the size, and small graphs are made sooner.
  config, _ = factory.load_config(*OTHER_SETTINGS[name], {
      config.architecture.parser + '.output_size': [128, 128]})
  _check_variables(statistics.model_statistics(config),
                   golden.load_json(path)[name]['variables'])


def test_parameters_by_scope():
  variables = [
      {'name': 'fpn/l3/kernel', 'shape': [1, 1, 2, 3], 'trainable': True},
      {'name': 'fpn/l3/bias', 'shape': [3], 'trainable': True},
      {'name': 'fpn/bn/moving_mean', 'shape': [3], 'trainable': False},
      {'name': 'lonely', 'shape': [], 'trainable': True}]
  groups = statistics.parameters_by_scope(variables)
  assert groups == {'fpn': (3, 9), '': (1, 1)}
