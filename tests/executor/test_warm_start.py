"""Where training begins that takes the step of another checkpoint along."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import preflight
from modeling.training import warm_start
from tests.executor import doubles
from tests.executor import toy
from utils import modes


def _config(tmp_path, **changes):
  start = tmp_path / 'start'
  start.mkdir()
  path = toy.save_checkpoint(start, 4, weight=[.5, 5.],
                             global_step=np.int64(4))
  return toy.config(tmp_path / 'run', **dict({
      'train__checkpoint__path': path, 'eval__num_steps_per_eval': 3,
      'train__checkpoint__restore_optimizer_state': True,
      'train__total_steps': 9}, **changes))


def _parts(config):
  def model_fn(features, labels, mode, params):
    spec = toy.model_fn(features, labels, mode, params)
    section = config.train.checkpoint
    if section.path and not checkpoints.latest(config.model_dir):
      warm_start.warm_start(section, tf.global_variables(),
                            config.train.total_steps)
    return spec

  estimator = estimator_lib.build_estimator(config, model_fn)
  return estimator, estimator_lib.with_batch_size(toy.input_fn, config,
                                                  modes.TRAIN)


def test_train_and_eval_goes_on_from_the_step(tmp_path):
  config = _config(tmp_path)
  evaluation = doubles.Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 9
  # Not one step, because 4 is beyond the first goal already.
  assert evaluation.steps == [6, 9]
  assert [checkpoints.step_of(p) for p in checkpoints.find_all(
      config.model_dir)] == [4, 6, 9]


@pytest.mark.parametrize('total_steps', [3, 4])
def test_a_step_beyond_the_end_is_refused(tmp_path, total_steps):
  config = _config(tmp_path, train__total_steps=total_steps)
  with pytest.raises(errors.SetupError,
                     match='from step 4, .*nothing to train'):
    preflight.check(config, 'train')
  # In a folder with a checkpoint it is not read.
  (tmp_path / 'run').mkdir()
  toy.save_checkpoint(tmp_path / 'run', 1, weight=[0., 0.])
  preflight.check(config, 'train')


def test_train_and_eval_evaluates_every_checkpoint(tmp_path, caplog):
  tf.logging.set_verbosity(tf.logging.WARN)
  config = toy.config(
      tmp_path, train__total_steps=7, eval__num_steps_per_eval=4,
      train__save_checkpoints_steps=2, eval__eval_every_checkpoint=True)
  evaluation = doubles.Evaluation()
  with caplog.at_level('WARNING'):
    loops.train_and_eval(config, *_parts(config), evaluation)
  assert sorted(evaluation.steps) == evaluation.steps
  assert {2, 4, 6, 7} <= set(evaluation.steps) and 0 not in evaluation.steps
  assert 'keep_checkpoint_max' not in caplog.text
  few = toy.config(
      tmp_path, train__total_steps=7, eval__num_steps_per_eval=4,
      train__save_checkpoints_steps=2, train__keep_checkpoint_max=1,
      eval__eval_every_checkpoint=True)
  with caplog.at_level('WARNING'):
    loops.train_and_eval(few, *_parts(few), evaluation)
  assert '2 checkpoints, of which train.keep_checkpoint_max (1)' in caplog.text
