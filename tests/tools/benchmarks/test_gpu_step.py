"""The figures, and a small program where the converters are installed."""

import json
import os
import subprocess

import numpy as np
import pytest

from tests import docs_blocks
from tools.benchmarks import gpu_step

_PYTHON = os.path.join(docs_blocks.ROOT, '.venv-export', 'bin', 'python')
_PROGRAM = """
import sys, jax, jax.numpy as jnp
jax.config.update('jax_enable_x64', True)
step = jax.jit(lambda x, i: (x @ x, i + 1))
values = jnp.ones((64, 64), jnp.float32), jnp.int64(3)
text = step.lower(*values).compiler_ir('hlo')
open(sys.argv[1], 'wb').write(text.as_serialized_hlo_module_proto())
"""


def test_arguments_are_made_up():
  random = np.random.RandomState(0)
  values = gpu_step.made_up([3, 4], np.dtype('float32'), random)
  assert values.shape == (3, 4) and values.dtype == np.float32
  assert values.min() > 0  # a variance
  assert not gpu_step.made_up([2], np.dtype('int32'), random).any()
  assert gpu_step.made_up([], np.dtype('bool'), random).dtype == np.bool_


def test_the_roofline_beside_the_time():
  # 312 TFLOPS and 1555 GB/s: 10 ms and 4 ms.
  found = {'device': 'a GPU', 'compile_seconds': 2., 'seconds': .02,
           'least_seconds': .019, 'flops': 3.12e12, 'moved_bytes': 6.22e9,
           'argument_bytes': 1e9}
  assert gpu_step.lines(found, 'a100')[-1] == (
      'roofline of a100: 10.00 ms by computing; the step reaches 50 %')
  assert len(gpu_step.lines(found, None)) == 2


def test_a_folder_without_a_program(tmp_path):
  with pytest.raises(SystemExit, match='tools.tpu_check --module'):
    gpu_step.main([str(tmp_path)])


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists(_PYTHON),
                    reason="'make export-env' installs jax")
def test_a_program_is_timed_on_the_cpu(tmp_path):
  environment = dict(os.environ, JAX_PLATFORMS='cpu')
  subprocess.run([_PYTHON, '-c', _PROGRAM, str(tmp_path / 'hlo.pb')],
                 env=environment, check=True)
  subprocess.run(
      [_PYTHON, '-m', 'tools.benchmarks.gpu_step', str(tmp_path),
       '--platform=cpu', '--repeats=3', '--json=%s' % (tmp_path / 'f.json')],
      env=environment, cwd=docs_blocks.ROOT, check=True)
  found = json.loads((tmp_path / 'f.json').read_text())
  assert found['flops'] >= 2 * 64 ** 3 and found['argument_bytes'] == 16392
  assert 0 < found['least_seconds'] <= found['seconds']
