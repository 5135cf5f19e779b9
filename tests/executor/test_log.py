"""The console shows our lines and the framework's warnings."""

import subprocess
import sys


def _stderr(verbose):
  program = (
      'from executor import log\n'
      'log.set_up(%s)\n'
      'import logging\n'
      'import tensorflow.compat.v1 as tf\n'
      'tf.logging.info("a line of ours")\n'
      'logging.getLogger("evaluation").warning("a warning of ours")\n'
      'tf.disable_resource_variables()\n'  # Is deprecated.
      % verbose)
  return subprocess.run([sys.executable, '-c', program], check=True,
                        stderr=subprocess.PIPE).stderr.decode()


def test_quiet():
  lines = _stderr(False).splitlines()
  assert len(lines) == 2, lines
  assert lines[0].endswith(' I a line of ours')
  assert lines[1].endswith(' W a warning of ours')


def test_verbose():
  lines = _stderr(True)
  assert 'a line of ours' in lines and 'is deprecated' in lines
