"""Runs the bridge and the compiler, which need environments of their own."""

import json
import os
import subprocess
import sys
from typing import Any, Dict

from tools.tpu import compiler

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_MAX_LOG = 3000  # characters of what a failed program printed


class ToolError(Exception):
  """A part of the check could not be run; the text says what to do."""


def bridge_python(has_bridge: bool) -> str:
  """The interpreter for the bridge.

  Args:
    has_bridge: whether this one has TensorFlow 2.15.

  Returns:
    Path of a Python.

  Raises:
    ToolError: if there is none.
  """
  if has_bridge:
    return sys.executable
  return _python('.venv-tf2', "Lowering needs TensorFlow 2.15; 'make setup "
                              "RUNTIME=tf2' installs it alongside this one.")


def compiler_python() -> str:
  """The interpreter for the TPU compiler.

  Raises:
    ToolError: if there is none.
  """
  return _python('.venv-tpu', "The TPU compiler is not installed; 'make "
                 "tpu-check MODEL=...' installs it.")


def _python(environment, advice):
  path = os.path.join(ROOT, environment, 'bin', 'python')
  if not os.path.exists(path):
    raise ToolError('There is no %s. %s' % (path, advice))
  return path


def lower(step: Any, folder: str, python: str,
          wants_module: bool = False) -> Dict[str, Any]:
  """Lowers a step to HLO in another process.

  Args:
    step: Any.
    folder: for the files that pass between the programs.
    python: result of `bridge_python`.
    wants_module: whether `compile_for` is to follow.

  Returns:
    dict of tools.tpu.hlo_lowering.

  Raises:
    ToolError: if the bridge itself ends with an error.
  """
  from tools.tpu import step_files
  step_files.save(step, folder)
  _run([python, '-m', 'tools.tpu.hlo_lowering', folder] +
       (['--module'] if wants_module else []))
  return _read(os.path.join(folder, 'hlo.json'))


def compile_for(folder: str, topology: str, python: str, replicas: int = 1,
                partitions: int = 1, text: bool = False) -> Dict[str, Any]:
  """Compiles what `lower` left in a folder for a TPU, in another process.

  Args:
    folder: result of `lower`.
    topology: such as 'v3:2x2'.
    python: result of `compiler_python`.
    replicas: int.
    partitions: int, devices that share the images of a replica.
    text: whether to keep the text of the compiled program, in the folder.

  Returns:
    dict of tools.tpu.compiler.

  Raises:
    ToolError: if the compiler could not be reached.
  """
  command = [python, '-m', 'tools.tpu.compiler', folder, '--topology', topology,
             '--replicas', str(replicas), '--partitions', str(partitions)]
  _run(command + (['--text'] if text else []))
  return _read(os.path.join(folder, compiler.result_name(topology)))


def _run(command):
  environment = dict(os.environ, TF_CPP_MIN_LOG_LEVEL='3')
  done = subprocess.run(
      command, cwd=ROOT, env=environment, stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT, text=True)
  if done.returncode:
    raise ToolError('%s ended with %d:\n%s' % (
        ' '.join(command[:3]), done.returncode, done.stdout[-_MAX_LOG:]))


def _read(path):
  with open(path) as f:
    return json.load(f)
