"""The environment of the converters, beside those of the two runtimes."""

import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
FOLDER = '.venv-export'


class MissingError(ValueError):
  """A program that an export needs is not installed."""


def python(package: str) -> str:
  """The interpreter that has a converter.

  Args:
    package: name of its module, such as 'tf2onnx'.

  Returns:
    Path of a Python: this one if it has the package.

  Raises:
    MissingError: saying what installs it.
  """
  if importlib.util.find_spec(package):
    return sys.executable
  path = os.path.join(ROOT, FOLDER, 'bin', 'python')
  if not os.path.exists(path):
    raise MissingError(
        "%s is not installed here and there is no %s: 'make export-env' "
        'installs the converters in an environment next to this one.' % (
            package, FOLDER))
  return path
