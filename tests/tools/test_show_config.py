"""python -m tools.show_config as a user runs it."""

import os
import subprocess
import sys

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))


def _run(*arguments):
  """(exit status, stdout, stderr)."""
  process = subprocess.Popen(
      [sys.executable, '-m', 'tools.show_config'] + list(arguments), cwd=ROOT,
      stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
  out, err = process.communicate()
  return process.returncode, out, err


def test_yaml_alone_on_stdout_notes_on_stderr():
  status, out, err = _run('--model=shapemask',
                          '--params_override=train.total_steps=7')
  assert status == 0
  config = yaml.safe_load(out)
  assert config['type'] == 'shapemask'
  assert config['train']['total_steps'] == 7
  assert {'fpn', 'nasfpn', 'spinenet', 'resnet'} <= set(config)
  assert 'Note: ' in err and 'Note' not in out


def test_model_comes_from_the_file():
  status, out, err = _run(
      '--config_file=configs/experiments/spinenet/spinenet49_mrcnn.yaml')
  assert (status, err) == (0, '')
  assert yaml.safe_load(out)['type'] == 'mask_rcnn'


def test_an_error_is_one_message_without_a_trace():
  status, out, err = _run('--model=retinanet',
                          '--params_override=train.total_step=7')
  assert status != 0
  assert out == ''
  assert err == ("Error: --params_override: unknown key 'train.total_step'; "
                 "did you mean 'train.total_steps'?\n")


def test_unknown_model():
  status, out, err = _run('--model=vild')
  assert status != 0 and out == ''
  assert 'not built yet' in err and 'Traceback' not in err


def test_help_is_for_newcomers():
  _, out, err = _run('--help')
  for part in ('--config_file', '--model', '--params_override',
               'python -m tools.show_config'):
    assert part in out + err
