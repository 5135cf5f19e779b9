"""Tests of tools/env.py."""

import subprocess
import sys

import pytest

from tools import env
from utils import version

_T4 = env.Gpu('Tesla T4', 7.5)
_A100 = env.Gpu('NVIDIA A100', 8.0)


@pytest.mark.parametrize('gpus, version, has_cuda, visible, hidden, expected', [
    ([], '1.15.0', True, 0, None, []),
    ([_T4], '1.15.0', True, 1, None, []),
    ([_A100], '2.15.1', True, 1, None, []),
    ([_A100], '1.15.0', True, 1, None, ['compute capability 8.0']),
    ([_A100], '2.15.1', False, 0, None, ['CPU build']),
    ([_T4], '1.15.0', True, 0, None, ['lists 0 of 1 GPUs']),
    ([_T4], '1.15.0', True, 0, '', ["CUDA_VISIBLE_DEVICES is ''"]),
    ([env.Gpu('old driver', None)], '1.15.0', True, 1, None, []),
])
def test_gpu_problems(gpus, version, has_cuda, visible, hidden, expected):
  problems = env.gpu_problems(gpus, version, has_cuda, visible, hidden)
  assert len(problems) == len(expected)
  assert all(e in p for e, p in zip(expected, problems))


def test_packages_that_differ_from_the_lock_file(tmp_path):
  (tmp_path / 'lock-build.txt').write_text('# first\npip==1.0\n')
  (tmp_path / 'lock.txt').write_text('numpy==1.18.5\nopt_einsum==3.3.0\n')
  path = str(tmp_path / 'lock')
  right = {'pip': '1.0', 'numpy': '1.18.5', 'opt-einsum': '3.3.0'}
  assert not env.package_problems(path, right)
  problem, = env.package_problems(path, {'pip': '1.0', 'numpy': '1.21.0'})
  assert 'numpy 1.21.0 (1.18.5), opt_einsum is missing (3.3.0).' in problem


def test_command():
  output = subprocess.check_output([sys.executable, '-m', 'tools.env'],
                                   universal_newlines=True)
  lines = output.splitlines()
  assert lines[0] == 'Version %s of this code' % version.VERSION
  assert lines[1].startswith('Python 3.')
  assert 'tensorflow' in output and 'CPU: ' in output and 'GPU: ' in output
