"""What the XLA bridge of TensorFlow 2.15 can make a program of."""

import functools
from typing import Dict, List, Sequence

import tensorflow.compat.v1 as tf
from tensorflow.python.framework import kernels

from serving.targets import graph_files


def without_lowering(
    graph: tf.GraphDef,
    replaced: Sequence[str] = ('Placeholder',)) -> Dict[str, List[str]]:
  """Which operations XLA cannot compile.

  Args:
    graph: GraphDef.
    replaced: types of operations that others stand in for.

  Returns:
    {type: [names]}.
  """
  _register_kernels()
  functions = {f.signature.name for f in graph.library.function}
  missing = {}
  for name, node in graph_files.operations(graph):
    if node.op not in replaced and node.op not in functions and (
        not _has_kernel(node.op)):
      missing.setdefault(node.op, []).append(name)
  return missing


def _register_kernels():
  """The bridge registers its kernels when it is first used."""
  identity = tf.function(lambda x: x, jit_compile=True)
  identity.experimental_get_compiler_ir(tf.constant(0.))(stage='hlo')


@functools.lru_cache(maxsize=None)
def _has_kernel(kind):
  return any(kernel.device_type == 'XLA_CPU_JIT' for kernel in
             kernels.get_registered_kernels_for_op(kind).kernel)
