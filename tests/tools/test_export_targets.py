"""Tests of the commands that convert a checkpoint: flags and messages."""

import os

import pytest

from serving.targets import environment
from tests.serving import small_models
from tools import export_frozen_graph
from tools import export_onnx
from tools import export_openvino
from tools import export_stablehlo
from tools import export_table
from tools import export_tensorrt
from tools import export_tflite

_COMMANDS = (export_frozen_graph, export_onnx, export_openvino,
             export_stablehlo, export_tensorrt, export_tflite)


@pytest.mark.parametrize('command', _COMMANDS, ids=lambda c: c.__name__)
@pytest.mark.parametrize('flags,code,message', [
    (['--model_dir=none'], 1, 'none'),
    (['--check_images=none*'], 2, 'no file matches none*'),
    (['--input_image_size=9'], 2, 'HEIGHT,WIDTH')])
def test_wrong_flags(command, flags, code, message, tmp_path, capsys):
  flags = ['--export_dir=%s' % (tmp_path / 'e')] + flags
  assert command.main(flags) == code
  error = capsys.readouterr().err
  assert error.startswith('Error: ') and message in error
  assert not os.listdir(str(tmp_path))


@pytest.mark.parametrize('flags,message', [
    (['--representative_images=x'], 'for --quantization=int8 only'),
    (['--quantization=int8', '--representative_images=x',
      '--representative_records=y'], 'give one'),
    (['--quantization=int8', '--representative_images=x'],
     'no file matches x')])
def test_wrong_flags_of_quantization(flags, message, capsys):
  assert export_tflite.main(['--export_dir=/nowhere/e'] + flags) == 2
  assert message in capsys.readouterr().err


@pytest.mark.parametrize('tool, flag', [
    (export_tflite, '--num_representative=0'),
    (export_tensorrt, '--max_batch_size=0')])
def test_counts_are_above_0(tool, flag, capsys):
  with pytest.raises(SystemExit) as e:
    tool.main(['--export_dir=/nowhere/e', flag])
  assert e.value.code == 2
  assert 'not a whole number of at least 1' in capsys.readouterr().err


@pytest.mark.slow
def test_the_line_for_tensorrt(tmp_path, capsys):
  try:
    environment.python('tf2onnx')
  except environment.MissingError as e:
    pytest.skip(str(e))
  small_models.make(tmp_path / 'm', 'classification')
  assert export_tensorrt.main([
      '--model_dir=%s' % (tmp_path / 'm'), '--export_dir=%s' % (tmp_path / 'e'),
      '--max_batch_size=4']) == 0
  line = capsys.readouterr().out.strip().split('\n')[-1]
  assert line == (
      'trtexec --onnx=model.onnx --saveEngine=model.plan '
      '--minShapes=Placeholder:1x64x64x3 --optShapes=Placeholder:4x64x64x3 '
      '--maxShapes=Placeholder:4x64x64x3 --fp16')
  assert sorted(os.listdir(str(tmp_path / 'e'))) == [
      'build_engine.sh', 'model.json', 'model.onnx']
  script = (tmp_path / 'e' / 'build_engine.sh').read_text()
  assert script.endswith(line + '\n')


@pytest.mark.one_runtime('tf2')
def test_a_frozen_graph_and_a_row_of_the_table(tmp_path, capsys):
  small_models.make(tmp_path / 'm', 'classification')
  flags = ['--model_dir=%s' % (tmp_path / 'm')]
  assert export_frozen_graph.main(
      flags + ['--export_dir=%s' % (tmp_path / 'e'), '--batch_size=2']) == 0
  printed = capsys.readouterr().out
  assert 'probabilities' in printed and 'is exported to' in printed
  assert sorted(os.listdir(str(tmp_path / 'e'))) == [
      'frozen_graph.pb', 'model.json']
  assert export_table.main(flags + ['--header', '--targets=frozen_graph']) == 0
  row = capsys.readouterr().out.strip().split('\n')[-1]
  assert row.startswith('| classification | frozen_graph |  | yes | none | ')
