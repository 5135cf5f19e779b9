"""Tests of tools/setup_env.sh and the lock files, without installing."""

import hashlib
import os
import re
import shutil
import subprocess

import pytest

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What the script calls, besides Python, pyenv, uv and conda.
_PROGRAMS = ('awk', 'bash', 'cat', 'cut', 'dirname', 'flock', 'head', 'ls',
             'mkdir', 'rm', 'sh', 'sha256sum', 'sort', 'tail', 'uname')
_LOCKS = {'tf1': 'py37-tf115', 'tf2': 'py311-tf215'}
_OTHERS = {'docs': 'py311-docs', 'export': 'py311-export',
           'gpu': 'py311-tf215-gpu', 'tf1-mkl': 'py37-tf115-mkl'}
_COMPILER_LOCK = os.path.join('tools', 'tpu', 'requirements')


def _lock(environment):
  """Path of its lock files, relative to the clone, without the endings."""
  if environment == 'tpu':
    return _COMPILER_LOCK
  if environment in _OTHERS:
    return os.path.join('requirements', _OTHERS[environment])
  return os.path.join('requirements', _LOCKS[environment])


def _lines(text):
  """The pins of a lock file, each with its hashes in one line."""
  return [line for line in re.sub(r' \\\n +', ' ', text).split('\n')
          if line and not line.startswith('#')]


def _pins(environment):
  """[(package, version)] of an environment."""
  lines = []
  for suffix in ('-build.txt', '.txt'):
    with open(os.path.join(_ROOT, _lock(environment) + suffix)) as f:
      lines += _lines(f.read())
  return [tuple(re.match(
      r'([\w.-]+)==([\w.]+)(?: --hash=sha256:[0-9a-f]{64})+$',
      line).groups()) for line in lines]


@pytest.mark.parametrize('runtime', sorted(_LOCKS))
def test_lock_files_pin_every_package_once(runtime):
  names = [name.lower().replace('_', '-') for name, _ in _pins(runtime)]
  assert len(set(names)) == len(names)
  assert {'pip', 'setuptools', 'wheel', 'numpy', 'pycocotools', 'tqdm',
          'opencv-python-headless', 'pytest-xdist', 'ruff'} <= set(names)
  assert dict(_pins(runtime))['pytest'] == '7.4.4'


def test_runtimes_are_those_of_the_readme():
  assert dict(_pins('tf1'))['tensorflow'] == '1.15.0'
  assert dict(_pins('tf2'))['tensorflow-cpu'].startswith('2.15.')


def test_the_tpu_compiler_is_pinned_without_tensorflow():
  pins = dict(_pins('tpu'))
  assert {'pip', 'jax', 'jaxlib', 'libtpu', 'numpy'} <= set(pins)
  assert pins['jax'] == pins['jaxlib']
  assert not any('tensorflow' in name for name in pins)


def test_the_converters_are_pinned_beside_tensorflow_2():
  """Any program of the project runs there, too."""
  runtime, converters = dict(_pins('tf2')), dict(_pins('export'))
  assert len(converters) == len(_pins('export'))
  assert runtime.items() <= converters.items()
  assert set(converters) - set(runtime) == {
      'jax', 'jaxlib', 'onnx', 'onnxruntime', 'openvino', 'scipy',
      'tf2onnx'}


@pytest.fixture
def clone(tmp_path):
  """A clone without environments, in a folder with a space."""
  folder = tmp_path / 'my clone'
  (folder / 'tools').mkdir(parents=True)
  shutil.copy(os.path.join(_ROOT, 'tools', 'setup_env.sh'),
              str(folder / 'tools'))
  shutil.copytree(os.path.join(_ROOT, 'requirements'),
                  str(folder / 'requirements'))
  (folder / 'tools' / 'tpu').mkdir()
  for suffix in ('-build.txt', '.txt'):
    shutil.copy(os.path.join(_ROOT, _COMPILER_LOCK + suffix),
                str(folder / 'tools' / 'tpu'))
  (folder / 'programs').mkdir()
  for name in _PROGRAMS:
    if shutil.which(name):
      (folder / 'programs' / name).symlink_to(shutil.which(name))
  return folder


def _set_up(clone, *arguments, **environment):
  """Runs the script on a machine without any Python; PATH is extended."""
  environment = dict({'HOME': str(clone),
                      'PYENV_ROOT': str(clone / 'pyenv')}, **environment)
  environment['PATH'] = '%s:%s' % (environment.get('PATH', '/nowhere'),
                                   clone / 'programs')
  return subprocess.run(
      ['bash', str(clone / 'tools' / 'setup_env.sh')] + list(arguments),
      env=environment, capture_output=True, text=True)


def _program(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text('#!/bin/sh\n%s\n' % text)
  path.chmod(0o755)


def _complete_environment(clone, runtime):
  """An environment that the script must take for complete."""
  content = ''.join(
      (clone / (_lock(runtime) + suffix)).read_text()
      for suffix in ('-build.txt', '.txt'))
  _program(clone / ('.venv-' + runtime) / 'bin' / 'python', 'exit 0')
  (clone / ('.venv-' + runtime) / '.complete').write_text(
      hashlib.sha256(content.encode()).hexdigest() + '\n')


@pytest.mark.parametrize('runtime', sorted(_LOCKS) + [
    'docs', 'export', 'gpu', 'tf1-mkl', 'tpu'])
def test_complete_environment_is_left_alone(clone, runtime):
  _complete_environment(clone, runtime)
  result = _set_up(clone, runtime)
  assert (result.returncode, result.stdout) == (0, '.venv-%s\n' % runtime)
  assert not result.stderr


def test_falls_back_to_tf2_in_one_line(clone):
  """No Python 3.7 anywhere."""
  _complete_environment(clone, 'tf2')
  result = _set_up(clone)
  assert (result.returncode, result.stdout) == (0, '.venv-tf2\n')
  assert result.stderr == ('setup: no Python 3.7 here, so TensorFlow 2.15 is '
                           'used (RUNTIME=tf2).\n')


def test_a_python_3_7_of_pyenv_makes_tf1_the_default(clone):
  _program(clone / 'pyenv' / 'versions' / '3.7.16' / 'bin' / 'python',
           'exit 0')
  _complete_environment(clone, 'tf1')
  result = _set_up(clone)
  assert (result.returncode, result.stdout) == (0, '.venv-tf1\n')


def test_changed_lock_file_builds_again(clone):
  """The old environment goes, and the new one is not taken for complete."""
  _complete_environment(clone, 'tf1')
  with open(str(clone / 'requirements' / 'py37-tf115.txt'), 'a') as f:
    f.write('more==1.0\n')
  _program(clone / 'bin' / 'python3.7', 'if [ "$1" = -c ]; then exit 0; fi\n'
           'echo "no venv today" >&2; exit 1')
  result = _set_up(clone, 'tf1', PATH=str(clone / 'bin'))
  assert result.returncode == 1 and not result.stdout
  assert 'no venv today' in result.stderr
  assert not (clone / '.venv-tf1').exists()


@pytest.mark.parametrize('arguments, environment, message', [
    (['tf3'], {}, "RUNTIME is 'tf3'; it can be tf1 or tf2."),
    (['tf2-mkl'], {}, 'BUILD=mkl needs RUNTIME=tf1.'),
    (['tf1-mkl'], {}, 'no Python 3.7 found on PATH, with pyenv, uv or conda.'),
    (['tf1'], {}, 'no Python 3.7 found on PATH, with pyenv, uv or conda.'),
    (['tf2'], {'PYTHON': '/bin/false'}, 'PYTHON=/bin/false is not a Python '
     '3.11 with the modules venv and ensurepip.'),
])
def test_errors_say_what_to_do(clone, arguments, environment, message):
  result = _set_up(clone, *arguments, **environment)
  assert result.returncode != 0 and not result.stdout
  assert message in result.stderr


def test_packages_for_tpu_vms_are_those_of_tf2_without_tensorflow():
  """TPU VMs bring it; what Python 3.10 cannot have is older."""
  pins = {}
  for name in ('py310-tf215-tpu', 'py311-tf215'):
    with open(os.path.join(_ROOT, 'requirements', name + '.txt')) as f:
      pins[name] = dict(re.findall(r'(?m)^([\w.-]+)==(\S+)', f.read()))
  ours, other = pins['py310-tf215-tpu'], pins['py311-tf215']
  assert set(other) - set(ours) == {'tensorflow-cpu'}
  assert set(ours) - set(other) == {'async-timeout', 'exceptiongroup', 'tomli'}
  for name in ('numpy', 'protobuf', 'keras', 'tensorflow-estimator',
               'opencv-python-headless', 'pycocotools'):
    assert ours[name] == other[name]


def test_the_packages_for_gpus_are_those_of_tf2():
  runtime, gpu = dict(_pins('tf2')), dict(_pins('gpu'))
  assert gpu.pop('tensorflow') == runtime.pop('tensorflow-cpu')
  assert runtime.items() <= gpu.items()
  assert all(name.startswith('nvidia-') for name in set(gpu) - set(runtime))


def test_intels_build_is_all_that_differs_from_tf1():
  runtime, mkl = dict(_pins('tf1')), dict(_pins('tf1-mkl'))
  assert runtime.pop('tensorflow') == '1.15.0'
  assert mkl.pop('intel-tensorflow') == '1.15.2'
  assert mkl == runtime


def test_nothing_is_pinned_that_nothing_needs():
  for environment in ('tf1', 'tf2', 'export', 'gpu'):
    assert not {'lvis', 'Cython'} & set(dict(_pins(environment)))


def test_the_profiler_is_one_that_tf1_can_import():
  assert dict(_pins('tf1'))['cloud-tpu-profiler'] == '1.15.0'
