"""Number formats of a network, and which one a device computes fastest in."""

from typing import NamedTuple

from ops import compat
from utils import processors

FLOAT32, BFLOAT16, FLOAT16, AUTO = 'float32', 'bfloat16', 'float16', 'auto'
# Cores for products in float16 came with Volta, bfloat16 with Ampere.
MIN_GPU_CAPABILITY = {FLOAT16: 7.0, BFLOAT16: 8.0}


class Choice(NamedTuple):
  """A number format.

  Attributes:
    name: FLOAT32, BFLOAT16 or FLOAT16.
    reason: words that follow 'auto: NAME, '; '' where nothing was chosen.
  """
  name: str
  reason: str


def resolve(wanted: str, use_tpu: bool = False) -> Choice:
  """The number format of a key's value.

  Args:
    wanted: one of the four; AUTO is the fastest format in which models trained
      here have learned as much as in float32: BFLOAT16 or FLOAT32.
    use_tpu: bool, whether a TPU computes.

  Returns:
    Choice; the same on all hosts whose devices are alike.
  """
  if wanted != AUTO:
    return Choice(wanted, '')
  if use_tpu:
    return Choice(BFLOAT16, 'the number format of a TPU')
  capabilities = compat.gpu_capabilities()
  if capabilities:
    least = MIN_GPU_CAPABILITY[BFLOAT16]
    if compat.HAS_BFLOAT16_ON_GPUS and all(
        c is not None and c >= least for c in capabilities):
      return Choice(BFLOAT16, 'for which the GPUs here have tensor cores')
    return Choice(FLOAT32, 'because bfloat16 needs GPUs of compute capability '
                  '%.1f or more and TensorFlow 2' % least)
  if not compat.HAS_BFLOAT16_ON_CPUS:
    return Choice(FLOAT32, 'because TensorFlow %s has no fast bfloat16 on CPUs '
                  'here (oneDNN)' % compat.VERSION)
  if processors.has_bfloat16_products():
    return Choice(BFLOAT16, 'for which this processor has matrix units (AMX)')
  # With AVX-512's instructions for bfloat16 alone, a training step took 1.4
  # times as long as in float32, and without them 3.5 times.
  return Choice(FLOAT32, 'because this processor has no matrix units for '
                'bfloat16 (AMX)')
