"""Prints versions and devices, and what will not work here and why.

  python -m tools.env
"""

import argparse
import glob
import os
import platform
import re
import subprocess
import sys
from typing import List, Mapping, NamedTuple, Optional, Sequence

from ops import tensorflow_later as tf
from utils import packages
from utils import processors
from utils import version as version_lib

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# 3.10 is what TPU VMs of TF 2.15 bring.
_LOCKS = {(3, 7): 'py37-tf115', (3, 10): 'py310-tf215-tpu',
          (3, 11): 'py311-tf215'}
_INTEL = 'intel-tensorflow'
_SHOWN = ('tensorflow', 'tensorflow-cpu', _INTEL, 'numpy', 'protobuf',
          'pycocotools', 'opencv-python-headless', 'Pillow', 'PyYAML')
# CUDA 10.0, with which TF 1.15 is built, ends at the Turing generation.
_TF1_MAX_CAPABILITY = 7.5
_DRIVER = '/proc/driver/nvidia'


class Gpu(NamedTuple):
  """A graphics processor.

  Attributes:
    name: name that the driver gives.
    capability: None if the driver is too old to report it.
  """
  name: str
  capability: Optional[float]


def installed_gpus() -> List[Gpu]:
  """[Gpu] of the NVIDIA driver, whether or not TensorFlow can use them."""
  try:
    output = subprocess.check_output(
        ['nvidia-smi', '--query-gpu=name,compute_cap', '--format=csv,noheader'],
        stderr=subprocess.DEVNULL, universal_newlines=True)
    return [Gpu(name.strip(), float(capability)) for name, capability in (
        line.rsplit(',', 1) for line in output.splitlines() if ',' in line)]
  except (OSError, subprocess.CalledProcessError, ValueError):
    pass
  gpus = []
  for path in sorted(glob.glob(_DRIVER + '/gpus/*/information')):
    with open(path) as f:
      model = re.search(r'Model:\s*(.*)', f.read())
    gpus.append(Gpu(model.group(1) if model else 'NVIDIA GPU', None))
  return gpus


def gpu_problems(
    gpus: Sequence[Gpu], tf_version: str, has_cuda: bool, num_visible: int,
    hidden_by: Optional[str] = os.environ.get('CUDA_VISIBLE_DEVICES')
) -> List[str]:
  """Sentences about GPUs that TensorFlow will not use.

  Args:
    gpus: [Gpu] of the machine.
    tf_version: str.
    has_cuda: whether this build of TensorFlow supports GPUs.
    num_visible: number of GPUs that TensorFlow lists.
    hidden_by: value of CUDA_VISIBLE_DEVICES, None if it is not set.

  Returns:
    [str].
  """
  if not gpus:
    return []
  if not has_cuda:
    return ['This machine has a GPU (%s), but this is the CPU build of '
            'TensorFlow: see "Train on GPUs" in docs/getting_started.md.'
            % gpus[0].name]
  problems = []
  if tf_version.startswith('1.'):
    problems = [
        '%s has compute capability %.1f. TensorFlow 1.15 is built with CUDA '
        '10.0, which drives GPUs up to %.1f: use RUNTIME=tf2 with its GPU '
        'build.' % (gpu.name, gpu.capability, _TF1_MAX_CAPABILITY)
        for gpu in gpus
        if gpu.capability and gpu.capability > _TF1_MAX_CAPABILITY]
  if hidden_by is not None:
    problems.append('CUDA_VISIBLE_DEVICES is %r; other GPUs are hidden.'
                    % hidden_by)
  elif num_visible < len(gpus) and not problems:
    problems.append(
        'TensorFlow lists %d of %d GPUs. Usually a CUDA library is missing; '
        'with TF_CPP_MIN_LOG_LEVEL=0 it shows which.' % (num_visible,
                                                        len(gpus)))
  return problems


def package_problems(lock_path: str, installed: Mapping[str, str]) -> List[str]:
  """Sentences about packages that are not those of the lock file.

  Args:
    lock_path: the path of the file without .txt.
    installed: {name as packages.normalized has it: version}.

  Returns:
    [str].
  """
  differing = []
  for path in (lock_path + '-build.txt', lock_path + '.txt'):
    with open(path) as f:
      pins = re.findall(r'(?m)^([\w.-]+)==(\S+)', f.read())
    for name, version in pins:
      found = installed.get(packages.normalized(name))
      if found != version:
        differing.append('%s %s (%s)' % (name, found or 'is missing', version))
  if not differing:
    return []
  return ['These packages are not those of requirements/%s.txt, with which '
          'the tests pass: %s.' % (os.path.basename(lock_path),
                                   ', '.join(differing))]


def _tpu_problems(installed):
  """What is in the way of a TPU that is named, not addressed."""
  if 'google-api-python-client' in installed or (
      'cloud-tpu-client' in installed):
    return []
  return ['A Cloud TPU is reached by its address '
          '(--tpu=grpc://10.240.1.2:8470). By name (--tpu=my-tpu) it needs '
          'more packages: pip install "google-api-python-client<2" '
          'oauth2client.']


def report() -> List[str]:
  """Everything that is printed.

  Returns:
    [str].
  """
  os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
  installed = {packages.normalized(name): version
               for name, version in packages.installed().items()}
  python = sys.version_info[:2]
  lines = ['Version %s of this code' % version_lib.VERSION,
           'Python %s (%s)' % (platform.python_version(), sys.executable),
           ', '.join('%s %s' % (name, installed[name.lower()])
                     for name in _SHOWN if name.lower() in installed),
           'CPU: %d cores, %s' % (processors.available(), platform.machine())]
  gpus = installed_gpus()
  visible = tf.config.experimental.list_physical_devices('GPU')
  lines.append('GPU: %s' % (', '.join(g.name for g in gpus) or 'none'))
  lines.append('TPU: %s' % os.environ.get(
      'TPU_NAME', 'none named in TPU_NAME; --tpu names one'))
  problems = gpu_problems(gpus, tf.VERSION, tf.test.is_built_with_cuda(),
                          len(visible))
  if python in _LOCKS:
    build = '-mkl' if _INTEL in installed else ''
    problems += package_problems(
        os.path.join(_ROOT, 'requirements', _LOCKS[python] + build), installed)
  else:
    problems.append('Python %d.%d has not been tried; 3.7, 3.10 and 3.11 have.'
                    % python)
  problems += _tpu_problems(installed)
  return lines + ['', 'What to know:'] + ['- ' + p for p in problems]


def main() -> None:
  argparse.ArgumentParser(
      description='Prints versions and devices, and what will not work here '
      'and why.').parse_args()
  print('\n'.join(report()))


if __name__ == '__main__':
  main()
