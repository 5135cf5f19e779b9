"""Tests of tools.export_saved_model."""

import json
import os

import pytest

from serving import export_notes
from serving import parity
from serving.targets import agreement
from tests import golden
from tests.serving import small_models
from tools import export_saved_model
from tools.common import target_export


@pytest.fixture(scope='module')
def model_dir(tmp_path_factory):
  folder = tmp_path_factory.mktemp('run')
  small_models.make(folder, 'classification')
  return str(folder)


def test_it_has_the_flags_of_upstream():
  flags = golden.load_json(os.path.join(
      golden.REFERENCE_DIR, 'config', 'flags.json'))['programs'][
          'models/official/detection/export_saved_model.py']['flags']
  values = vars(export_saved_model.parser().parse_args(['--export_dir=x']))
  for flag in flags:
    assert flag['name'] in values
    # The size is by default that of the configuration, the model what
    # params.yaml says, and empty texts are None.
    if flag['name'] not in ('export_dir', 'model', 'input_image_size'):
      assert (values[flag['name']] or None) == (flag['default'] or None)


def test_an_export(model_dir, tmp_path, capsys):
  arguments = ['--model_dir', model_dir, '--export_dir', str(tmp_path / 'v1'),
               '--batch_size=2', '--input_type=tf_example',
               '--input_image_size=64,64']
  assert export_saved_model.main(arguments) == 0
  printed = capsys.readouterr().out
  assert 'probabilities' in printed and 'is exported to' in printed
  with open(str(tmp_path / 'v1' / 'assets.extra' / 'export.json')) as f:
    assert json.load(f)['input']['batch_size'] == 2
  assert export_saved_model.main(arguments) == 1
  assert '--override_export_dir' in capsys.readouterr().err


@pytest.mark.one_runtime('tf1')
def test_a_difference_is_an_error_and_writes_nothing(
    model_dir, tmp_path, capsys, monkeypatch):
  monkeypatch.setitem(parity.TOLERANCES, 'logits', -1.)
  assert export_saved_model.main([
      '--model_dir', model_dir, '--export_dir', str(tmp_path / 'v1')]) == 1
  printed = capsys.readouterr()
  assert 'logits' in printed.err and '<--' in printed.out
  assert os.listdir(str(tmp_path)) == []


def test_bfloat16_is_compared_with_float32(
    model_dir, tmp_path, capsys, monkeypatch):
  arguments = ['--model_dir', model_dir, '--export_dir', str(tmp_path / 'v1'),
               '--precision=bfloat16']
  monkeypatch.setattr(agreement, 'BFLOAT16', agreement.Allowed(0., 0., 0., 0.))
  assert export_saved_model.main(arguments) == 1  # It is not float32.
  assert 'probabilities' in capsys.readouterr().err
  monkeypatch.undo()
  assert export_saved_model.main(arguments) == 0
  notes = export_notes.read(str(tmp_path / 'v1'))
  assert notes.config.architecture.use_bfloat16


@pytest.mark.parametrize('more,code,words', [
    (['--input_image_size=64'], 2, 'HEIGHT,WIDTH'),
    (['--use_tpu'], 2, 'TPU'), (['--batch_size=0'], 1, 'batch size'),
    (['--check_images=/none/*.jpg'], 2, 'no file matches'),
    (['--output_normalized_coordinates', '--box_coordinates=image'], 2,
     'contradict'),
    (['--params_override=no.such_key=1'], 2, 'no.such_key|unknown key'),
    (['--checkpoint_path=/none'], 1, 'There is no /none')])
def test_wrong_flags(model_dir, tmp_path, capsys, more, code, words):
  assert export_saved_model.main([
      '--model_dir', model_dir, '--export_dir', str(tmp_path / 'v1')] + more
                                ) == code
  error = capsys.readouterr().err
  assert error.startswith('Error: ') and any(
      word in error for word in words.split('|'))
  assert not os.path.exists(str(tmp_path / 'v1'))


@pytest.mark.one_runtime('tf2')
def test_a_model_that_comes_with_the_code_by_its_name():
  values = export_saved_model.parser().parse_args(
      ['--export_dir=x', '--model_dir=blood_cells'])
  source = target_export.source_of(values)
  assert source.config.type == 'retinanet'
  assert os.path.exists(source.checkpoint + '.index')
