"""Number formats of a network, and which one a device computes fastest in."""

from typing import NamedTuple

from configs import precisions
from ops import compat
from utils import processors


class Choice(NamedTuple):
  """A number format.

  Attributes:
    name: precisions.FLOAT32, BFLOAT16 or FLOAT16.
    reason: words that follow 'auto: NAME, '; '' where nothing was chosen.
  """
  name: str
  reason: str


def resolve(wanted: str, use_tpu: bool = False) -> Choice:
  """The number format of a key's value.

  Args:
    wanted: one of the names in configs.precisions. AUTO is BFLOAT16 where that
      was measured to be faster, and models to learn as much, and FLOAT32
      elsewhere.
    use_tpu: bool, whether a TPU computes.

  Returns:
    Choice.
  """
  if wanted != precisions.AUTO:
    return Choice(wanted, '')
  if use_tpu:
    return Choice(precisions.BFLOAT16, 'the number format of a TPU')
  if compat.has_gpu():
    return Choice(precisions.FLOAT32, 'because for GPUs the choice is yours '
                  '(docs/gpu.md, Precision)')
  if not compat.HAS_BFLOAT16_ON_CPUS:
    return Choice(precisions.FLOAT32, 'because TensorFlow %s has no fast '
                  'bfloat16 on CPUs here (oneDNN)' % compat.VERSION)
  if processors.has_bfloat16_products():
    return Choice(precisions.BFLOAT16, 'for which this processor has matrix '
                  'units (AMX)')
  # With AVX-512's instructions for bfloat16 alone, a step took 1.4 times the
  # CPU time of float32, and without them 3.5 times.
  return Choice(precisions.FLOAT32, 'because this processor has no matrix '
                'units for bfloat16 (AMX)')
