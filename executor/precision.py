"""Number formats of a job, and compilation on CPU and GPUs.

Training on a TPU needs little of it: there `architecture.use_bfloat16` decides,
and XLA compiles everything.
"""

import os
from typing import Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import base
from configs import precisions
from executor import devices
from executor import errors
from ops import compat
from ops import number_formats

# Cores for products in float16 came with Volta, bfloat16 with Ampere.
_MIN_CAPABILITY = {precisions.FLOAT16: 7.0, precisions.BFLOAT16: 8.0}
_XLA_ON_CPU = '--tf_xla_cpu_global_jit'


def session_config(config: base.Config) -> tf.ConfigProto:
  """How sessions of training and evaluation run.

  Args:
    config: experiment; of `train`, `mixed_precision` and `use_xla` are read.

  Returns:
    tf.ConfigProto.
  """
  proto = tf.ConfigProto(allow_soft_placement=True,
                         isolate_session_state=config.isolate_session_state)
  options = proto.graph_options
  if config.train.mixed_precision == precisions.FLOAT16:
    # Grappler casts what is safe in float16, on GPUs only.
    options.rewrite_options.auto_mixed_precision = options.rewrite_options.ON
  if config.train.use_xla:
    _use_xla_on_cpu()
    options.optimizer_options.global_jit_level = tf.OptimizerOptions.ON_1
  if not devices.gpu_names():
    # A second pass over RetinaNet's graph changes five of 4,400 operations and
    # takes a tenth of the time to the first step. On GPUs it removes transposes
    # between layouts.
    options.rewrite_options.meta_optimizer_iterations = 1
    # Estimates the memory of each graph, and on a CPU changes nothing.
    options.rewrite_options.memory_optimization = (
        options.rewrite_options.NO_MEM_OPT)
  return proto


def _use_xla_on_cpu():
  """Without this flag, XLA compiles what runs on GPUs and leaves out CPUs.

  TensorFlow reads the variable when it compiles the first graph.
  """
  flags = os.environ.get('TF_XLA_FLAGS', '')
  if _XLA_ON_CPU not in flags:
    os.environ['TF_XLA_FLAGS'] = (flags + ' ' + _XLA_ON_CPU).strip()


def for_evaluation(config: base.Config) -> base.Config:
  """The experiment with the number format of evaluation and prediction.

  One rule for all modes and devices: `eval.precision`, which is float32 unless
  it is set. Only training is partitioned.

  Args:
    config: experiment, of any mode.

  Returns:
    The experiment with the keys that the graph, the reader and the session
    read.
  """
  wanted = evaluation_format(config).name
  is_mixed = wanted != precisions.FLOAT32 and not config.use_tpu
  return base.override(config, {
      'architecture': {'use_bfloat16': wanted == precisions.BFLOAT16},
      'train': {'mixed_precision': wanted if is_mixed else None,
                'input_partition_dims': None, 'num_cores_per_replica': None}})


def evaluation_format(config: base.Config) -> number_formats.Choice:
  """The number format of evaluation and prediction, on this machine."""
  return number_formats.resolve(config.eval.precision, config.use_tpu)


def describe_evaluation(config: base.Config) -> str:
  """A sentence about the number format of evaluation and prediction."""
  choice = evaluation_format(config)
  return 'Evaluation and prediction compute in %s (eval.precision%s).' % (
      choice.name, choice.reason and ': auto, ' + choice.reason)


def check_evaluation(
    config: base.Config, gpus: Optional[Sequence[str]] = None,
    capabilities: Optional[Sequence[Optional[float]]] = None) -> None:
  """Checks that evaluation can use `eval.precision`.

  Args:
    config: experiment.
    gpus: see `check`.
    capabilities: see `check`.

  Raises:
    errors.SetupError: saying what is missing.
  """
  if config.use_tpu and config.eval.precision == precisions.FLOAT16:
    raise errors.SetupError(
        'eval.precision is float16, which a TPU does not compute: set it to '
        'float32 or bfloat16.')
  check(for_evaluation(config), gpus, capabilities, 'eval.precision')


def check(config: base.Config, gpus: Optional[Sequence[str]] = None,
          capabilities: Optional[Sequence[Optional[float]]] = None,
          key: str = 'train.mixed_precision') -> None:
  """Checks that a job can use the number format of the configuration.

  Args:
    config: experiment; `train.mixed_precision` is read, whose `auto` is
      resolved before (executor.job_config).
    gpus: [device name] instead of those that TensorFlow sees.
    capabilities: [float] of the GPUs, instead of asking; None where unknown.
    key: the configuration key that set it, for the message.

  Raises:
    errors.SetupError: saying what is missing.
  """
  wanted = config.train.mixed_precision
  none = 'null' if key == 'train.mixed_precision' else 'float32'
  if not wanted or config.use_tpu:
    return
  gpus = devices.gpu_names() if gpus is None else gpus
  if not gpus:
    if wanted == precisions.FLOAT16:
      raise errors.SetupError(
          '%s is float16, which only GPUs compute, and TensorFlow sees none '
          '(`python -m tools.env` reports why). Set it to %s, or to bfloat16 '
          'to compute on a CPU in the number format of a TPU.' % (key, none))
    return
  if wanted == precisions.BFLOAT16 and not compat.HAS_BFLOAT16_ON_GPUS:
    raise errors.SetupError(
        '%s is bfloat16, which this TensorFlow cannot compute on GPUs: set it '
        'to float16, or use RUNTIME=tf2.' % key)
  capabilities = (compat.gpu_capabilities() if capabilities is None
                  else capabilities)
  old = [c for c in capabilities if c and c < _MIN_CAPABILITY[wanted]]
  if old:
    raise errors.SetupError(
        '%s is %s, which needs GPUs of compute capability %.1f or more; one '
        'here has %.1f. Set it to %s.' % (
            key, wanted, _MIN_CAPABILITY[wanted], min(old),
            precisions.FLOAT16
            if min(old) >= _MIN_CAPABILITY[precisions.FLOAT16] else none))
