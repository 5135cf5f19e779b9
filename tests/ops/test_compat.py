"""What hides the differences between the two TensorFlows."""

import os

import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from ops import compat
from utils import processors


def test_the_version():
  assert compat.IS_TF2 == (int(tf.__version__.split('.')[0]) == 2)


def test_graph_mode_has_graphs_and_resource_variables():
  compat.enable_graph_mode()
  assert not tf.executing_eagerly()
  variable = tf.get_variable('x', [])
  assert variable.dtype == tf.float32  # not a reference: float32_ref
  assert variable.op.type == 'VarHandleOp'


@pytest.mark.parametrize('limit, before, after', [
    (3, None, '3'), (3, '7', '7'), (0, None, None)])
def test_kernels_have_the_threads_that_a_limit_leaves(monkeypatch, limit,
                                                      before, after):
  name = 'TF_NUM_INTRAOP_THREADS'
  monkeypatch.setenv(name, before or '')  # Put back as it was in the end.
  if before is None:
    monkeypatch.delenv(name)
  monkeypatch.setattr(processors, 'threads', lambda: limit)
  compat.enable_graph_mode()
  assert os.environ.get(name) == after


def test_tpu_context():
  assert not compat.in_tpu_context() and compat.num_tpu_shards() == 1
  with tpu_function.tpu_shard_context(8):
    assert compat.in_tpu_context() and compat.num_tpu_shards() == 8
  with tpu_function.tpu_shard_context(1):
    assert compat.in_tpu_context() and compat.num_tpu_shards() == 1
  assert not compat.in_tpu_context()


def test_summaries_of_tf_2(tmp_path):
  module = compat.v2_summary()
  for name in ('create_file_writer', 'scalar', 'record_if'):
    assert callable(getattr(module, name))
  with module.create_file_writer(str(tmp_path)).as_default():
    module.scalar('x', tf.constant(1.), step=3)
  assert len(tf.summary.all_v2_summary_ops()) == 1
