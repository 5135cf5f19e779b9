"""The program: what it prints, what it exits with."""

import json
import sys

import pytest

from tests.modeling import test_labels_spec
from tools import tpu_check
from tools.tpu import check as checks
from tools.tpu import comparison
from tools.tpu import environments

_LOWERS = {'missing': {}, 'dynamic': [], 'custom_calls': {},
           'instructions': 1234, 'infeed_bytes': 10, 'folder': 'nowhere'}
_GB = 10**9


@pytest.fixture
def arguments(tmp_path):
  config = tmp_path / 'config.yaml'
  config.write_text(json.dumps(dict(test_labels_spec.SMALL['retinanet'],
                                    type='retinanet')))
  return ['--config_file=%s' % config, '--json=%s' % (tmp_path / 'out.json')]


def _results(tmp_path):
  return json.loads((tmp_path / 'out.json').read_text())


def _pretend_to_lower(monkeypatch, **changes):
  monkeypatch.setattr(
      checks.Check, 'lower',
      lambda self, job, batch, wants_module=False: dict(_LOWERS, **changes))


def _pretend_to_compile(monkeypatch, fixed, each, limit):
  """A program needs `fixed` + batch * `each` bytes and must not pass a limit.
  """
  def compile_for(self, found, topology, batch, text=False):
    result = {'device': 'TPU v3', 'topology': topology, 'replicas': 1,
              'partitions': 1,
              'batch': batch, 'seconds': 1.,
              'program': {'instructions': 3, 'moved_bytes': 5,
                          'padding_bytes': 0, 'heaviest': []}}
    needed = fixed + batch * each
    if needed > limit:
      return dict(result, error='RESOURCE_EXHAUSTED: too large')
    result.update(
        cost={'flops': 1e12, 'bytes': 1e10},
        memory={'needed': needed, 'arguments': 1, 'temporaries': 1, 'code': 1},
        figures={
            'needed_bytes': needed, 'available_bytes': limit, 'fits': True,
            'flops': 1e12, 'moved_bytes': 1e10, 'flops_per_byte': 100.,
            'ridge_flops_per_byte': 137., 'computing_seconds': .016,
            'traffic_seconds': .022, 'roofline_seconds': .022,
            'infeed_bytes': 10})
    return result
  monkeypatch.setattr(checks.Check, 'compile', compile_for)


def test_a_step_that_lowers_is_ready(arguments, monkeypatch, tmp_path, capsys):
  _pretend_to_lower(monkeypatch)
  assert tpu_check.main(arguments) == 0
  assert 'train    lowers: 1234 instructions' in capsys.readouterr().out
  assert _results(tmp_path)['ready']
  # 64 images for eight cores.
  assert _results(tmp_path)['batch'] == 8


def test_cores_that_share_images_have_one_batch(arguments, monkeypatch,
                                                tmp_path):
  _pretend_to_lower(monkeypatch)
  shared = ('{train: {num_cores_per_replica: 4, '
            'input_partition_dims: [[1, 4, 1, 1]]}}')
  assert tpu_check.main(arguments + ['--params_override=' + shared]) == 0
  assert _results(tmp_path)['batch'] == 32


def test_a_missing_lowering_is_exit_code_1(arguments, monkeypatch, tmp_path,
                                           capsys):
  _pretend_to_lower(monkeypatch, missing={'AsString': ['a/b']})
  assert tpu_check.main(arguments + ['--job=train']) == 1
  assert 'AsString has no XLA lowering: a/b' in capsys.readouterr().out
  assert list(_results(tmp_path)['lowering']) == ['train']


def test_losses_that_differ_are_exit_code_1(arguments, monkeypatch, capsys):
  _pretend_to_lower(monkeypatch)
  lines = [comparison.Line('cls_loss', 1., 2., .5)]
  monkeypatch.setattr(comparison, 'compare', lambda *args: lines)
  assert tpu_check.main(arguments + ['--run']) == 1
  assert 'above' in capsys.readouterr().out


@pytest.mark.parametrize('limit,expected,attempts', [
    (16 * _GB, 30, [8, 16, 30]),
    # 16 is refused, so a smaller one tells how memory grows.
    (8 * _GB, 14, [8, 16, 4, 14]),
    (4.9 * _GB, 7, [])])
def test_the_largest_batch(arguments, monkeypatch, tmp_path, limit, expected,
                           attempts):
  _pretend_to_lower(monkeypatch)
  _pretend_to_compile(monkeypatch, _GB, _GB // 2, limit)
  code = tpu_check.main(arguments + ['--topology=v3:2x2', '--largest_batch'])
  programs = _results(tmp_path)['programs']
  if not attempts:  # not even the configured batch
    assert code == 1 and 'error' in programs[0]
    return
  assert code == 0
  assert [program['batch'] for program in programs] == attempts
  assert programs[0]['largest_batch'] == expected


def test_the_step_of_a_prediction_is_compiled(arguments, monkeypatch, tmp_path):
  jobs = []
  def lower(self, job, batch, wants_module=False):
    jobs.append((job, batch, wants_module))
    return _LOWERS
  monkeypatch.setattr(checks.Check, 'lower', lower)
  _pretend_to_compile(monkeypatch, _GB, _GB // 2, 16 * _GB)
  options = ['--topology=v3:2x2', '--largest_batch', '--job=predict']
  assert tpu_check.main(arguments + options) == 0
  assert jobs == [('predict', 8, True), ('predict', 16, True),
                  ('predict', 30, True)]
  programs = _results(tmp_path)['programs']
  assert {program['job'] for program in programs} == {'predict'}


def test_what_cannot_be_run_is_exit_code_2(arguments, monkeypatch, capsys):
  def fail(*args, **kwargs):
    raise environments.ToolError('no bridge')
  monkeypatch.setattr(checks.Check, 'lower', fail)
  assert tpu_check.main(arguments) == 2
  assert capsys.readouterr().err == 'Error: no bridge\n'


def test_a_wrong_configuration_is_exit_code_2(capsys):
  assert tpu_check.main(['--model=no_such_model']) == 2
  assert 'no_such_model' in capsys.readouterr().err


def test_failures_of_a_program_are_shown(tmp_path):
  with pytest.raises(environments.ToolError, match='(?s)ended with 1.*hlo.pb'):
    environments.compile_for(str(tmp_path), 'v3:2x2', sys.executable)
