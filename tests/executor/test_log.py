"""The console shows our lines and the framework's warnings."""

import subprocess
import sys

import pytest


def _stderr(verbose):
  return _stderr_of(
      'from executor import log\n'
      'log.set_up(%s)\n' % verbose)


def _stderr_of(beginning):
  """What is on the console after lines of ours and a deprecated function."""
  program = (
      beginning +
      'import logging\n'
      'import tensorflow.compat.v1 as tf\n'
      'tf.logging.info("a line of ours")\n'
      'logging.getLogger("evaluation").warning("a warning of ours")\n'
      'tf.disable_resource_variables()\n')  # Is deprecated.
  return subprocess.run([sys.executable, '-c', program], check=True,
                        stderr=subprocess.PIPE).stderr.decode()


def test_quiet():
  lines = _stderr(False).splitlines()
  assert len(lines) == 2, lines
  assert lines[0].endswith(' I a line of ours')
  assert lines[1].endswith(' W a warning of ours')


def test_tools_print_nothing_of_tensorflow():
  # Tools that do not set up the log, with TensorFlow's own handler.
  lines = _stderr_of(
      'import tools\n'
      'import tensorflow.compat.v1 as tf\n'
      'tf.logging.set_verbosity(tf.logging.INFO)\n'
      'from tensorflow.python.training import saver\n'
      'saver.logging.info("Restoring parameters")\n'
      'code = compile("saver.logging.info(\'Chatter\')", saver.__file__, '
      '"exec")\n'
      'exec(code)\n')
  assert 'a warning of ours' in lines and 'a line of ours' in lines
  assert 'Restoring parameters' in lines  # of this program, not TensorFlow's
  assert 'deprecated' not in lines and 'Chatter' not in lines


@pytest.mark.one_runtime('tf1')
def test_verbose():
  lines = _stderr(True)
  assert 'a line of ours' in lines and 'is deprecated' in lines
