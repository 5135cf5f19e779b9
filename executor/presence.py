"""Whether the folder of a training run is still there.

A process that writes to a deleted folder may not notice: open files still
accept bytes, and small files create a new folder of the same name.
"""

import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import errors
from executor import model_dir as model_dir_lib


class Presence(tf.train.CheckpointSaverListener):
  """Checks before and after each checkpoint, and when `check` is called."""

  def __init__(self, model_dir: str) -> None:
    """Keeps the folder."""
    self._folder = model_dir
    self._was_there = False

  def before_save(self, session: tf.Session, global_step_value: int) -> None:
    del session
    self.check(int(global_step_value))

  def after_save(self, session: tf.Session, global_step_value: int) -> None:
    del session
    self.check(int(global_step_value))

  def check(self, step: int) -> None:
    """Looks for the first files that a training run writes.

    Args:
      step: int, for the message.

    Raises:
      errors.JobError: when they were there before and no longer are.
    """
    is_there = (tf.gfile.Exists(model_dir_lib.params_path(self._folder))
                or checkpoints.latest(self._folder) is not None)
    if self._was_there and not is_there:
      raise errors.JobError(
          '%s was deleted, moved or emptied while a training run wrote to it: '
          'its checkpoints are gone, and step %d cannot be saved there. If the '
          'folder was moved, move it back; the same command then resumes. '
          'Otherwise the command starts from the beginning.'
          % (self._folder, step))
    self._was_there = is_there
