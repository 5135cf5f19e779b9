"""Networks whose weights differ a little from those of their checkpoint."""

import numpy as np
import tensorflow.compat.v1 as tf

from serving.targets import network_graph


def instead(monkeypatch, factor):
  """Every network that is built from here on has one layer scaled.

  Args:
    monkeypatch: pytest's.
    factor: float, of its largest array.
  """
  build = network_graph.build

  def perturbed(*arguments):
    network = build(*arguments)
    weights = [node for node in network.graph.node if node.op == 'Const'
               and node.attr['dtype'].type == tf.float32.as_datatype_enum]
    largest = max(weights, key=lambda node: node.ByteSize())
    value = tf.make_ndarray(largest.attr['value'].tensor) * np.float32(factor)
    largest.attr['value'].tensor.CopyFrom(tf.make_tensor_proto(value))
    return network
  monkeypatch.setattr(network_graph, 'build', perturbed)
