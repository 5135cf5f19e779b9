"""What a training run writes when its first step is about to begin."""

import tensorflow.compat.v1 as tf

from configs import base
from executor import best_checkpoint
from executor import early_stop
from executor import model_dir as model_dir_lib


class Beginning(tf.train.CheckpointSaverListener):
  """Writes the configuration once the weights are there.

  Estimator saves a checkpoint when the graph is built and its variables are
  restored or initialised, before the first step. So a start that is refused
  leaves the folder unchanged, and an evaluation that finds a checkpoint also
  finds its params.yaml.
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
  """Writes params.yaml, and discards records of steps that will be repeated.

  Args:
    config: experiment.
    step: int, from which training continues; 0 for a new training run.
  """
  best_checkpoint.forget_after(config.model_dir, step)
  early_stop.forget_after(config.model_dir, step)
  for note in model_dir_lib.save_config(config):
    tf.logging.warning('%s', note)
  model_dir_lib.clear_finished(config.model_dir)
