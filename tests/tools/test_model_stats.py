"""Tests of tools/model_stats.py."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from configs import factory
from modeling import statistics
from tools import model_stats

_SMALL = ('resnet.resnet_depth=10,fpn.fpn_feat_dims=8,'
          'retinanet_head.num_filters=8,retinanet_head.num_convs=1,'
          'retinanet_parser.output_size=[128,250]')


@pytest.fixture(name='small', scope='module')
def _small(tmp_path_factory):
  """(content of the JSON file, Statistics of the same model)."""
  path = tmp_path_factory.mktemp('stats') / 'new' / 'stats.json'
  model_stats.main(['--model=retinanet', '--params_override=' + _SMALL,
                    '--output=%s' % path])
  config, _ = factory.load_config('retinanet', None, _SMALL)
  return json.loads(path.read_text()), statistics.model_statistics(config)


@pytest.mark.one_runtime('tf1')
def test_file(small):
  content, stats = small
  assert set(content) == {'params', 'flops', 'variables'}
  assert content == json.loads(json.dumps(stats._asdict()))
  for variable in content['variables']:
    assert set(variable) == {'name', 'shape', 'trainable'}


def test_parameters_are_those_of_the_variables(small):
  content, _ = small
  assert content['params'] == sum(
      int(np.prod(v['shape'])) for v in content['variables'] if v['trainable'])
  names = [v['name'] for v in content['variables']]
  assert len(set(names)) == len(names) and 'global_step' not in names
  assert not all(v['trainable'] for v in content['variables'])


def test_flops_follow_the_input_size(small):
  """Twice the pixels, twice the multiply-adds, but for what is fixed."""
  content, _ = small
  config, _ = factory.load_config(
      'retinanet', None, _SMALL.replace('[128,250]', '[128,512]'))
  larger = statistics.model_statistics(config)
  assert larger.params == content['params']
  assert larger.flops == pytest.approx(2 * content['flops'], rel=.01)


def test_table(capsys):
  """Scopes that add up, and the padded size that is counted for."""
  model_stats.main(['--params_override=' + _SMALL])
  lines = capsys.readouterr().out.split('\n')
  assert lines[0] == 'retinanet, 128 x 256 pixels'
  rows = {line.split()[0]: line.split()[1:] for line in lines
          if re.match(r'\S+ +\d+ +[\d,]+$', line)}
  assert {'resnet10', 'fpn', 'retinanet', 'all'} <= set(rows)
  for column in (0, 1):
    numbers = {name: int(row[column].replace(',', ''))
               for name, row in rows.items()}
    assert numbers.pop('all') == sum(numbers.values())
  assert re.match(r'\d\.\d{3} M trainable parameters', lines[-3])
  assert re.match(r'\d+\.\d{3} B multiply-adds for one image', lines[-2])


def test_configuration_says_the_model(capsys):
  """--model is not needed where the file sets `type`."""
  model_stats.main(['--config_file=configs/experiments/demo/retinanet.yaml'])
  assert capsys.readouterr().out.startswith('retinanet, 192 x 192 pixels')


@pytest.mark.parametrize('arguments, message', [
    (['--params_override=resnet.resnet_dept=10'], "unknown key "
     "'resnet.resnet_dept'; did you mean 'resnet.resnet_depth'"),
    (['--params_override=resnet.resnet_depth=ten'], 'resnet.resnet_depth'),
    (['--model=vild'], 'not built yet'),
    (['--config_file=/none.yaml'], '/none.yaml'),
    (['--params_override=' + _SMALL, '--output=/dev/null/stats.json'],
     '/dev/null'),
])
def test_wrong_input_is_one_message(arguments, message):
  with pytest.raises(SystemExit) as error:
    model_stats.main(arguments)
  assert error.value.code.startswith('Error: ') and message in error.value.code


def test_help_is_for_newcomers():
  """Before TensorFlow is loaded."""
  root = os.path.dirname(os.path.dirname(os.path.dirname(
      os.path.abspath(__file__))))
  output = subprocess.check_output(
      [sys.executable, '-X', 'importtime', '-m', 'tools.model_stats', '--help'],
      cwd=root, stderr=subprocess.STDOUT, universal_newlines=True)
  for part in ('python -m tools.model_stats', '--config_file', '--output',
               'multiply-adds'):
    assert part in output
  assert 'tensorflow' not in output.replace('TensorFlow', '')
