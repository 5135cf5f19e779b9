"""Names of slices."""

import pytest

from tools.pods import machines


@pytest.mark.parametrize('topology,chips,devices,hosts', [
    ('v3:2x2', 4, 8, 1), ('v3:8x8', 64, 128, 16), ('v4:2x2x4', 16, 32, 4),
    ('v5e:1x1', 1, 1, 1), ('a100:8', 8, 8, 1), ('h100:20', 20, 20, 3)])
def test_sizes(topology, chips, devices, hosts):
  found = machines.parse(topology)
  assert (found.chips, found.devices, found.hosts) == (chips, devices, hosts)


@pytest.mark.parametrize('topology,message', [
    ('v3-32', "no machine 'v3-32'; there are v2, v3"),
    ('v3', 'not of the form v3:8x8'), ('v3:0x8', 'not of the form v3:8x8'),
    ('a100:2x8', 'not of the form a100:16, a number of GPUs'),
    ('a100:many', 'not of the form a100:16')])
def test_wrong_names(topology, message):
  with pytest.raises(ValueError, match=message):
    machines.parse(topology)


@pytest.mark.parametrize('topology,devices,expected', [
    ('v3:8x8', 8, 'v3:2x2'), ('v3:2x2', 64, 'v3:4x8'),
    ('v4:2x2x1', 1024, 'v4:8x8x8'), ('v5e:4x4', 8, 'v5e:2x4'),
    ('h100:8', 64, 'h100:64')])
def test_other_sizes_of_a_slice(topology, devices, expected):
  found = machines.resized(machines.parse(topology), devices)
  assert (found.name, found.devices) == (expected, devices)
