"""What hides the differences between the two TensorFlows."""

import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from ops import compat


def test_the_version():
  assert compat.IS_TF2 == (int(tf.__version__.split('.')[0]) == 2)


def test_graph_mode_has_graphs_and_resource_variables():
  compat.enable_graph_mode()
  assert not tf.executing_eagerly()
  variable = tf.get_variable('x', [])
  assert variable.dtype == tf.float32  # not a reference: float32_ref
  assert variable.op.type == 'VarHandleOp'


def _suppress(boxes, scores, size, iou_threshold, score_threshold):
  indices, count = compat.non_max_suppression_padded(
      tf.constant(boxes, tf.float32), tf.constant(scores, tf.float32), size,
      iou_threshold, score_threshold)
  with tf.Session() as session:
    return session.run([indices, count])


# The second box covers half of the first: IoU 1/2. The third is far away.
BOXES = [[0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]]


@pytest.mark.parametrize('iou_threshold,score_threshold,expected', [
    (.49, 0., [2, 0]),       # 1 overlaps 0 by more
    (.51, 0., [2, 0, 1]),    # by less
    (.49, .6, [2]), (.49, .7, [2]), (.49, .95, [])])
def test_suppression_by_hand(iou_threshold, score_threshold, expected):
  indices, count = _suppress(BOXES, [.6, .5, .9], 5, iou_threshold,
                             score_threshold)
  assert count == len(expected)
  assert indices.shape == (5,)
  assert indices[:count].tolist() == expected


def test_suppression_is_one_kernel():
  """Not the loop of small operations that tf.image has on TF 2."""
  _suppress(BOXES, [.6, .5, .9], 5, .5, 0.)
  types = {op.type for op in tf.get_default_graph().get_operations()}
  assert types == {'Const', 'NonMaxSuppressionV4'}


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
