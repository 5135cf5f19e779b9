"""Which number format `auto` is."""

import pytest

from ops import compat
from ops import number_formats
from utils import processors


@pytest.fixture(name='machine')
def machine_fixture(monkeypatch):
  """Function that makes this a machine with such devices."""
  def make(capabilities=(), on_gpus=True, on_cpus=True, matrix_units=True):
    monkeypatch.setattr(compat, 'gpu_capabilities', lambda: list(capabilities))
    monkeypatch.setattr(compat, 'HAS_BFLOAT16_ON_GPUS', on_gpus)
    monkeypatch.setattr(compat, 'HAS_BFLOAT16_ON_CPUS', on_cpus)
    monkeypatch.setattr(processors, 'has_bfloat16_products',
                        lambda: matrix_units)
  return make


@pytest.mark.parametrize('devices, name, words', [
    (dict(), 'bfloat16', 'AMX'),
    (dict(matrix_units=False), 'float32', 'no matrix units'),
    (dict(on_cpus=False), 'float32', 'oneDNN'),
    (dict(capabilities=[8.0, 9.0], matrix_units=False), 'bfloat16', 'cores'),
    (dict(capabilities=[8.0, 7.5]), 'float32', '8.0 or more'),
    (dict(capabilities=[8.0, None]), 'float32', '8.0 or more'),
    (dict(capabilities=[8.0], on_gpus=False), 'float32', 'TensorFlow 2')])
def test_auto_is_what_the_devices_are_fast_in(machine, devices, name, words):
  machine(**devices)
  choice = number_formats.resolve('auto')
  assert choice.name == name and words in choice.reason
  assert number_formats.resolve('auto', use_tpu=True).name == 'bfloat16'


@pytest.mark.parametrize('wanted', ['float32', 'bfloat16', 'float16'])
def test_what_is_named_is_taken(machine, wanted):
  machine(matrix_units=wanted == 'float32')
  assert number_formats.resolve(wanted) == (wanted, '')
