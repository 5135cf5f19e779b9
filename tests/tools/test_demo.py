"""Tests of tools/demo.py."""

import os
import re
import subprocess
import sys

from absl import flags
from absl.testing import flagsaver
import pytest

from dataloader import file_patterns
from dataloader import record_files
from executor import job_config
import main
from tools import create_shape_priors
from tools import demo
from tools import make_demo_data
from tools import make_report
from tools.inference import arguments as infer_arguments
from tools.inference import sources
from utils import label_map

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_MODELS = sorted(name[:-len('.yaml')] for name in os.listdir(
    os.path.join(_ROOT, 'configs', 'experiments', 'demo')))

# Where the records of other models than detectors are.
_RECORDS = {'classification': ('classification_data', '%s/%s-*'),
            'segmentation': ('segmentation_data', '%s-*.tfrecord')}


def _resolve(arguments):
  """Configuration of a command line of main.py."""
  with flagsaver.flagsaver():
    flags.FLAGS.unparse_flags()
    assert flags.FLAGS(arguments) == ['main.py']
    values = main._given_flags()
    config, _ = job_config.resolve(values, values.mode)
    return config, values.mode


@pytest.mark.parametrize('model', _MODELS)
def test_commands_of_main(model, tmp_path):
  """They parse, and train on the records that are made."""
  *make, train, evaluate, report, _ = demo.commands(model, str(tmp_path))
  assert make[0][:2] == ['-m', 'tools.make_demo_data']
  assert report[:2] == ['-m', 'tools.make_report']
  data, pattern = _RECORDS.get(model, ('data', '%s-*.tfrecord'))
  config, mode = _resolve(train)
  assert mode == 'train' and model.startswith(config.type)
  assert config.train.train_file_pattern == str(
      tmp_path / data / (pattern % (('train',) * pattern.count('%'))))
  assert config.model_dir == str(tmp_path / model)
  config, mode = _resolve(evaluate)
  assert mode == 'eval' and '--eval_once' in evaluate
  name = 'validation' if model == 'classification' else 'val'
  assert config.eval.eval_file_pattern == str(
      tmp_path / data / (pattern % ((name,) * pattern.count('%'))))


@pytest.mark.slow
@pytest.mark.parametrize('model', sorted(_RECORDS))
def test_commands_make_what_is_read(model, tmp_path):
  """At a small size: the images, their records, and names of the classes."""
  *make, train, _, _, infer = demo.commands(model, str(tmp_path))
  for arguments in make:
    arguments = [re.sub('(num_train|num_val)=.*', r'\g<1>=6', argument)
                 for argument in arguments]
    subprocess.run([sys.executable] + arguments, cwd=_ROOT, check=True)
  config, _ = _resolve(train)
  for pattern in (config.train.train_file_pattern,
                  config.eval.eval_file_pattern):
    files = file_patterns.expand(pattern, 'a key')
    assert record_files.count_records(files) == 6
  found, _ = sources.find(_infer_arguments(infer).input)
  assert len(found) == 6
  names = label_map.read_label_map(config.eval.label_map)
  assert max(names) == config.architecture.num_classes - 1


def test_command_of_the_data(tmp_path, monkeypatch):
  made = []
  monkeypatch.setattr(make_demo_data, 'make_split',
                      lambda folder, split, *_: made.append((folder, split)))
  monkeypatch.setattr(sys, 'argv',
                      demo.commands('retinanet', str(tmp_path))[0][1:])
  make_demo_data.main()
  assert made == [(str(tmp_path / 'data'), split) for split in ('train', 'val')]


@pytest.mark.parametrize('name, kind, classes', [
    ('shapemask', '--num_classes=7', None),
    ('shapemask_partial', '--class_agnostic', [3, 4, 5, 6])])
def test_command_of_the_shape_priors(name, kind, classes, tmp_path):
  """They are made where the training looks, of no mask that is hidden."""
  commands = demo.commands(name, str(tmp_path))
  command = commands[1]
  assert command[:2] == ['-m', 'tools.create_shape_priors'] and kind in command
  arguments = create_shape_priors.parse_arguments(command[2:])
  assert arguments.input_file_pattern == str(tmp_path / 'data' /
                                             'train-*.tfrecord')
  assert arguments.classes == classes
  for main_command in commands[2:4]:
    config, _ = _resolve(main_command)
    assert config.shapemask_head.shape_prior_path == arguments.output
    assert config.shapemask_head.mask_crop_size == arguments.mask_crop_size


def test_hidden_classes_of_the_demo_are_scored_apart(tmp_path):
  config, _ = _resolve(demo.commands('shapemask_partial', str(tmp_path))[2])
  shown = set(config.shapemask_parser.mask_train_class)
  assert shown | set(config.eval.mask_eval_class) == set(range(1, 7))
  assert not shown & set(config.eval.mask_eval_class)
  assert not config.shapemask_head.use_category_for_mask


def _infer_arguments(command):
  assert command[:2] == ['-m', 'tools.infer']
  return infer_arguments.parse(command[2:], '')


@pytest.mark.parametrize('model', _MODELS)
def test_command_of_the_drawn_images(model, tmp_path):
  *_, train, _, _, infer = demo.commands(model, str(tmp_path))
  arguments = _infer_arguments(infer)
  config, _ = _resolve(train)
  assert arguments.model_dir == config.model_dir
  assert arguments.output == config.model_dir + '/seen'
  if not config.eval.label_map:
    # Beside the records.
    assert arguments.label_map == str(tmp_path / 'data' / 'val-label_map.csv')


def test_command_of_the_report(tmp_path, monkeypatch):
  monkeypatch.setattr(make_report, 'build_page', lambda *_: 'page')
  monkeypatch.setattr(sys, 'argv',
                      demo.commands('retinanet', str(tmp_path))[3][1:])
  make_report.main()
  assert (tmp_path / 'retinanet' / 'report.html').read_text() == 'page'


@pytest.fixture(name='codes')
def _codes(monkeypatch):
  """Exit codes of the commands by what they contain; filled by a test."""
  codes, called = {}, []

  def call(command):
    assert command[0] == sys.executable
    called.append(command[1:])
    return max([c for part, c in codes.items() if part in command] or [0])
  monkeypatch.setattr(subprocess, 'call', call)
  codes['called'] = 0
  return codes, called


def test_commands_are_printed_and_run(codes, capsys):
  demo.run('retinanet', 'demo')
  lines = capsys.readouterr().out.split('\n')
  assert [line for line in lines if line.startswith('$ ')] == [
      '$ python ' + ' '.join(command)
      for command in demo.commands('retinanet', 'demo')]
  assert codes[1] == demo.commands('retinanet', 'demo')
  assert re.match(r'The demo took \d+\.\d minutes\.', lines[-2])


def test_a_failing_command_ends_the_demo(codes):
  codes[0]['--mode=train'] = 4
  printed = []
  with pytest.raises(SystemExit) as error:
    demo.run('retinanet', 'demo', printed.append)
  assert error.value.code == 4
  assert len(codes[1]) == 2
  assert 'continues where it stopped' in printed[-1]


def test_folders_with_blanks_can_be_copied(codes, capsys):
  demo.run('retinanet', 'my demo')
  assert "'--model_dir=my demo/retinanet'" in capsys.readouterr().out


def test_choice_of_models(codes, monkeypatch, capsys):
  """Every file of configs/experiments/demo, and nothing else."""
  for model in _MODELS:
    monkeypatch.setattr(sys, 'argv', ['demo', '--model=' + model])
    demo.main()
    assert '--model_dir=demo/' + model in codes[1][-4]
  monkeypatch.setattr(sys, 'argv', ['demo', '--model=vild'])
  with pytest.raises(SystemExit):
    demo.main()
  assert 'invalid choice' in capsys.readouterr().err


def test_make_runs_it():
  output = subprocess.check_output(
      ['make', '-n', 'demo', 'MODEL=retinanet'], cwd=_ROOT,
      universal_newlines=True)
  assert '-m tools.demo --model=retinanet' in output
