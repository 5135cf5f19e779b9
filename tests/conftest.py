"""Test set-up: graph mode, quiet TensorFlow, a fresh graph for every test.

Also which tests one runtime runs for both, see the marker `one_runtime`.
"""

import gc
import logging
import os
import sys

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')
# What XLA compiles runs once. On TF 1.15 it also compiles each convolution in
# bfloat16, for which CPUs have no kernel: a tenth of the time.
os.environ.setdefault('XLA_FLAGS', '--xla_backend_optimization_level=0')

import pytest  # noqa: E402

from tests import runtimes  # noqa: E402

# As the environments are called: Python 3.7 is that of TensorFlow 1.15.
RUNTIME = 'tf2' if sys.version_info >= (3, 8) else 'tf1'
# A graph is many thousands of small objects, all of them reachable until the
# test ends: looking for garbage among them as often as Python does by itself
# costs a tenth of the time of the tests.
gc.set_threshold(100000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
  """What the other runtime runs is a slow test in this one."""
  del config
  if runtimes.EVERY_CASE in os.environ:
    return
  for item in items:
    marker = item.get_closest_marker('one_runtime')
    if marker and marker.args != (RUNTIME,):
      item.add_marker('slow')


def pytest_make_parametrize_id(config, val, argname):
  """Names tests of bytes by their number.

  Serialized records order their keys differently in every process, while all
  processes of pytest-xdist must find tests of the same names.
  """
  del config
  return '%s of %d bytes' % (argname, len(val)) if isinstance(
      val, bytes) else None


@pytest.fixture(autouse=True, scope='session')
def _graph_mode():
  """As every program begins; fixtures of modules come before `fresh_graph`."""
  from ops import compat  # after the environment is set
  compat.enable_graph_mode()


@pytest.fixture(autouse=True)
def fresh_graph():
  """Every test starts from an empty default graph."""
  import tensorflow.compat.v1 as tf  # Tests of plain Python stay light.

  from ops import compat
  compat.enable_graph_mode()  # A test may have changed it.
  tf.logging.set_verbosity(tf.logging.ERROR)
  tf.reset_default_graph()
  yield
  tf.reset_default_graph()


@pytest.fixture(autouse=True)
def _own_log_handlers():
  """A program within a test logs to that test's stderr, not to the next one's.

  executor.log gives the root logger a handler, whose stream is closed when the
  test has ended; what the next one logged would be an error of its own.
  """
  root = logging.getLogger()
  handlers = root.handlers[:]
  yield
  root.handlers[:] = handlers


@pytest.fixture(name='unoptimized')
def _unoptimized():
  """Sessions without settings of their own run graphs as they are written.

  To rewrite a graph takes longer than to run it a few times, and a session
  does so again for all that it is asked for.
  """
  from tensorflow.compat.v2 import config  # Tests of plain Python stay light.

  config.optimizer.set_experimental_options({'disable_meta_optimizer': True})
  yield
  config.optimizer.set_experimental_options({'disable_meta_optimizer': False})
