"""What is read from HLO, and the figures that follow from a compilation."""

import math

import pytest

from tools.tpu import chips
from tools.tpu import hlo
from tools.tpu import report

_TEXT = '''
HloModule step
ENTRY %main (a: f32[2,8]) -> f32[] {
  %a = f32[2,8]{1,0} parameter(0), metadata={op_name="XLA_Args"}
  %w = (f32[<=16,2]{1,0}, s32[]) custom-call(f32[2,8]{1,0} %a), \
custom_call_target="X64SplitHigh", metadata={op_type="Where" op_name="gt/Where"}
  %b.1 = f32[<=16]{0} negate(%c), metadata={op_name="mask/Neg"}
  ROOT %r = f32[] constant(0)
}
'''


def test_summary_of_a_module():
  found = hlo.summarize(_TEXT)
  assert found['instructions'] == 4
  assert found['opcodes'] == {'parameter': 1, 'custom-call': 1, 'negate': 1,
                              'constant': 1}
  assert found['custom_calls'] == {'X64SplitHigh': 1}
  assert found['dynamic'] == [
      'custom-call (f32[<=16,2]{1,0}, s32[]), of gt/Where',
      'negate f32[<=16]{0}, of mask/Neg']


def test_long_lists_are_cut_off():
  found = {'missing': {'Bad': ['op%d' % i for i in range(12)]}}
  problem, = report.lowering_problems(found)
  assert problem.endswith('op9 and 2 more')


def _result():
  return {'device': 'TPU v3', 'topology': 'v3:2x2', 'replicas': 1,
          'partitions': 1,
          'memory': {'needed': 4e9, 'arguments': 3e8, 'temporaries': 3.6e9,
                     'code': 1e8},
          'cost': {'flops': 61.5e12, 'bytes': 45e9, 'seconds': 1.},
          'program': {'instructions': 5, 'moved_bytes': 2e10,
                      'padding_bytes': 3e9, 'heaviest': [
                          {'name': 'fusion.7', 'opcode': 'fusion', 'bytes': 9e9,
                           'operation': 'fpn/Conv2D'}]}, 'seconds': 2.}


def test_roofline_of_a_core():
  """A core of v3 has half of 123 TFLOPS and of 900 GB/s."""
  numbers = report.figures(_result(), infeed_bytes=1000)
  assert math.isclose(numbers['computing_seconds'], 1.)
  assert math.isclose(numbers['traffic_seconds'], .1)
  assert math.isclose(numbers['roofline_seconds'], 1.)
  assert math.isclose(numbers['available_bytes'], 15.48 * 2**30)
  assert math.isclose(numbers['ridge_flops_per_byte'], 123e3 / 900)
  assert numbers['fits']
  text = '\n'.join(report.figure_lines(_result(), numbers, 8))
  assert '1000.0 ms at least, by computing' in text
  assert 'at most 20.00 outside of loops and branches' in text
  assert '3.00 of these pad dimensions' in text
  assert '9.000 GB  20.0 %  fusion fusion.7, of fpn/Conv2D' in text
  assert '4.00 GB of 16.62 GB' in text and 'DOES NOT FIT' not in text


def test_what_devices_exchange():
  result = _result()
  numbers = report.figures(result, infeed_bytes=1000)
  assert 'exchanged' not in '\n'.join(report.figure_lines(result, numbers, 8))
  result.update(partitions=4, program=dict(
      result['program'], exchanges=[7, 3e6]))
  text = '\n'.join(report.figure_lines(result, numbers, 8))
  assert '1 replica of 4 devices' in text
  assert '3.0 MB from other devices, by 7 instructions' in text
  assert report.replica_name(result) == '4 cores of TPU v3 that share images'


def test_too_much_memory_is_said():
  result = _result()
  result['memory']['needed'] = 18e9
  numbers = report.figures(result, infeed_bytes=1000)
  assert not numbers['fits']
  assert 'DOES NOT FIT' in '\n'.join(report.figure_lines(result, numbers, 8))


def test_every_chip_has_its_limits():
  for kind, chip in chips.CHIPS.items():
    computing, traffic = chips.roofline(kind, 1e12, 1e12 / chips.ridge(kind))
    assert math.isclose(computing, traffic)
    # Chips have 16, 32 and 96 GiB; some of it is the runtime's.
    assert 0 < -chips.hbm_bytes(kind) * chip.devices_per_chip / 2**30 % 8 < 2


def test_largest_batch_by_a_line():
  # 1 GB and 0.5 GB an image.
  assert report.largest_batch((2, 4), (2e9, 3e9), 16e9) == 30
  assert report.largest_batch((4, 2), (3e9, 2e9), 16.49e9) == 30
  assert report.largest_batch((2, 4), (2e9, 3e9), 1.2e9) == 0
  with pytest.raises(ValueError, match='says nothing'):
    report.largest_batch((2, 4), (2e9, 2e9), 16e9)
