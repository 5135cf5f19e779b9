"""Tests of serving.targets.kinds: every target that needs no choice."""

import os

import numpy as np
import pytest

from serving import parity
from serving import sources
from serving.targets import description
from serving.targets import environment
from serving.targets import exporting
from serving.targets import kinds
from serving.targets import run_frozen_graph
from tests.serving import small_models
from tests.serving.targets import perturbed

_CONVERTED = ('onnx', 'openvino')
_FIXED = ('stablehlo',)  # number of images


def _skip_without_programs(name):
  for package in kinds.TARGETS[name].packages:
    if package:
      try:
        environment.python(package)
      except environment.MissingError as e:
        pytest.skip(str(e))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
  """Function from a model's name to its sources.Checkpoint."""
  found = {}

  def make(model):
    if model not in found:
      folder = tmp_path_factory.mktemp(model)
      small_models.make(folder, model)
      found[model] = sources.find_checkpoint(folder)
    return found[model]
  return make


def _write(name, source, folder, **options):
  return kinds.write(name, source.config, source.checkpoint, folder,
                     report=lambda line: None, **options)


@pytest.mark.one_runtime('tf1')
def test_a_frozen_graph_takes_any_number_of_images(made, tmp_path):
  described = _write('frozen_graph', made('segmentation'), tmp_path / 'e')
  assert {name for name, _, _ in described['check']} == {
      'masks', 'pixel_scores'}
  model = run_frozen_graph.Model(
      str(tmp_path / 'e'), description.read(str(tmp_path / 'e')))
  answer = model.run(np.zeros([3, 64, 64, 3], np.float32))
  assert answer['masks'].shape == (3, 64, 64, 1)
  assert 'VarHandleOp' not in described['conversion']['operations']


@pytest.mark.one_runtime('tf1')
def test_a_perturbed_frozen_graph_fails(made, tmp_path, monkeypatch):
  perturbed.instead(monkeypatch, 1.02)
  with pytest.raises(parity.ParityError, match='pixel_scores'):
    _write('frozen_graph', made('segmentation'), tmp_path / 'e')
  assert not os.listdir(str(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(kinds.TARGETS))
@pytest.mark.parametrize('model', small_models.MODELS)
def test_every_model(made, tmp_path, name, model):
  _skip_without_programs(name)
  options = {'batch_size': 2} if name in _FIXED else {}
  described = _write(name, made(model), tmp_path / 'e', **options)
  assert described['conversion']['operations']
  assert description.read(str(tmp_path / 'e'))['target'] == name


@pytest.mark.slow
@pytest.mark.parametrize('name', _CONVERTED)
def test_a_detector_without_suppression(made, tmp_path, name):
  _skip_without_programs(name)
  source = made('retinanet')
  source = sources.find_checkpoint(
      None, source.checkpoint,
      params_override='postprocess.apply_nms=false')
  described = _write(name, source, tmp_path / 'e')
  assert {name for name, _, _ in described['check']} == {
      'raw_boxes', 'raw_encoded_boxes', 'raw_scores'}


@pytest.mark.slow
@pytest.mark.parametrize('name', sorted(kinds.TARGETS))
def test_perturbed_exports_fail(made, tmp_path, monkeypatch, name):
  _skip_without_programs(name)
  perturbed.instead(monkeypatch, 1.02)
  options = {'batch_size': 1} if name in _FIXED else {}
  with pytest.raises(parity.ParityError, match='logits'):
    _write(name, made('classification'), tmp_path / 'e', **options)
  assert not os.listdir(str(tmp_path))


@pytest.mark.slow
def test_a_program_of_xla_has_a_fixed_batch(made, tmp_path):
  _skip_without_programs('stablehlo')
  with pytest.raises(exporting.ConversionError, match='give --batch_size'):
    _write('stablehlo', made('classification'), tmp_path / 'e')


def test_a_program_that_is_not_installed_is_one_sentence(
    made, tmp_path, monkeypatch):
  monkeypatch.setattr(environment, 'ROOT', str(tmp_path / 'nowhere'))
  monkeypatch.setattr(environment.importlib.util, 'find_spec',
                      lambda package: None)
  with pytest.raises(environment.MissingError) as error:
    _write('onnx', made('classification'), tmp_path / 'e')
  assert "'make export-env'" in str(error.value)
  assert '\n' not in str(error.value)
