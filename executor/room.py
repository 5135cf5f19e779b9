"""Checks the disk space for checkpoints, and the clock of the file system."""

import os
import shutil
import time
from typing import Callable, List

import tensorflow.compat.v1 as tf

from configs import base
from executor import errors
from modeling import storage

_SKEW_SECONDS = 120.  # between this clock and that of the file system


class RoomForCheckpoints(tf.train.CheckpointSaverListener):
  """Checks once the first checkpoint is written, before the first step.

  Only then is it known how large checkpoints are.
  """

  def __init__(self, config: base.Config) -> None:
    """Keeps the experiment."""
    self._config = config
    self._is_done = False

  def after_save(self, session: tf.Session, global_step_value: int) -> None:
    del session
    folder = self._config.model_dir
    if self._is_done or storage.is_remote(folder):
      return
    self._is_done = True
    paths = tf.gfile.Glob(os.path.join(
        folder, 'model.ckpt-%d.*' % global_step_value))
    if not paths:
      return
    size = sum(os.path.getsize(path) for path in paths)
    for warning in check(folder, size, _number_to_come(
        self._config.train, folder), shutil.disk_usage(folder).free):
      tf.logging.warning('%s', warning)
    for warning in clock_warnings(folder, os.path.getmtime(paths[0])):
      tf.logging.warning('%s', warning)


def _number_to_come(train, folder):
  """How many checkpoints there will be in addition to those there are."""
  if not train.keep_checkpoint_max:
    return 1  # It is unknown how many; the next one at least.
  there = len(tf.gfile.Glob(os.path.join(folder, 'model.ckpt-*.index')))
  # A new one is complete before the oldest is removed.
  return max(1, train.keep_checkpoint_max - there + 1)


def check(folder: str, size: int, number: int, free: int) -> List[str]:
  """Compares the room on a disk with the checkpoints to come.

  Args:
    folder: where they are written.
    size: bytes of one.
    number: how many more there will be at a time.
    free: bytes.

  Returns:
    [sentence] to warn the user with.

  Raises:
    errors.SetupError: if the next one cannot be written.
  """
  mb = 2. ** 20
  if free < size:
    raise errors.SetupError(
        'The disk of %s has %.0f MB left, and a checkpoint takes %.0f MB: the '
        'next one could not be written. Make room, or use another --model_dir.'
        % (folder, free / mb, size / mb))
  if free < size * number:
    return ['The disk of %s has %.0f MB left; %d more checkpoints of %.0f MB '
            'do not fit (train.keep_checkpoint_max). Training will stop when '
            'the disk is full, and keep the last one.' % (
                folder, free / mb, number, size / mb)]
  return []


def clock_warnings(folder: str, written: float,
                   clock: Callable[[], float] = time.time) -> List[str]:
  """Compares the clock of a file system with that of this machine.

  Args:
    folder: where a file was just written.
    written: its modification time, seconds since 1970.
    clock: () -> seconds since 1970.

  Returns:
    [sentence], empty where both agree.
  """
  skew = written - clock()
  if abs(skew) <= _SKEW_SECONDS:
    return []
  return ['Files in %s are %d s %s of the clock of this machine. Evaluations '
          'and locks on other machines compare these times: set the clocks.' % (
              folder, abs(skew), 'ahead' if skew > 0 else 'behind')]
