"""Imported weights against outputs of the original implementations.

tests/tools/weights/record.py made the files of tests/data/weights.
"""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import factory as architecture_factory
from architecture import normalization
from configs import factory
from modeling import factory as modeling_factory
from modeling import statistics
from ops import preprocess
from tests import runtimes
from tests.tools.weights import formula
from tools.weights import accounts
from tools.weights import imported
from tools.weights import layouts
from tools.weights import variables

FOLDER = os.path.join(os.path.dirname(__file__), '..', '..', 'data', 'weights')
SIZE, WIDE = (64, 96), (64, 128)


def read(name):
  """({name: array} by the formula, {name: recorded output})."""
  with np.load(os.path.join(FOLDER, name + '.npz')) as file:
    recorded = dict(file)
  arrays = {}
  for key, shape in zip(recorded.pop('names'), recorded.pop('shapes')):
    shape = tuple(map(int, str(shape).split()))
    key = str(key)
    arrays[key] = formula.array(key, shape, not name.startswith('keras'))
    if key.endswith(('num_batches_tracked', 'count')):
      arrays[key] = np.zeros(shape, np.int64)
  if 'normalization/mean' in arrays:
    arrays['normalization/mean'] = np.array([.485, .456, .406], 'f4')
    arrays['normalization/variance'] = np.array([.229, .224, .225], 'f4') ** 2
  return arrays, recorded


def convert(name, arrays=None):
  """(Imported, configuration) of the formula; every tensor has its place."""
  account = accounts.Accounts(read(name)[0] if arrays is None else arrays, name)
  result = layouts.LAYOUTS[name].convert(account)
  config, _ = factory.load_config(result.model, extra=result.changes)
  return result, config


def run(result, config, fetch, size=SIZE):
  """What the network here computes of the image of the formula."""
  tf.reset_default_graph()
  images = preprocess.normalize_image(tf.constant(formula.image(*size)))[None]
  if result.is_classifier:
    fetched = modeling_factory.build_model(config).outputs(
        images, None, 'predict')['logits']
    if fetch != 'logits':
      fetched = tf.get_default_graph().get_tensor_by_name(fetch + ':0')
  else:
    norm = normalization.build(config.batch_norm_activation)
    features = architecture_factory.build_backbone(config, norm)(images, False)
    fetched = architecture_factory.build_decoder(config, norm)(features, False)
  names = {v.op.name: v for v in tf.global_variables()}
  assert set(names) == set(result.variables)
  with tf.Session() as session:
    session.run([variable.initializer for variable in names.values()],
                {variable.initializer.inputs[1]: result.variables[name]
                 for name, variable in names.items()})
    return session.run(fetched)


def distance(ours, theirs):
  """Largest difference over the deviation of theirs."""
  return np.abs(ours - theirs).max() / np.std(theirs)


# Measured on both runtimes: at most a fifth of it.
TOLERANCE = 1e-4


@pytest.mark.parametrize('name', [
    runtimes.only('tf1', 'torchvision_resnet18'),
    runtimes.only('tf2', 'efficientnet_lite0'),
    pytest.param('torchvision_resnet50', marks=pytest.mark.slow)])
def test_logits_of_torch(name, monkeypatch):
  _, recorded = read(name)
  logits = run(*convert(name), 'logits')
  assert distance(logits[:, 1:], recorded['logits']) < TOLERANCE
  assert (logits[:, 0] == -100.).all()
  if 'original' in recorded:
    # Beside its own colours EfficientNet-Lite has a grey of 127, here it is
    # the mean colour of ImageNet: 3 % of a deviation in images of 64 pixels.
    assert 1e-3 < distance(logits[:, 1:], recorded['original']) < .1


@pytest.mark.parametrize('name', [
    'keras_efficientnet_b0',
    pytest.param('keras_resnet50', marks=pytest.mark.slow)])
def test_pooled_features_of_keras(name):
  _, recorded = read(name)
  pooled = run(*convert(name), 'classification_head/final_avg_pool')
  # The edge of the image has a mean that is half a colour value off.
  limit = TOLERANCE if 'efficientnet' in name else 2e-3
  assert distance(pooled, recorded['pooled']) < limit


@pytest.mark.slow
def test_pyramid_of_detectron2():
  _, recorded = read('detectron2_r50_fpn')
  result, config = convert('detectron2_r50_fpn')
  pyramid = run(result, config, None, WIDE)
  for level in range(2, 7):
    assert distance(pyramid[level][..., ::16],
                    recorded['p%d' % level]) < TOLERANCE, level


def test_timm_finds_the_depth():
  arrays, _ = read('torchvision_resnet18')
  result, config = convert('timm_resnet', arrays)
  assert config.resnet.resnet_depth == 18
  assert set(result.variables) == set(statistics.variable_shapes(config))
  del arrays['layer4.1.conv1.weight']
  with pytest.raises(layouts.LayoutError, match=r'\[2, 2, 2, 1\] blocks'):
    convert('timm_resnet', arrays)


@pytest.mark.parametrize('change, message', [
    (lambda a: a.pop('layer3.0.bn2.bias'), 'lacks layer3.0.bn2.bias'),
    (lambda a: a.update(extra=np.zeros(3)), 'unknown to the layout .* extra'),
    (lambda a: a.update({'bn1.weight': np.zeros([64, 1], 'f4')}),
     r'bn1.weight has the shape \[64, 1\]'),
    (lambda a: a.update({'bn1.weight': np.full(64, np.nan, 'f4')}),
     'bn1.weight holds values that are not numbers')])
def test_every_tensor_has_its_place(change, message):
  arrays, _ = read('torchvision_resnet18')
  change(arrays)
  with pytest.raises(layouts.LayoutError, match=message):
    convert('torchvision_resnet18', arrays)


def test_a_shape_of_another_model_is_an_error():
  with pytest.raises(layouts.LayoutError, match=r'1 variables differ, such as '
                     r'a/x: \[2\] here, \[3\] in the file'):
    imported.check({'a/x': np.zeros(3)}, {'a/x': [2], 'b/y': [1]}, False)
  with pytest.raises(layouts.LayoutError, match='b/y: .* none in the file'):
    imported.check({'a/x': np.zeros(2)}, {'a/x': [2], 'b/y': [1]}, True)


def test_colors_are_folded_into_the_first_convolution():
  made = variables.Variables(k=np.random.RandomState(0).randn(1, 1, 3, 2),
                             m=np.zeros(2))
  before = made['k'].copy()
  colors = variables.Colors((10., 20., 30.), (2., 4., 5.), True)
  made.stem('k', 'm', colors)
  rgb = np.array([50., 100., 200.])
  ours = (rgb / 255 - [.485, .456, .406]) / [.229, .224, .225]
  theirs = (rgb - colors.mean) / colors.deviation
  np.testing.assert_allclose(ours @ made['k'][0, 0] - made['m'],
                             theirs[::-1] @ before[0, 0], rtol=1e-4)
