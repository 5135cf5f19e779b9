"""Means over replicas and their gradients, on virtual devices."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.framework import tensor_util
from tensorflow.python.tpu import tpu_function

from ops import replicas


def _on_replicas(function, values):
  """Results of `function(value)` of each replica, one value for each."""
  strategy = tf.distribute.MirroredStrategy(
      ['/cpu:%d' % i for i in range(len(values))])
  with strategy.scope():
    def step():
      replica = tf.distribute.get_replica_context()
      return function(tf.gather(tf.constant(values),
                                replica.replica_id_in_sync_group))
    results = strategy.extended.call_for_each_replica(step)
    results = [strategy.experimental_local_results(r) for r in results]
  with tf.Session(config=tf.ConfigProto(
      device_count={'CPU': len(values)})) as session:
    return session.run(results)


@pytest.mark.parametrize('number', [2, 4])
def test_mean_and_its_gradient(number):
  """Loss of replica i: (i + 1) * mean ** 2; of all: sum(i + 1) * mean ** 2."""
  values = np.arange(number, dtype=np.float32) * 3. + 1.

  def step(x):
    mean = replicas.mean(x)
    number_here = tf.distribute.get_replica_context().replica_id_in_sync_group
    loss = tf.cast(number_here + 1, tf.float32) * mean ** 2
    return mean, tf.gradients(loss, x)[0]

  means, gradients = _on_replicas(step, values)
  np.testing.assert_allclose(means, [values.mean()] * number)
  total = sum(range(1, number + 1))
  np.testing.assert_allclose(
      gradients, [total * 2. * values.mean() / number] * number, rtol=1e-6)


def test_sums():
  def step(x):
    return replicas.sums([x, 2. * x]) + [tf.constant(replicas.count())]
  first, second, count = _on_replicas(step, np.float32([1., 5.]))
  assert list(first) == [6., 6.] and list(second) == [12., 12.]
  assert list(count) == [2, 2]


def test_one_replica():
  x = tf.constant([1., 2.])
  assert replicas.mean(x) is x and replicas.count() == 1
  with tf.Session() as session:
    assert session.run(replicas.index()) == 0


def test_index():
  indices, = _on_replicas(lambda _: [replicas.index()], np.zeros(3))
  assert list(indices) == [0, 1, 2]


# Builds, on the second of two workers, and does not connect to the other one.
_WORKER = """
import tensorflow.compat.v1 as tf
from ops import compat
from ops import replicas
compat.enable_graph_mode()
strategy = tf.distribute.experimental.MultiWorkerMirroredStrategy()
def step():
  with tf.device(None):
    return replicas.index()
with strategy.scope():
  index = strategy.extended.call_for_each_replica(step)
graph = tf.Graph()
with graph.as_default():
  tf.import_graph_def(tf.graph_util.extract_sub_graph(
      index.graph.as_graph_def(), [index.op.name]), name='')
for node in graph.get_operations():
  node._set_device('')
print('index', tf.Session(graph=graph).run(index.name))
"""


def test_index_on_another_worker():
  environment = dict(os.environ, TF_CONFIG=json.dumps({
      'cluster': {'worker': ['localhost:1', 'localhost:2']},
      'task': {'type': 'worker', 'index': 1}}))
  output = subprocess.check_output(
      [sys.executable, '-c', _WORKER], env=environment,
      universal_newlines=True, stderr=subprocess.STDOUT)
  assert 'index 1' in output


def test_the_mean_over_tpu_cores_is_their_sum_divided():
  """As far as a CPU can tell: the operation itself runs on a TPU only."""
  with tpu_function.tpu_shard_context(4):
    result = replicas.mean(tf.ones([2]))
  total, divisor = result.op.inputs
  assert result.op.type == 'RealDiv'
  assert total.op.type == 'CrossReplicaSum'
  assert tensor_util.constant_value(divisor) == 4
