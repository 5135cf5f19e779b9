"""The loops of evaluation, with a double of the evaluation itself."""

import os

import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import errors
from executor import evaluation_loop
from executor import model_dir as model_dir_lib
from tests.executor import doubles
from tests.executor import toy


def _delete(path):
  for name in os.listdir(os.path.dirname(path)):
    if name.startswith(os.path.basename(path) + '.'):
      os.remove(os.path.join(os.path.dirname(path), name))


def test_continuous_evaluation_follows_a_training(tmp_path):
  config = toy.config(tmp_path, eval__min_eval_interval=60)

  def save(step):
    return lambda: toy.save_checkpoint(tmp_path, step, w=[0.])

  clock = doubles.Clock([(20, save(0)), (30, save(2)), (400, save(4)),
                         (410, save(5)), (900, save(6))])
  evaluation = doubles.Evaluation()
  evaluation_loop.evaluate_continuously(config, evaluation, clock.sleep, clock)
  # 4 was followed by 5 within the pause after it; 0 is untrained.
  assert evaluation.steps in ([2, 4, 5, 6], [2, 5, 6])
  assert 60 in clock.slept


def test_continuous_evaluation_of_every_checkpoint(tmp_path):
  config = toy.config(tmp_path, eval__eval_every_checkpoint=True)
  for step in (2, 4, 6):
    toy.save_checkpoint(tmp_path, step, w=[0.])
  evaluation = doubles.Evaluation()
  evaluation.paths.append(checkpoints.find_all(str(tmp_path))[0])
  evaluation_loop.evaluate_continuously(config, evaluation)
  assert evaluation.steps == [2, 4, 6]


def test_continuous_evaluation_tells_what_it_waits_for(tmp_path, caplog):
  tf.logging.set_verbosity(tf.logging.INFO)
  config = toy.config(tmp_path, eval__eval_timeout=700)
  clock = doubles.Clock()
  with caplog.at_level('INFO'):
    with pytest.raises(errors.EvalTimeout, match='for 12 min') as e:
      evaluation_loop.evaluate_continuously(
          config, doubles.Evaluation(), clock.sleep, clock)
  assert e.value.exit_code == 3 and clock.now == 700
  messages = [r.getMessage() for r in caplog.records]
  assert len([m for m in messages if m.startswith('Waiting for a checkpoint '
                                                  'in ' + str(tmp_path))]) == 1
  assert len([m for m in messages if m.startswith('Still waiting')]) == 2
  assert 'No training has written there yet' in messages[0]


def test_continuous_evaluation_survives_deleted_checkpoints(tmp_path):
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 2, w=[0.])

  def during(path):
    if checkpoints.step_of(path) == 2:
      _delete(path)
      toy.save_checkpoint(tmp_path, 6, w=[0.])
      raise ValueError('Could not find trained model')

  evaluation = doubles.Evaluation(during)
  evaluation_loop.evaluate_continuously(config, evaluation,
                                        doubles.Clock().sleep)
  assert evaluation.steps == [6]


def test_continuous_evaluation_skips_a_broken_checkpoint(tmp_path):
  config = toy.config(tmp_path)
  path = toy.save_checkpoint(tmp_path, 2, w=[0.])
  with open(path + '.data-00000-of-00001', 'w'):
    pass
  attempts = []

  def during(path):
    if checkpoints.step_of(path) == 2:
      attempts.append(path)
      if len(attempts) == 3:
        toy.save_checkpoint(tmp_path, 6, w=[0.])
      raise ValueError('broken')

  evaluation = doubles.Evaluation(during)
  evaluation_loop.evaluate_continuously(config, evaluation,
                                        doubles.Clock().sleep)
  assert len(attempts) == 3 and evaluation.steps == [6]


def test_continuous_evaluation_does_not_hide_other_errors(tmp_path):
  def during(path):
    raise ValueError('a mistake in the program')
  toy.save_checkpoint(tmp_path, 2, w=[0.])
  with pytest.raises(ValueError, match='a mistake'):
    evaluation_loop.evaluate_continuously(toy.config(tmp_path),
                                          doubles.Evaluation(during))


def test_continuous_evaluation_ends_with_a_training_that_ended(tmp_path):
  config = toy.config(tmp_path, eval__min_eval_interval=1000)
  toy.save_checkpoint(tmp_path, 4, w=[0.])
  evaluation = doubles.Evaluation()

  def sleep(unused_seconds):
    model_dir_lib.mark_finished(str(tmp_path), 4, 'diverged')

  with pytest.raises(errors.TrainingDiverged, match='after step 4'):
    evaluation_loop.evaluate_continuously(config, evaluation, sleep)
  assert evaluation.steps == [4]


def test_finish_mark_of_an_earlier_training(tmp_path):
  """It is believed only when no training takes it away."""
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 4, w=[0.])
  model_dir_lib.mark_finished(str(tmp_path), 4, 'finished')
  later = doubles.Clock()
  later.now = 1e12
  evaluation = doubles.Evaluation()
  evaluation_loop.evaluate_continuously(config, evaluation, later.sleep, later)
  assert evaluation.steps == [4] and 300 <= later.now - 1e12 < 400


def test_waiting_for_one_checkpoint(tmp_path):
  with pytest.raises(errors.SetupError, match='There is no checkpoint'):
    evaluation_loop.wait_for_checkpoint(toy.config(tmp_path))
  config = toy.config(tmp_path, eval__eval_timeout=100)
  clock = doubles.Clock(
      [(50, lambda: toy.save_checkpoint(tmp_path, 1, w=[0.]))])
  assert checkpoints.step_of(
      evaluation_loop.wait_for_checkpoint(config, clock.sleep, clock)) == 1


def _follow(configs):
  """() -> the next of these, the last one forever."""
  configs = list(configs)
  return lambda: configs.pop(0) if len(configs) > 1 else configs[0]


def test_continuous_evaluation_goes_as_far_as_training(tmp_path):
  """Training that goes on from its end with more steps, and more time."""
  old, new = (toy.config(tmp_path, train__total_steps=steps,
                         eval__eval_timeout=timeout)
              for steps, timeout in ((4, 10.), (8, 1000.)))
  toy.save_checkpoint(tmp_path, 4, w=[0.])
  clock = doubles.Clock([
      (500, lambda: toy.save_checkpoint(tmp_path, 8, w=[0.]))])
  evaluation = doubles.Evaluation()
  evaluation_loop.evaluate_continuously(
      old, evaluation, clock.sleep, clock, follow=_follow([new]))
  assert evaluation.steps == [4, 8]
  assert evaluation.config is new


def test_what_is_read_with_a_checkpoint_belongs_to_it(tmp_path):
  """Written between two looks: no checkpoint is evaluated with older keys."""
  old = toy.config(tmp_path)
  clock = doubles.Clock([(20, lambda: toy.save_checkpoint(tmp_path, 6,
                                                          w=[0.]))])
  def follow():
    if checkpoints.latest(str(tmp_path)):
      raise errors.JobError('params.yaml has changed')
    return old
  evaluation = doubles.Evaluation()
  with pytest.raises(errors.JobError, match='has changed'):
    evaluation_loop.evaluate_continuously(old, evaluation, clock.sleep, clock,
                                          follow=follow)
  assert evaluation.steps == []


@pytest.mark.parametrize('comes', ['params.yaml', 'checkpoint'])
def test_waiting_for_a_training_run(tmp_path, caplog, comes):
  tf.logging.set_verbosity(tf.logging.INFO)
  config = toy.config(tmp_path)
  come = {'params.yaml': lambda: model_dir_lib.save_config(config),
          'checkpoint': lambda: toy.save_checkpoint(tmp_path, 1, w=[0.])}
  clock = doubles.Clock([(700, come[comes])])
  with caplog.at_level('INFO'):
    evaluation_loop.wait_for_training(config, clock.sleep, clock)
  assert 700 <= clock.now < 710
  messages = [r.getMessage() for r in caplog.records]
  assert messages[0].startswith('Waiting for a training run in %s'
                                % tmp_path)
  assert 'params.yaml' in messages[0] and len(messages) == 3
  evaluation_loop.wait_for_training(config, clock.sleep, clock)
  assert clock.now < 710  # It has begun already.


def test_training_that_never_begins(tmp_path):
  config = toy.config(tmp_path, eval__eval_timeout=100)
  clock = doubles.Clock()
  with pytest.raises(errors.EvalTimeout, match='for 2 min'):
    evaluation_loop.wait_for_training(config, clock.sleep, clock)


def test_the_checkpoint_before_a_damaged_one_is_evaluated(tmp_path):
  """One evaluation, and one that follows a training run that has ended."""
  config = toy.config(tmp_path)
  old, new = [toy.save_checkpoint(tmp_path, step, w=[0.]) for step in (4, 6)]
  os.truncate(new + '.data-00000-of-00001', 1)
  assert evaluation_loop.wait_for_checkpoint(config) == old

  def restore(path):
    if not checkpoints.is_complete(path):
      raise tf.errors.DataLossError(None, None, 'truncated')

  clock, evaluation = doubles.Clock(), doubles.Evaluation(restore)
  model_dir_lib.mark_finished(str(tmp_path), 6, 'finished')
  evaluation_loop.evaluate_continuously(config, evaluation, clock.sleep, clock)
  assert evaluation.steps == [4]
