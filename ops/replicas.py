"""Sums and means over the replicas of a training run, with gradients.

Replicas are the cores of a TPU, or what a distribution strategy makes of GPUs
and hosts. The functions are called in each replica, in the same order.
"""

from typing import List, Sequence

import tensorflow.compat.v1 as tf

from ops import compat

_GRADIENT = 'MeanOverReplicas'  # name in TensorFlow's registry


def count() -> int:
  """How many replicas the graph being built will run on."""
  return max(compat.num_tpu_shards(),
             tf.distribute.get_replica_context().num_replicas_in_sync)


def index() -> tf.Tensor:
  """Which of the replicas this is, int32 []; 0 where there is one."""
  if compat.in_tpu_context():
    return compat.tpu_shard_index()
  return compat.index_in_strategy()


def sums(tensors: Sequence[tf.Tensor]) -> List[tf.Tensor]:
  """Sums tensors over the replicas of a distribution strategy.

  No gradient flows through it. (ReplicaContext.all_reduce of TF 1.15 fails on
  gradients, that of TF 2.15 where variables are involved.)

  Args:
    tensors: list of [...], of the same shapes in each replica.

  Returns:
    List of [...], the same in each replica.
  """
  replica = tf.distribute.get_replica_context()
  with tf.device(_full_name):
    tensors = [tf.identity(t) for t in tensors]
  return list(replica.merge_call(_batch_reduce, args=tuple(tensors)))


def _full_name(operation):
  """The device of an operation; TF 1.15 leaves the type of a host's CPU out."""
  if tf.DeviceSpec.from_string(operation.device).device_type is None:
    return '/device:CPU:0'
  return operation.device


def _batch_reduce(strategy, *values):
  return strategy.extended.batch_reduce_to(
      tf.distribute.ReduceOp.SUM, [(v, v) for v in values])


def mean(x: tf.Tensor) -> tf.Tensor:
  """The mean of a tensor over the replicas, any number of them.

  Args:
    x: [...], floating type, of the same shape in each replica.

  Returns:
    [...], the mean, the same in each replica. A change of x in one replica
    changes it in all, and so its gradient is the mean of theirs.
  """
  num_shards = compat.num_tpu_shards()
  if num_shards > 1:
    return tf.tpu.cross_replica_sum(x) / num_shards
  if count() == 1:
    return x
  total, = sums([x])
  with tf.get_default_graph().gradient_override_map(
      {'IdentityN': _GRADIENT}):
    result, _ = tf.identity_n([tf.stop_gradient(total) / count(), x])
  return result


@tf.RegisterGradient(_GRADIENT)
def _mean_gradient(op, of_mean, of_x):
  """Bypasses the operations of the strategy, which have no gradient."""
  del op, of_x
  total, = sums([of_mean])
  return None, total / count()
