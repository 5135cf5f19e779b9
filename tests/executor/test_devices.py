"""The line about devices."""

import os

import pytest

from executor import devices
from tests.executor import toy


def test_cpu():
  line = devices.describe(toy.config('/m'), 1)
  assert line == ('Devices: CPU (%d cores), no GPU and no TPU.'
                  % os.cpu_count())


@pytest.mark.parametrize('num_gpus, replicas, words', [
    (1, 1, 'one GPU (/gpu:0)'), (4, 4, '4 replicas, one on each GPU')])
def test_gpus(monkeypatch, num_gpus, replicas, words):
  names = ['/gpu:%d' % i for i in range(num_gpus)]
  monkeypatch.setattr(devices, 'gpu_names', lambda: names)
  assert words in devices.describe(toy.config('/m'), replicas)


def test_tpu():
  config = toy.config('/m', use_tpu=True, platform__tpu='my-tpu',
                      train__num_shards=8)
  assert devices.describe(config, 8) == 'Devices: TPU (my-tpu), 8 cores.'


def test_gpu_that_is_not_used(monkeypatch, tmp_path):
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
  monkeypatch.setattr(devices, 'gpu_names', lambda: [])
  monkeypatch.setattr(devices, '_NVIDIA_DRIVER', str(tmp_path / 'version'))
  assert 'NVIDIA' not in devices.describe(toy.config('/m'), 1)
  (tmp_path / 'version').write_text('driver')
  assert 'does not use' in devices.describe(toy.config('/m'), 1)
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  assert 'NVIDIA' not in devices.describe(toy.config('/m'), 1)
