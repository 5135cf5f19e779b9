"""Models that come with the code: storage, expansion, use by name."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import base
from configs import factory
from modeling import statistics
from serving import predictor
from tools.own_data import starts
from tools.zoo import imported_model
from tools.zoo import small_models
from utils import files

CHANGES = {'architecture.num_classes': 3, 'resnet.resnet_depth': 10,
           'architecture.min_level': 3, 'architecture.max_level': 4,
           'fpn.fpn_feat_dims': 8, 'retinanet_head.num_convs': 1,
           'retinanet_head.num_filters': 8, 'anchor.num_scales': 2,
           'retinanet_parser.output_size': [64, 64]}
_OWN = small_models.FOLDER
# Together with card and configuration.
MOST_BYTES = 12e6


@pytest.fixture(scope='module')
def arrays():
  config, _ = factory.load_config('retinanet', extra=CHANGES)
  random = np.random.RandomState(0)
  return {name: np.abs(random.randn(*shape)).astype('f4')
          for name, shape in statistics.variable_shapes(config).items()}


@pytest.fixture(scope='module')
def zoo(arrays, tmp_path_factory):
  """A folder in the place of configs/zoo with the model `small`."""
  folder = tmp_path_factory.mktemp('zoo')
  config, _ = factory.load_config('retinanet', extra=CHANGES)
  (folder / 'names.csv').write_text('1:dot\n2:dash\n')
  model_dir = str(folder / 'run')
  imported_model.write_arrays(model_dir, config, arrays, {},
                              str(folder / 'names.csv'))
  patch = pytest.MonkeyPatch()
  patch.setattr(small_models, 'FOLDER', str(folder / 'zoo'))
  patch.setattr(small_models, '_EXPANDED', str(folder / 'expanded'))
  small_models.add(model_dir, 'small', {'what': 'dots', 'metrics': {'AP': .5}})
  yield folder
  patch.undo()


def test_numbers_are_within_half_a_unit(arrays, tmp_path):
  small_models.pack(arrays, str(tmp_path / 'w.npz'))
  found = small_models.unpack(str(tmp_path / 'w.npz'))
  assert set(found) == set(arrays)
  for name, array in arrays.items():
    assert found[name].dtype == np.float32
    limit = 0
    if array.ndim > 1:
      limit = .502 * array.max(axis=tuple(range(array.ndim - 1))) / 127
    assert (np.abs(found[name] - array) <= limit).all(), name


def test_a_channel_of_zeros_stays_zero():
  numbers, scale = small_models.stored(np.zeros([2, 2], 'f4'), 8)
  assert not (numbers * scale).any()


def test_a_name_is_a_model(zoo, arrays):
  folder = small_models.resolve('small')
  assert folder.startswith(str(zoo / 'expanded' / 'small-'))
  reader = tf.train.load_checkpoint(folder)
  assert set(reader.get_variable_to_shape_map()) == set(arrays) | {
      'global_step'}
  before = os.stat(os.path.join(folder, 'checkpoint')).st_mtime_ns
  assert small_models.resolve('small') == folder
  assert os.stat(os.path.join(folder, 'checkpoint')).st_mtime_ns == before
  assert small_models.resolve('other') == 'other'
  assert small_models.resolve(str(zoo)) == str(zoo)
  detect = predictor.load(folder)
  assert detect.class_names == {1: 'dot', 2: 'dash'}
  detect.close()


def test_damaged_weights_are_refused(zoo, tmp_path):
  path = zoo / 'zoo' / 'small' / 'weights.npz'
  content = path.read_bytes()
  path.write_bytes(content[:-1])
  try:
    with pytest.raises(base.ConfigError, match='weights.npz is damaged'):
      small_models.expand('small', str(tmp_path / 'new'))
  finally:
    path.write_bytes(content)
  (tmp_path / 'other').mkdir()
  (tmp_path / 'other' / 'file').write_text('mine')
  with pytest.raises(base.ConfigError, match='not empty'):
    small_models.expand('small', str(tmp_path / 'other'))


def test_a_start_takes_over_what_the_variables_are(zoo):
  for name in ('small', small_models.resolve('small')):
    start = starts.read(name)
    assert start.model == 'retinanet'
    assert start.keys['anchor.num_scales'] == 2
    assert start.keys['resnet.resnet_depth'] == 10
    assert not [key for key in start.keys if key.startswith((
        'train.', 'retinanet_parser', 'architecture.num_classes'))]
  with pytest.raises(ValueError, match='nor one of the models .*: small'):
    starts.read('smal')
  with pytest.raises(ValueError, match='neither params.yaml nor start.yaml'):
    starts.read(str(zoo))


def test_weights_of_a_backbone_are_a_start(tmp_path):
  (tmp_path / 'start.yaml').write_text(
      'architecture:\n  backbone: efficientnet-lite0\n'
      'train:\n  checkpoint:\n    path: /elsewhere\n')
  start = starts.read(str(tmp_path))
  assert start == (str(tmp_path), None,
                   {'architecture.backbone': 'efficientnet-lite0'})
  lines = starts.applied([
      ('type', 'retinanet', ''), ('resnet.resnet_depth', 10, 'small'),
      ('train.total_steps', 5, '')], start, '/there')
  assert [line[:2] for line in lines] == [
      ('type', 'retinanet'), ('train.total_steps', 5),
      ('architecture.backbone', 'efficientnet-lite0'),
      ('train.checkpoint.path', '/there')]


def test_what_comes_with_the_code(monkeypatch):
  """Cards are complete, the files are what they say, and they are small."""
  monkeypatch.setattr(small_models, 'FOLDER', _OWN)
  size = 0
  for name in small_models.names():
    folder = os.path.join(small_models.FOLDER, name)
    about = small_models.card(name)
    assert {'what', 'data', 'licence', 'recipe', 'metrics', 'sha256'} <= set(
        about)
    assert files.sha256(
        os.path.join(folder, 'weights.npz')) == about['sha256']
    config, _ = factory.load_config(None, small_models.params_path(name))
    assert not config.train.train_file_pattern
    assert set(small_models.unpack(os.path.join(
        folder, 'weights.npz'))) == set(statistics.variable_shapes(config))
    size += sum(os.path.getsize(os.path.join(folder, file))
                for file in os.listdir(folder))
    assert '/work' not in json.dumps(about)
  assert size < MOST_BYTES
