"""The TPUs that the compiler knows, and what they can do at best.

A device is what one program runs on: a core of v2 to v4, a chip later. Speeds
are Google's for a chip (cloud.google.com/tpu/docs, system architecture). The
memory is what the compiler lets a program have, as its refusal of one that was
too large said (libtpu 0.0.42.1): a little less than is there.
"""

from typing import NamedTuple, Tuple


class Chip(NamedTuple):
  """A kind of chip.

  Attributes:
    topology: name of the smallest slice.
    devices_per_chip: that a program sees.
    hbm_gib: memory of a device, 2**30 bytes.
    teraflops: peak of the matrix units of a chip in bfloat16, 1e12 a second.
    gigabytes_per_second: bandwidth of its memory, 1e9 bytes.
  """
  topology: str
  devices_per_chip: int
  hbm_gib: float
  teraflops: float
  gigabytes_per_second: float


# By the kind of device that the compiler reports.
CHIPS = {
    'TPU v2': Chip('v2:2x2', 2, 7.48, 45., 700.),
    'TPU v3': Chip('v3:2x2', 2, 15.48, 123., 900.),
    'TPU v4': Chip('v4:2x2x1', 2, 15.25, 275., 1200.),
    'TPU v5 lite': Chip('v5e:2x2', 1, 15.75, 197., 819.),
    'TPU v5': Chip('v5p:2x2x1', 1, 95.74, 459., 2765.),
    'TPU v6 lite': Chip('v6e:2x2', 1, 31.25, 918., 1640.),
}

TOPOLOGIES = tuple(chip.topology for chip in CHIPS.values())


def hbm_bytes(kind: str) -> float:
  """Memory of one device that a program can have, bytes."""
  return CHIPS[kind].hbm_gib * 2**30


def roofline(kind: str, flops: float, num_bytes: float) -> Tuple[float, float]:
  """The shortest time that a device could take, if nothing else held it up.

  Args:
    kind: key of CHIPS.
    flops: float, floating point operations.
    num_bytes: float, read from and written to memory.

  Returns:
    Seconds of computing and seconds of memory traffic; the larger one counts.

  Source: the roofline model, Williams et al., CACM 52 (2009).
  """
  chip = CHIPS[kind]
  per_chip = float(chip.devices_per_chip)
  return (flops / (chip.teraflops * 1e12 / per_chip),
          num_bytes / (chip.gigabytes_per_second * 1e9 / per_chip))


def ridge(kind: str) -> float:
  """FLOP for each byte above which a device waits for computing."""
  chip = CHIPS[kind]
  return chip.teraflops * 1e3 / chip.gigabytes_per_second
