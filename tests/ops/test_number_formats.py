"""Which number format `auto` is."""

import pytest

from ops import compat
from ops import number_formats
from utils import processors


@pytest.fixture(name='machine')
def machine_fixture(monkeypatch):
  """Function that makes this a machine with such devices."""
  def make(gpu=False, on_cpus=True, matrix_units=True):
    monkeypatch.setattr(compat, 'has_gpu', lambda: gpu)
    monkeypatch.setattr(compat, 'HAS_BFLOAT16_ON_CPUS', on_cpus)
    monkeypatch.setattr(processors, 'has_bfloat16_products',
                        lambda: matrix_units)
  return make


@pytest.mark.parametrize('devices, name, words', [
    (dict(), 'bfloat16', 'AMX'),
    (dict(matrix_units=False), 'float32', 'no matrix units'),
    (dict(on_cpus=False), 'float32', 'oneDNN'),
    (dict(gpu=True), 'float32', 'docs/gpu.md')])
def test_auto_is_what_the_devices_are_fast_in(machine, devices, name, words):
  machine(**devices)
  choice = number_formats.resolve('auto')
  assert choice.name == name and words in choice.reason
  assert number_formats.resolve('auto', use_tpu=True).name == 'bfloat16'


@pytest.mark.parametrize('wanted', ['float32', 'bfloat16', 'float16'])
def test_what_is_named_is_taken(machine, wanted):
  machine(matrix_units=wanted == 'float32')
  assert number_formats.resolve(wanted) == (wanted, '')
