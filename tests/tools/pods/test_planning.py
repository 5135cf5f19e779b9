"""Times that were worked out by hand."""

import dataclasses

import pytest

from tools.pods import machines
from tools.pods import planning

# 1 TFLOP, 10 GB, 100 MB of gradients, 4 MB of infeed, 10 ms, 80 kB.
_WORK = planning.Work(1e12, 1e10, 1e8, 4e6, 10., 8e4)


def _slice(name, **changes):
  """A slice of a machine with round figures."""
  parsed = machines.parse(name)
  machine = parsed.machine._replace(
      teraflops=100., gigabytes_per_second=1000., host_cores=20,
      link_gigabytes_per_second=100., **changes)
  return parsed._replace(machine=machine)


def test_a_ring_sends_twice_what_it_adds_up():
  assert planning.sent_bytes(1, 1e8) == 0
  assert planning.sent_bytes(2, 1e8) == 1e8
  assert planning.sent_bytes(4, 1e8) == 1.5e8


def test_network_of_a_tpu():
  # 8 x 4 chips send 1.9375e8 bytes, over two links where eight make a ring and
  # one where four do not; 2 * (7 + 3) hops of a microsecond.
  plan = _slice('v3:8x4', wraps_from=8)
  expected = 1.9375e8 / (3 * 1e11) + 20e-6
  assert planning.network_seconds(plan, 1e8) == pytest.approx(expected)
  assert planning.network_seconds(_slice('v3:1x1'), 1e8) == 0


def test_network_of_gpus():
  # 1.75e8 bytes at 1e11 a second, and 14 steps of a microsecond.
  assert planning.network_seconds(_slice('a100:8'), 1e8) == pytest.approx(
      1.75e-3 + 14e-6)
  # 1.875e8 bytes at the 5e10 of the cards; 28 steps within hosts, 2 between.
  two = _slice('a100:16', network_gigabytes_per_second=50.)
  assert planning.network_seconds(two, 1e8) == pytest.approx(
      3.75e-3 + 28e-6 + 10e-6)


def test_a_plan():
  plan = planning.make(_slice('v3:2x4'), _WORK, 64, efficiency=.5)
  # 8 images a chip: 8 TFLOP of 100 a second, 80 GB of 1000.
  assert (plan.devices, plan.hosts) == (16, 2)
  assert plan.computing == pytest.approx(.08)
  assert plan.memory == pytest.approx(.08)
  # 32 images a host, 10 ms each, 20 cores.
  assert plan.input == pytest.approx(.016)
  assert plan.images_per_host == 32
  assert plan.infeed_bytes_per_host == 1.28e8
  assert plan.gradient_bytes_per_chip == 1.75e8
  assert plan.step == plan.device == pytest.approx(.16 + plan.network)
  assert plan.images_per_second == pytest.approx(64 / plan.step)


@pytest.mark.parametrize('changes,limit', [
    ({'flops': 2e12}, 'computing'), ({'moved_bytes': 2e10}, 'memory traffic'),
    ({'gradient_bytes': 1e12}, 'network'), ({'input_ms': 200.}, 'input')])
def test_what_limits(changes, limit):
  work = dataclasses.replace(_WORK, **changes)
  assert planning.make(_slice('v3:2x4'), work, 64).limit == limit


def test_scaling_keeps_the_images_of_a_device():
  plans = planning.scaling(_slice('v3:2x4'), _WORK, 64)
  assert [plan.devices for plan in plans] == list(planning.SCALING)
  assert {plan.batch / plan.devices for plan in plans} == {4.}
  # Only the sum of the gradients grows.
  assert plans[0].network < plans[-1].network
  gpus = planning.scaling(_slice('a100:8'), _WORK, 64)
  assert [plan.devices for plan in gpus] == [8, 16, 32, 64]


def test_an_input_limit_and_what_removes_it():
  work = dataclasses.replace(_WORK, input_ms=200., gradient_bytes=0.)
  plan = planning.make(_slice('v3:2x2'), work, 32, efficiency=.5)
  # 32 images in 160 ms, were it for the chips; 200 ms each on 20 cores.
  needs = planning.input_needs(plan, work, 20, 1000, 100)
  assert plan.limit == 'input' and plan.step == pytest.approx(.32)
  assert needs.cores == pytest.approx(40, rel=1e-3)
  assert needs.input_ms == pytest.approx(100, rel=1e-3)
  assert needs.hosts == pytest.approx(2, rel=1e-3)
  assert needs.read_bytes_per_second == pytest.approx(200 * 8e4, rel=1e-3)
  assert (needs.record_bytes, needs.decoded_bytes) == (8e7, 3e5)
