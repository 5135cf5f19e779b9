"""What a program says in a Python without the packages of the project."""

import subprocess
import sys

import pytest

from tests import docs_blocks


def _stderr(program):
  """Of a process that fails, with nothing installed."""
  process = subprocess.run(
      [sys.executable, '-S', '-c', program], cwd=docs_blocks.ROOT,
      capture_output=True, text=True)
  assert process.returncode == 1
  return process.stderr


@pytest.mark.one_runtime('tf2')
@pytest.mark.parametrize('program, package', [
    ('import tools\nimport numpy', 'numpy'), ('import main', 'absl')])
def test_a_program_without_an_environment(program, package):
  message = _stderr(program)
  assert message.startswith('Error: %s has no package %s.' % (sys.executable,
                                                              package))
  assert 'source .venv-tf2/bin/activate' in message
  assert 'Traceback' not in message


@pytest.mark.one_runtime('tf2')
@pytest.mark.parametrize('program, words', [
    ('import onnx_of_a_tool', 'No module named'),
    ('1 / 0', 'ZeroDivisionError')])
def test_other_errors_keep_their_traceback(program, words):
  message = _stderr('import tools\n' + program)
  assert 'Traceback' in message and words in message
