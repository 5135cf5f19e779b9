"""Variables, parameters and FLOPs against the reference's lists."""

import glob
import os
import re

import pytest

from architecture import factory as parts
from configs import factory
from modeling import factory as models
from modeling import statistics
from tests import golden
from tests.configs import published

# What takes more than some seconds, and is the smaller ones' code repeated.
_SLOW = re.compile(r'.*(classification_resnet(101|152|200))')


def _variable_files():
  """The lists of all models whose parts are built."""
  files = {}
  for root in golden.reference_dirs():
    for path in glob.glob(os.path.join(root, 'models', 'variables', '*.json*')):
      config = _config(golden.load_json(path))
      if (config.type in models.MODELS
          and config.architecture.backbone in parts.BACKBONES
          and (config.architecture.multilevel_features or 'identity')
          in parts.DECODERS):
        files[os.path.basename(path).split('.json')[0]] = path
  return [pytest.param(path, id=name, marks=(
      [pytest.mark.slow] if _SLOW.match(name) else []))
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


@pytest.mark.parametrize('path', _variable_files())
def test_variables_and_counts(path):
  reference = golden.load_json(path)
  stats = statistics.model_statistics(_config(reference))
  got = {v['name']: (list(v['shape']), bool(v['trainable']))
         for v in stats.variables}
  want = {v['name']: (list(v['shape']), bool(v['trainable']))
          for v in reference['variables']}
  assert got == want
  assert stats.params == reference['total_trainable_params']

  zoo = golden.load_json(golden.reference_files('models/zoo.json')[0])
  row = zoo['configs'].get(reference['config'])
  if row and row['predict_graph_multi_add_billion']:
    assert stats.flops / 1e9 == pytest.approx(
        row['predict_graph_multi_add_billion'], rel=1e-3)


def test_parameters_by_scope():
  variables = [
      {'name': 'fpn/l3/kernel', 'shape': [1, 1, 2, 3], 'trainable': True},
      {'name': 'fpn/l3/bias', 'shape': [3], 'trainable': True},
      {'name': 'fpn/bn/moving_mean', 'shape': [3], 'trainable': False},
      {'name': 'lonely', 'shape': [], 'trainable': True}]
  groups = statistics.parameters_by_scope(variables)
  assert groups == {'fpn': (3, 9), '': (1, 1)}
