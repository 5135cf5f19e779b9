"""The line about devices."""

import pytest

from executor import cluster
from executor import devices
from tests.executor import toy
from utils import processors


def test_cpu():
  line = devices.describe(toy.config('/m'), 1)
  assert line == ('Devices: CPU (%d cores), no GPU and no TPU.'
                  % processors.available())


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


def test_workers():
  line = devices.describe(toy.config('/m'), 4, cluster.Cluster(
      ['a:1', 'b:1'], 1))
  assert line == ('Devices: 2 workers with 4 replicas together; this one is '
                  'worker 1.')
  assert '0, the chief.' in devices.describe(
      toy.config('/m'), 2, cluster.Cluster(['a:1', 'b:1'], 0))


def test_gpus_that_are_not_used(monkeypatch, tmp_path):
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
  monkeypatch.setattr(devices, 'gpu_names', lambda: [])
  monkeypatch.setattr(devices, '_NVIDIA_DRIVER', str(tmp_path / 'version'))
  monkeypatch.setattr(devices, '_NVIDIA_GPUS', str(tmp_path / 'gpus' / '*'))
  assert not devices.warnings()
  (tmp_path / 'version').write_text('driver')
  assert 'has 1 NVIDIA GPU(s), of which' in devices.warnings()[0]
  assert 'uses none.' in devices.warnings()[0]
  for name in ('00', '01'):
    (tmp_path / 'gpus' / name).mkdir(parents=True)
  monkeypatch.setattr(devices, 'gpu_names', lambda: ['/gpu:0'])
  assert 'has 2 NVIDIA' in devices.warnings()[0]
  assert 'uses 1.' in devices.warnings()[0]
  monkeypatch.setattr(devices, 'gpu_names', lambda: ['/gpu:0', '/gpu:1'])
  assert not devices.warnings()
  monkeypatch.setattr(devices, 'gpu_names', lambda: [])
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '')
  assert not devices.warnings()
