"""The time of a training step on machines that are not at hand.

Every part is a bound: what computing alone, memory traffic alone, the sum of
the gradients alone and the input alone would take at the peak of the machine.
`efficiency` says which part of the first two a real program reaches; the
default is the middle of what published training runs reached, see
tools.pods.published.
"""

import dataclasses
from typing import List, NamedTuple, Optional

from tools.pods import machines

EFFICIENCY = .4
# An estimate: from one chip to the next, and from GPU to GPU, software
# included.
_LINK_SECONDS = 1e-6
_NETWORK_SECONDS = 5e-6
LIMITS = ('computing', 'memory traffic', 'network', 'input')
SCALING = (8, 16, 32, 64, 128, 256, 512, 1024)  # devices


@dataclasses.dataclass(frozen=True)
class Work:
  """What one image and one step cost.

  Attributes:
    flops: floating point operations of an image's training step.
    moved_bytes: that a device reads from and writes to its memory for an image.
    gradient_bytes: that all devices add up in a step.
    infeed_bytes: bytes of an image and its labels.
    input_ms: CPU milliseconds of a core that make them.
    record_bytes: that are read from a file for an image.
    sources: where the first two, the third and the fifth come from, sentences.
  """
  flops: float
  moved_bytes: float
  gradient_bytes: float
  infeed_bytes: float
  input_ms: float
  record_bytes: float
  sources: List[str] = dataclasses.field(default_factory=list)


class Plan(NamedTuple):
  """A training step on a slice.

  Attributes:
    topology: name of the slice.
    devices: TPU cores or chips, or GPUs.
    hosts: that feed them.
    batch: images of a step.
    images_per_host: images that a host decodes for a step.
    infeed_bytes_per_host: that it sends to its chips for a step.
    gradient_bytes_per_chip: that a chip sends in a step.
    computing, memory, network, input: seconds; of the first two at the peak.
    device: seconds of the step without input: computing or memory divided by
      the efficiency, then the network.
    step: seconds.
    images_per_second: rate of the slice.
    limit: one of LIMITS.
  """
  topology: str
  devices: int
  hosts: int
  batch: float
  images_per_host: float
  infeed_bytes_per_host: float
  gradient_bytes_per_chip: float
  computing: float
  memory: float
  network: float
  input: float
  device: float
  step: float
  images_per_second: float
  limit: str


def sent_bytes(members: int, num_bytes: float) -> float:
  """Bytes that each member of a ring sends to add up `num_bytes`.

  Args:
    members: int.
    num_bytes: float, of the gradients.

  Returns:
    float; each part goes round once to be added up and once to be known.

  Source: Patarasuk and Yuan, J. Parallel Distrib. Comput. 69 (2009).
  """
  return 2. * num_bytes * (members - 1) / members


def network_seconds(plan: machines.Slice, num_bytes: float) -> float:
  """Time in which all chips add up their gradients.

  A TPU's links are used at once: two of a dimension that is a ring, one of one
  that is not. GPUs of one host form rings of their NVLinks, those of several
  hosts rings that pass every network card once; the slower part counts.

  Args:
    plan: machines.Slice.
    num_bytes: float, of the gradients; the cores of a chip have one sum.

  Returns:
    Seconds.
  """
  machine = plan.machine
  if plan.chips == 1:
    return 0.
  sent = sent_bytes(plan.chips, num_bytes)
  link = machine.link_gigabytes_per_second * 1e9
  if machine.wraps_from:
    links = sum((2 if size >= machine.wraps_from else 1)
                for size in plan.shape if size > 1)
    hops = 2 * sum(size - 1 for size in plan.shape)
    return sent / (links * link) + hops * _LINK_SECONDS
  seconds = sent / link
  if plan.hosts > 1:
    seconds = max(seconds, sent / (machine.network_gigabytes_per_second * 1e9))
  return (seconds + 2 * (plan.chips - plan.hosts) * _LINK_SECONDS
          + 2 * (plan.hosts - 1) * _NETWORK_SECONDS)


def make(plan: machines.Slice, work: Work, batch: float,
         host_cores: Optional[float] = None,
         efficiency: float = EFFICIENCY) -> Plan:
  """The plan of a training step.

  Args:
    plan: machines.Slice.
    work: Work.
    batch: images of a step; may be fewer than devices, which then share images.
    host_cores: cores of a host that make the input; None: all.
    efficiency: the part of the peak that computing and memory traffic reach.

  Returns:
    Plan. The sum of the gradients begins when they are there; the input is made
    while the device computes.
  """
  machine = plan.machine
  per_chip = batch / float(plan.chips)
  computing = per_chip * work.flops / (machine.teraflops * 1e12)
  memory = per_chip * work.moved_bytes / (machine.gigabytes_per_second * 1e9)
  network = network_seconds(plan, work.gradient_bytes)
  per_host = batch / float(plan.hosts)
  seconds = per_host * work.input_ms / 1e3 / (host_cores or machine.host_cores)
  busy = max(computing, memory) / efficiency
  device = busy + network
  step = max(device, seconds)
  if seconds > device:
    limit = 'input'
  elif network > busy:
    limit = 'network'
  else:
    limit = 'computing' if computing >= memory else 'memory traffic'
  return Plan(
      plan.name, plan.devices, plan.hosts, batch, per_host,
      per_host * work.infeed_bytes,
      sent_bytes(plan.chips, work.gradient_bytes), computing, memory, network,
      seconds, device, step, batch / step, limit)


def scaling(plan: machines.Slice, work: Work, batch: float,
            host_cores: Optional[float] = None,
            efficiency: float = EFFICIENCY) -> List[Plan]:
  """Plans of slices of 8 to 1,024 devices with the same images per device.

  Args:
    plan: machines.Slice, whose machine is taken.
    work: Work.
    batch: images of a step of `plan`.
    host_cores: see `make`.
    efficiency: see `make`.

  Returns:
    [Plan] of SCALING; of GPUs up to 64.
  """
  per_device = batch / float(plan.devices)
  return [make(machines.resized(plan, devices), work, per_device * devices,
               host_cores, efficiency)
          for devices in SCALING if plan.machine.wraps_from or devices <= 64]


class InputNeeds(NamedTuple):
  """What keeps the input from being the limit.

  Attributes:
    cores: number of CPU cores of every host.
    input_ms: per image, with the cores that there are.
    hosts: with the cores that there are, for the same chips.
    read_bytes_per_second: rate at which every host reads its files.
    record_bytes: size of a host's share of the records, and of their cache.
    decoded_bytes: size of these images as uint8 at the size of the network.
  """
  cores: float
  input_ms: float
  hosts: float
  read_bytes_per_second: float
  record_bytes: float
  decoded_bytes: float


def input_needs(plan: Plan, work: Work, host_cores: float, num_images: int,
                pixels: int) -> InputNeeds:
  """What a host needs to keep up with its chips.

  Args:
    plan: Plan.
    work: Work.
    host_cores: float, of a host.
    num_images: int, of the training set.
    pixels: int, of the network's input.

  Returns:
    InputNeeds.
  """
  per_second = plan.images_per_host / plan.device  # if the chips never wait
  cores = per_second * work.input_ms / 1e3
  share = num_images / float(plan.hosts)
  return InputNeeds(
      cores, 1e3 * host_cores / per_second, plan.hosts * cores / host_cores,
      per_second * work.record_bytes, share * work.record_bytes,
      share * pixels * 3)
