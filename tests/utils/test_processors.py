"""Tests of the cores that a process may use."""

import os

import pytest

from utils import processors


def _write(path, text):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


@pytest.fixture(name='machine')
def machine_fixture(monkeypatch):
  """A machine of 64 cores, of which the process is bound to 8."""
  monkeypatch.setattr(os, 'cpu_count', lambda: 64)
  monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)),
                      raising=False)


@pytest.mark.usefixtures('machine')
@pytest.mark.parametrize('text, cores', [
    ('max 100000\n', 8), ('200000 100000\n', 2), ('150000 100000\n', 2),
    ('10000 100000\n', 1), ('9900000 100000\n', 8), ('', 8), ('-\n', 8),
    ('200000 0\n', 8)])
def test_second_version_of_control_groups(tmp_path, text, cores):
  """The least limit of all groups around the process; rounded up."""
  _write(tmp_path / 'proc/self/cgroup', '0::/pod/container\n')
  _write(tmp_path / 'sys/fs/cgroup/pod/cpu.max', text)
  _write(tmp_path / 'sys/fs/cgroup/pod/container/cpu.max', '900000 100000\n')
  root = str(tmp_path)
  assert processors.available(root) == cores
  assert processors.threads(root) == (cores if cores < 8 else 0)


@pytest.mark.usefixtures('machine')
@pytest.mark.parametrize('quota, cores', [('-1', 8), ('350000', 4)])
def test_first_version_of_control_groups(tmp_path, quota, cores):
  _write(tmp_path / 'proc/self/cgroup', '4:memory:/a\n3:cpu,cpuacct:/a\n')
  _write(tmp_path / 'sys/fs/cgroup/cpu/a/cpu.cfs_quota_us', quota)
  _write(tmp_path / 'sys/fs/cgroup/cpu/a/cpu.cfs_period_us', '100000')
  assert processors.available(str(tmp_path)) == cores


@pytest.mark.usefixtures('machine')
def test_without_control_groups(tmp_path, monkeypatch):
  assert processors.available(str(tmp_path)) == 8
  monkeypatch.delattr(os, 'sched_getaffinity')  # as on macOS
  assert processors.available(str(tmp_path)) == 64
  monkeypatch.setattr(os, 'cpu_count', lambda: None)
  assert processors.available(str(tmp_path)) == 1


def test_this_machine():
  assert 1 <= processors.available() <= os.cpu_count()


@pytest.mark.parametrize('text, has', [
    ('flags : sse avx512_bf16 amx_bf16\nflags : amx_bf16 sse\n', True),
    ('flags : sse avx512_bf16\n', False),
    ('flags : amx_bf16\nflags : sse\n', False),  # cores of two kinds
    ('flags : amx_bf16_later\n', False), ('model : amx_bf16\n', False),
    (None, False)])
def test_matrix_units(tmp_path, text, has):
  if text:
    _write(tmp_path / 'proc/cpuinfo', text)
  assert processors.has_bfloat16_products(str(tmp_path)) == has
