"""What TPU slices and GPU hosts can do at best, for plans on paper.

Peaks and memory of TPUs are those of tools.tpu.chips; the memory of a v4 core
is half of a chip's. Links: v2 and v3 from Jouppi et al., CACM 63 (2020), v4
from Jouppi et al., ISCA 2023, table 4; v5e, v5p and v6e from
cloud.google.com/tpu/docs, whose figures for a chip are the sum of both
directions of all links. Hosts: vCPUs of the TPU VM of this kind, two to a core;
v5e and v6e as in slices of several hosts, with four chips. GPUs: NVIDIA's data
sheets of the V100 SXM2, A100 SXM4 40 GB and H100 SXM5 (dense, half precision)
and of DGX-1, DGX A100 and DGX H100.
"""

from typing import Dict, NamedTuple, Tuple

from tools.tpu import chips


class Machine(NamedTuple):
  """One kind of chip, its links and its host.

  Attributes:
    devices_per_chip: what a program sees as one: cores of TPUs up to v4.
    teraflops: peak of a chip in half precision, 1e12 a second.
    gigabytes_per_second: bandwidth of the memory of a chip, 1e9 bytes.
    memory_gib: memory of a device, 2**30 bytes.
    link_gigabytes_per_second: rate of a TPU's link to one neighbour, in one
      direction; of all NVLinks of a GPU, in one direction.
    wraps_from: a dimension of a slice with so many chips is a ring. 0: GPUs,
      whose rings NCCL makes.
    chips_per_host: GPUs or TPU chips.
    host_cores: processor cores of a host.
    network_gigabytes_per_second: rate of a host's network, in one direction;
      0: the links lead to other hosts, too.
  """
  devices_per_chip: int
  teraflops: float
  gigabytes_per_second: float
  memory_gib: float
  link_gigabytes_per_second: float
  wraps_from: int
  chips_per_host: int
  host_cores: int
  network_gigabytes_per_second: float = 0.


def _tpu(kind, link, wraps_from, host_cores):
  chip = chips.CHIPS[kind]
  return Machine(chip.devices_per_chip, chip.teraflops,
                 chip.gigabytes_per_second, chip.hbm_gib, link, wraps_from, 4,
                 host_cores)


# Whole Pods of v2, v3, v5e and v6e are rings in both dimensions; v4 and v5p
# are made of cubes of four, whose outer sides are connected by switches.
MACHINES: Dict[str, Machine] = {
    'v2': _tpu('TPU v2', 62., 16, 48),
    'v3': _tpu('TPU v3', 82., 32, 48),
    'v4': _tpu('TPU v4', 50., 4, 120),
    'v5e': _tpu('TPU v5 lite', 50., 16, 56),
    'v5p': _tpu('TPU v5', 100., 4, 104),
    'v6e': _tpu('TPU v6 lite', 112., 16, 90),
    'v100': Machine(1, 125., 900., 16., 150., 0, 8, 40, 50.),
    'a100': Machine(1, 312., 1555., 40., 300., 0, 8, 128, 200.),
    'h100': Machine(1, 989., 3350., 80., 450., 0, 8, 112, 400.),
}


class Slice(NamedTuple):
  """Chips that train together.

  Attributes:
    name: such as 'v3:8x8'.
    machine: the kind of all of them.
    shape: numbers of chips; one of GPUs.
  """
  name: str
  machine: Machine
  shape: Tuple[int, ...]

  @property
  def chips(self) -> int:
    count = 1
    for size in self.shape:
      count *= size
    return count

  @property
  def devices(self) -> int:
    return self.chips * self.machine.devices_per_chip

  @property
  def hosts(self) -> int:
    return -(-self.chips // self.machine.chips_per_host)


def parse(topology: str) -> Slice:
  """The slice of a name.

  Args:
    topology: 'v3:8x8', chips by chips, as the TPU compiler names slices; or
      'a100:16', GPUs.

  Returns:
    Slice.

  Raises:
    ValueError: saying what is wrong and how names look.
  """
  kind, _, sizes = topology.partition(':')
  if kind not in MACHINES:
    raise ValueError(
        '--topology=%s: there is no machine %r; there are %s.' % (
            topology, kind, ', '.join(MACHINES)))
  machine = MACHINES[kind]
  example = ('%s:16, a number of GPUs' if not machine.wraps_from else
             '%s:8x8, chips by chips')
  try:
    shape = tuple(int(size) for size in sizes.split('x'))
  except ValueError:
    shape = ()
  if not shape or min(shape) < 1 or (not machine.wraps_from
                                     and len(shape) > 1):
    raise ValueError('--topology=%s is not of the form %s.' % (
        topology, example % kind))
  return Slice(topology, machine, shape)


def resized(plan: Slice, devices: int) -> Slice:
  """A slice of the same machines with another number of devices.

  Args:
    plan: Slice.
    devices: int, a power of two, at least those of a chip.

  Returns:
    Slice, as close to a square or cube as powers of two are.
  """
  shape = [1] * len(plan.shape)
  while _product(shape) * plan.machine.devices_per_chip < devices:
    shape[shape.index(min(shape))] *= 2
  shape = tuple(sorted(shape))
  kind = plan.name.partition(':')[0]
  return Slice('%s:%s' % (kind, 'x'.join(map(str, shape))), plan.machine, shape)


def _product(sizes):
  count = 1
  for size in sizes:
    count *= size
  return count
