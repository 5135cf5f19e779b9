"""The TPUs that the compiler knows, and what they can do at best.

A device is what one program runs on: a core of v2 to v4, a chip later. Figures
are Google's for a chip (cloud.google.com/tpu/docs, system architecture),
divided by the devices of it.
"""

import collections

# topology: name of the smallest slice. devices_per_chip: int. teraflops: peak
# of the matrix units in bfloat16, 1e12 a second. hbm_gib: memory, 2**30 bytes.
# gigabytes_per_second: its bandwidth, 1e9 bytes. All of one chip.
Chip = collections.namedtuple(
    'Chip', 'topology devices_per_chip teraflops hbm_gib gigabytes_per_second')

# By the kind of device that the compiler reports.
CHIPS = {
    'TPU v2': Chip('v2:2x2', 2, 45., 16., 700.),
    'TPU v3': Chip('v3:2x2', 2, 123., 32., 900.),
    'TPU v4': Chip('v4:2x2x1', 2, 275., 32., 1200.),
    'TPU v5 lite': Chip('v5e:2x2', 1, 197., 16., 819.),
    'TPU v5': Chip('v5p:2x2x1', 1, 459., 95., 2765.),
    'TPU v6 lite': Chip('v6e:2x2', 1, 918., 32., 1640.),
}

TOPOLOGIES = tuple(chip.topology for chip in CHIPS.values())


def hbm_bytes(kind):
  """Memory of one device, bytes."""
  chip = CHIPS[kind]
  return chip.hbm_gib * 2**30 / chip.devices_per_chip


def roofline(kind, flops, num_bytes):
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


def ridge(kind):
  """FLOP for each byte above which a device waits for computing."""
  chip = CHIPS[kind]
  return chip.teraflops * 1e3 / chip.gigabytes_per_second
