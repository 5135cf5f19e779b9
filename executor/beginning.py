"""What a training run writes when it really begins, and not before."""

import tensorflow.compat.v1 as tf

from configs import base
from executor import best_checkpoint
from executor import early_stop
from executor import model_dir as model_dir_lib


class Beginning(tf.train.CheckpointSaverListener):
  """Writes the configuration once the weights are there.

  Estimator saves when it has built the graph, restored or initialised it, and
  before the first step. So a start that is refused leaves the folder as it
  was; and an evaluation that finds a checkpoint finds its params.yaml, too.
  """

  def __init__(self, config: base.Config) -> None:
    """Keeps the experiment."""
    self._config = config
    self._has_begun = False

  def before_save(self, session: tf.Session, global_step_value: int) -> None:
    del session
    if not self._has_begun:
      self._has_begun = True
      begin(self._config, int(global_step_value))


def begin(config: base.Config, step: int) -> None:
  """Writes params.yaml, and forgets what is about steps that do not count.

  Args:
    config: experiment.
    step: int, from which training goes on; 0 for a new one.
  """
  best_checkpoint.forget_after(config.model_dir, step)
  early_stop.forget_after(config.model_dir, step)
  for note in model_dir_lib.save_config(config):
    tf.logging.warning('%s', note)
  model_dir_lib.clear_finished(config.model_dir)
