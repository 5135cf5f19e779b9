"""Test set-up: graph mode, quiet TensorFlow, a fresh graph for every test."""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
os.environ.setdefault('CUDA_VISIBLE_DEVICES', '')

import pytest  # noqa: E402


def pytest_make_parametrize_id(config, val, argname):
  """Names tests of bytes by their number.

  Serialized records order their keys differently in every process, while all
  processes of pytest-xdist must find tests of the same names.
  """
  del config
  return '%s of %d bytes' % (argname, len(val)) if isinstance(
      val, bytes) else None


@pytest.fixture(autouse=True)
def fresh_graph():
  """Every test starts from an empty default graph."""
  import tensorflow.compat.v1 as tf  # Tests of plain Python stay light.

  from ops import compat
  compat.enable_graph_mode()
  tf.logging.set_verbosity(tf.logging.ERROR)
  tf.reset_default_graph()
  yield
  tf.reset_default_graph()
