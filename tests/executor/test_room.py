"""Disk space and clocks."""

import pytest

from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import room
from tests.executor import toy
from utils import modes

_MB = 2 ** 20


def test_room_for_checkpoints():
  assert room.check('run', 10 * _MB, 5, 50 * _MB) == []
  warning, = room.check('run', 10 * _MB, 5, 49 * _MB)
  assert '5 more checkpoints of 10 MB' in warning and '49 MB left' in warning
  with pytest.raises(errors.SetupError, match='9 MB left, .* takes 10 MB'):
    room.check('run', 10 * _MB, 5, 9 * _MB)


def test_clocks():
  assert room.clock_warnings('run', 1000., lambda: 1100.) == []
  assert '200 s behind' in room.clock_warnings('run', 1000., lambda: 1200.)[0]
  assert '500 s ahead' in room.clock_warnings('run', 1500., lambda: 1000.)[0]


def test_a_full_disk_stops_training_before_the_first_step(tmp_path,
                                                          monkeypatch):
  usage = type('Usage', (), {'free': 10})
  monkeypatch.setattr(room.shutil, 'disk_usage', lambda folder: usage)
  config = toy.config(tmp_path)
  with pytest.raises(errors.SetupError, match='could not be written'):
    loops.train(config, estimator_lib.build_estimator(config, toy.model_fn),
                estimator_lib.with_batch_size(toy.input_fn, config,
                                              modes.TRAIN))
