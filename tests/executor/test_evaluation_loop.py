"""The loops of evaluation, with a double of the evaluation itself."""

import json
import os
import shutil

import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import evaluation_loop
from executor import model_dir as model_dir_lib
from executor import pins
from modeling import checkpoint_checks
from modeling import whole_checkpoint
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
  assert 'No training run has written there yet' in messages[0]


def test_continuous_evaluation_survives_deleted_checkpoints(tmp_path):
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 2, w=[0.])

  def during(path):
    if checkpoints.step_of(path) == 2:
      _delete(path)
      toy.save_checkpoint(tmp_path, 6, w=[0.])
      raise pins.GoneError('deleted')

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
    whole_checkpoint.verify(path)

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
  """It is believed only when no training takes it away, whatever its time."""
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 4, w=[0.])
  mark = {'step': 4, 'state': 'finished', 'time': 1e12}
  (tmp_path / 'training_finished.json').write_text(json.dumps(mark))
  clock, evaluation = doubles.Clock(), doubles.Evaluation()
  evaluation_loop.evaluate_continuously(config, evaluation, clock.sleep, clock)
  assert evaluation.steps == [4] and 300 <= clock.now < 400


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

  evaluation = doubles.Evaluation(whole_checkpoint.verify)
  model_dir_lib.mark_finished(str(tmp_path), 6, 'finished')
  clock = doubles.Clock()
  with pytest.raises(errors.NotEvaluated, match='ckpt-6.* could not be') as e:
    evaluation_loop.evaluate_continuously(config, evaluation, clock.sleep,
                                          clock)
  assert evaluation.steps == [4] and e.value.exit_code == 5
  state, _, problems = evaluation.voice.said[-1]
  assert state == 'ended' and 'ckpt-6 cannot be read' in problems[0]


def test_a_checkpoint_that_is_being_copied_is_waited_for(tmp_path):
  """Longer than one that stays damaged, and again once it is whole."""
  config = toy.config(tmp_path)
  elsewhere = tmp_path / 'elsewhere'
  elsewhere.mkdir()
  toy.save_checkpoint(elsewhere, 6, w=[0.] * 10)
  data = 'model.ckpt-6.data-00000-of-00001'
  whole = (elsewhere / data).read_bytes()

  def grow(size):
    return lambda: (tmp_path / data).write_bytes(whole[:size])

  grow(0)()
  shutil.copy(str(elsewhere / 'model.ckpt-6.index'), str(tmp_path))
  clock = doubles.Clock([(11, grow(4)), (21, grow(8)), (100, grow(None))])
  tries = []

  def during(path):
    tries.append(path)
    whole_checkpoint.verify(path)

  evaluation = doubles.Evaluation(during)
  # The run goes on, so that its end is not what is waited for.
  evaluation_loop.evaluate_continuously(
      toy.config(tmp_path, train__total_steps=7), evaluation, clock.sleep,
      clock, follow=_follow([toy.config(tmp_path, train__total_steps=7)] * 30
                            + [config]))
  assert evaluation.steps == [6] and len(tries) == 3 + 2 + 3 + 1


@pytest.mark.parametrize('content', [b'', b'{"step": ', b'[1, 2]', b'\xff\x00',
                                     b'{"step": "x", "best": {}}'])
def test_damaged_files_beside_the_checkpoints_stop_nothing(tmp_path, content):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  (tmp_path / 'training_finished.json').write_bytes(content)
  (tmp_path / 'early_stop.json').write_bytes(content)
  toy.save_checkpoint(tmp_path, 6, w=[0.])
  assert early_stop.find_request(config) is None
  early_stop.forget_after(str(tmp_path), 0)
  evaluation = doubles.Evaluation()
  evaluation_loop.evaluate_continuously(config, evaluation,
                                        doubles.Clock().sleep)
  assert evaluation.steps == [6]


def test_a_second_evaluation_into_the_folder_waits_and_gives_up(tmp_path):
  config, slept = toy.config(tmp_path), []
  with evaluation_loop.alone(config):
    with evaluation_loop.alone(toy.config(tmp_path, eval__suffix='_other')):
      pass  # Two data sets side by side.
    path = tmp_path / 'eval' / 'evaluation.lock'
    lock = json.loads(path.read_text())

    def live(seconds):
      slept.append(seconds)
      path.write_text(json.dumps(dict(
          lock, host='elsewhere', time=4e9 + len(slept))))

    live(0)
    with pytest.raises(errors.SetupError, match='elsewhere.*eval.suffix'):
      with evaluation_loop.alone(config, live):
        pass
    assert sum(slept) == 600
    with evaluation_loop.alone(config, lambda unused_seconds: path.unlink()):
      pass
    # One that was killed where the clock was ahead.
    live(0)
    with evaluation_loop.alone(config, lambda unused_seconds: None):
      pass


def test_passing_trouble_of_a_disk_is_survived(tmp_path):
  toy.save_checkpoint(tmp_path, 6, w=[0.])
  said = [tf.errors.UnavailableError(None, None, 'a bucket'),
          checkpoint_checks.BrokenCheckpointError('half')]

  def during(path):
    del path
    if said:
      raise said.pop(0)

  evaluation = doubles.Evaluation(during)
  evaluation_loop.evaluate_continuously(toy.config(tmp_path), evaluation,
                                        doubles.Clock().sleep)
  assert evaluation.steps == [6]
