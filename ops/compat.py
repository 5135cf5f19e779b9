"""The differences between TensorFlow 1.15 and TensorFlow 2.15 (compat.v1).

Everything else in the repository is written once, against
`tensorflow.compat.v1`. Every program and `tests/conftest.py` call
`enable_graph_mode()` before they build a graph.
"""

import contextlib
import ctypes
import os
from typing import Any, Iterator, List, Optional

import tensorflow.compat.v1 as tf
import tensorflow.compat.v2 as compat_v2
from tensorflow.compat.v2 import summary
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.python import pywrap_tensorflow
from tensorflow.python.ops import control_flow_util
from tensorflow.python.tpu import tpu_function
from tensorflow.python.util import deprecation

from utils import processors

VERSION = tf.__version__  # for records and messages
IS_TF2 = tf.__version__.startswith('2.')
# oneDNN's kernels are in every 2.15, in 1.15 only in Intel's build.
HAS_ONEDNN = IS_TF2 or pywrap_tensorflow.IsMklEnabled()
# On CPUs; see ops/convolution.py.
HAS_SLOW_CONVOLUTION_GRADIENTS = not HAS_ONEDNN
HAS_TFLITE_LOOPS = IS_TF2  # in its converter
HAS_TFLITE_EXCEPTIONS = IS_TF2  # from quantization
HAS_TPU_VMS = IS_TF2  # whose TPU is part of the machine itself
HAS_BFLOAT16_ON_GPUS = IS_TF2
# oneDNN's kernels alone use the instructions for it, and may be switched off.
HAS_BFLOAT16_ON_CPUS = IS_TF2 and os.environ.get(
    'TF_ENABLE_ONEDNN_OPTS', '1').lower() not in ('0', 'false')
# Takes the next batch into the graph of a step, on each of several devices as
# well: what hands batches over to them (MultiDeviceIteratorGetNextFromShard) is
# in a function behind it. Errors of an input name it.
NEXT_BATCH = 'IteratorGetNext'
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of malloc.h


def enable_graph_mode() -> None:
  """Graphs and sessions on both runtimes, with resource variables.

  Resource variables read a consistent value inside a step (reference variables
  may be read after their update) and are what a TPU uses anyway. Names and
  checkpoints do not depend on the kind.

  TensorFlow no longer looks for deprecated arguments, which it would warn of:
  for every operation of a graph 1.15 asks for the signature of the function
  that creates it.

  Kernels get no more threads than a limit of processor time leaves cores
  (`utils/processors.py`), unless TF_NUM_INTRAOP_THREADS is set already: of the
  options of sessions, those of the first one would count for all.
  """
  # As its context manager `silence` does for a block.
  deprecation._PRINT_DEPRECATION_WARNINGS = False  # pylint: disable=protected-access
  tf.disable_v2_behavior()
  tf.enable_resource_variables()
  threads = processors.threads()
  if threads:
    os.environ.setdefault('TF_NUM_INTRAOP_THREADS', str(threads))


def quantized_except(converter: Any, names: List[str]) -> bytes:
  """A TFLite model of 8-bit integers, some of whose operations are float32.

  Args:
    converter: tf.lite.TFLiteConverter with a representative data set.
    names: of these operations.

  Returns:
    The content of its file.
  """
  from tensorflow.lite.python import convert
  # As tf.lite.experimental.QuantizationDebugger does, which makes another model
  # to be looked into as well.
  converter._experimental_calibrate_only = True  # pylint: disable=protected-access
  return convert.mlir_quantize(converter.convert(), denylisted_nodes=names)


def keep_freed_memory() -> None:
  """Lets the process keep memory that it frees, for the next time.

  TensorFlow 1.15 gives the memory of every large tensor back to the system and
  takes new pages for the next one: a fifth of the time of an input pipeline.
  Except on Linux with glibc it changes nothing.
  """
  if IS_TF2:
    return
  try:
    mallopt = ctypes.CDLL(None).mallopt
  except (AttributeError, OSError, TypeError):
    return
  mallopt(_M_MMAP_MAX, 0)
  mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def v2_summary() -> Any:
  """The module tf.summary of TensorFlow 2, which the host call of a TPU needs.

  In TF 1.15 `tensorflow.compat.v1` does not lead to it.
  """
  return summary


def v2_profiler() -> Any:
  """The module tf.profiler.experimental of TensorFlow 2; None in TF 1.15.

  It records what all devices of this process do, the TPU of a TPU VM too.
  """
  return compat_v2.profiler.experimental if IS_TF2 else None


def in_tpu_context() -> bool:
  """Whether the graph being built will be replicated on TPU cores."""
  return tpu_function.get_tpu_context().number_of_shards is not None


def barrier(x: tf.Tensor) -> tf.Tensor:
  """`x`, beyond which XLA moves no operation.

  XLA likes to move a reshape of a sum to the parts of the sum, which a TPU then
  copies one by one.

  Args:
    x: any type [...], without a gradient, such as one in a function with a
      gradient of its own.

  Returns:
    The same values [...]; `x` itself without XLA and in TF 1.15, which has no
    such operation.
  """
  if IS_TF2 and in_xla_context():
    return xla.optimization_barrier(x)[0]
  return x


def has_gpu() -> bool:
  """Whether TensorFlow can use a GPU of this machine."""
  return bool(tf.config.experimental.list_physical_devices('GPU'))


def gpu_capabilities() -> List[Optional[float]]:
  """[compute capability as a float, or None where TensorFlow cannot tell]."""
  gpus = tf.config.experimental.list_physical_devices('GPU')
  if not IS_TF2:  # It supports no GPU for which this matters.
    return [None for _ in gpus]
  details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
  return [float('%d.%d' % d['compute_capability'])
          if 'compute_capability' in d else None for d in details]


def in_xla_context() -> bool:
  """Whether XLA will compile the complete graph being built, also for a TPU.

  XLA has no sparse operations, for instance. Clusters that XLA finds by itself
  do not count: they leave out operations that it does not have.
  """
  # A graph for the TPU compiler is built without being replicated.
  return in_tpu_context() or control_flow_util.GraphOrParentsInXlaContext(
      tf.get_default_graph())


def num_tpu_shards() -> int:
  """How many TPU replicas the graph being built will run on; 1 elsewhere."""
  return tpu_function.get_tpu_context().number_of_shards or 1


def without_trace(message: str) -> str:
  """The message of a session's error, without where its operation was made.

  Args:
    message: str, of a tf.errors.OpError. TF 2.15 begins it with a stack trace.

  Returns:
    str, of one or more lines.
  """
  lines = [line.strip() for line in message.splitlines() if line.strip()]
  for i, line in enumerate(lines[:-1]):
    if line.startswith('Node: '):
      return '\n'.join(lines[i + 1:])
  return '\n'.join(lines)


def error_reason(message: str) -> str:
  """The first line of `without_trace`.

  Args:
    message: str, of a tf.errors.OpError.

  Returns:
    str, one line.
  """
  return without_trace(message).split('\n')[0].split(' [[')[0]


def tpu_shard_index() -> tf.Tensor:
  """Which of the TPU replicas is running, int32 []."""
  if num_tpu_shards() == 1:
    return tf.zeros([], tf.int32)
  return xla.replica_id()


def index_in_strategy() -> tf.Tensor:
  """Which replica of a distribution strategy is running, int32 []."""
  replica = tf.distribute.get_replica_context()
  if replica.num_replicas_in_sync == 1:
    return tf.zeros([], tf.int32)
  number = tf.convert_to_tensor(replica.replica_id_in_sync_group, tf.int32)
  if IS_TF2:
    return number
  # TF 1.15 counts those of each worker from 0.
  extended = replica.strategy.extended
  describe = getattr(extended, '_make_input_context', None)
  if describe is None:  # There is one worker.
    return number
  return number + describe().input_pipeline_id * len(extended.worker_devices)


@contextlib.contextmanager
def functional_control_flow() -> Iterator[None]:
  """Makes functions of loops and branches.

  Converters and the XLA bridge do not read others well.
  """
  was_enabled = tf.control_flow_v2_enabled()
  tf.enable_control_flow_v2()
  try:
    yield
  finally:
    if not was_enabled:
      tf.disable_control_flow_v2()
