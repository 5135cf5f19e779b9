"""The loops, with a toy Estimator and a double of the evaluation."""

import json
import os

import pytest
import tensorflow.compat.v1 as tf

from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import model_dir as model_dir_lib
from tests.executor import toy
from utils import modes


class _Evaluation:
  """Notes what is evaluated; may fail or change the folder."""

  def __init__(self, during=None):
    self.paths = []
    self._during = during or (lambda path: None)

  @property
  def steps(self):
    return [checkpoints.step_of(path) for path in self.paths]

  def is_done(self, path):
    return path in self.paths

  def run(self, path):
    self._during(path)
    self.paths.append(path)


def _parts(config):
  estimator = estimator_lib.build_estimator(config, toy.model_fn)
  return estimator, estimator_lib.with_batch_size(toy.input_fn, config,
                                                  modes.TRAIN)


def _delete(path):
  for name in os.listdir(os.path.dirname(path)):
    if name.startswith(os.path.basename(path) + '.'):
      os.remove(os.path.join(os.path.dirname(path), name))


class _Clock:
  """Time that passes by sleeping; `events` are called when it is theirs."""

  def __init__(self, events=()):
    self.now = 0
    self.slept = []
    self._events = sorted(events, key=lambda e: e[0])

  def __call__(self):
    return self.now

  def sleep(self, seconds):
    self.slept.append(seconds)
    self.now += seconds
    while self._events and self._events[0][0] <= self.now:
      self._events.pop(0)[1]()


def test_train_and_eval_loses_no_step(tmp_path):
  config = toy.config(tmp_path, train__total_steps=7,
                      eval__num_steps_per_eval=3)
  evaluation = _Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 7
  assert evaluation.steps == [3, 6, 7]


def test_train_and_eval_with_a_long_interval(tmp_path):
  config = toy.config(tmp_path, train__total_steps=2,
                      eval__num_steps_per_eval=1000)
  evaluation = _Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 2
  assert evaluation.steps == [2]


def test_train_and_eval_goes_on_from_the_step(tmp_path):
  config = toy.config(tmp_path, train__total_steps=7,
                      eval__num_steps_per_eval=3)
  loops.train(config, *_parts(config), max_steps=4)
  evaluation = _Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 7
  assert evaluation.steps == [6, 7]


def test_train_and_eval_makes_up_for_a_missed_evaluation(tmp_path):
  config = toy.config(tmp_path, train__total_steps=4,
                      eval__num_steps_per_eval=3)
  loops.train(config, *_parts(config), max_steps=3)
  evaluation = _Evaluation()
  loops.train_and_eval(config, *_parts(config), evaluation)
  assert evaluation.steps == [3, 4]
  # Now all is done: nothing is trained or evaluated again.
  loops.train_and_eval(config, *_parts(config), evaluation)
  assert evaluation.steps == [3, 4]


def _stop_request(config, step):
  early_stop.request(config, step, best_step=step, best_value=.5,
                     evaluations=2)


def test_train_and_eval_ends_early(tmp_path):
  config = toy.config(tmp_path, train__total_steps=9,
                      eval__num_steps_per_eval=3, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  evaluation = _Evaluation(during=lambda path: (
      checkpoints.step_of(path) == 6 and _stop_request(config, 6)))
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 6
  assert evaluation.steps == [3, 6]
  # The same command does not go on; with more patience it does.
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 6
  patient = toy.config(tmp_path, train__total_steps=9,
                       eval__num_steps_per_eval=3, eval__best_metric='AP',
                       eval__early_stop_patience=3)
  assert loops.train_and_eval(patient, *_parts(patient), evaluation) == 9


def test_train_sees_the_mark_of_another_job(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  loops.train(config, *_parts(config), max_steps=1)

  def marked_input_fn(params, input_context=None):
    # The evaluation leaves its mark while the training runs.
    _stop_request(config, 1)
    return toy.input_fn(params, input_context)

  estimator, _ = _parts(config)
  sized = estimator_lib.with_batch_size(marked_input_fn, config, modes.TRAIN)
  assert loops.train(config, estimator, sized) == 2
  assert checkpoints.latest_step(str(tmp_path)) == 2
  assert loops.train(config, estimator, sized) == 2


def test_mark_of_an_earlier_training_is_cleared(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  _stop_request(config, 1)
  assert loops.train(config, *_parts(config)) == 6
  assert early_stop.find_request(config) is None


def test_train_at_the_end_does_nothing(tmp_path):
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 6, weight=[0., 0.])
  assert loops.train(config, None, None) == 6


def test_train_goes_on_in_a_folder_without_the_file_of_the_newest(tmp_path):
  """As of a download of nothing but model.ckpt-3.*."""
  for steps in (3, 4):
    config = toy.config(tmp_path, train__total_steps=steps,
                        train__log_every_steps=1)
    assert loops.train(config, *_parts(config)) == steps
    (tmp_path / 'checkpoint').unlink()
  log = (tmp_path / 'train_metrics.jsonl').read_text().splitlines()
  assert [json.loads(line)['step'] for line in log] == [1, 2, 3, 4]


def test_train_refuses_the_checkpoint_of_another_model(tmp_path):
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 2, weight=[0., 0., 0.], other=[1.])
  with pytest.raises(errors.SetupError) as e:
    loops.train(config, *_parts(config))
  assert 'weight is [3] in the checkpoint, [2] in the model' in str(e.value)
  assert 'global_step' in str(e.value)


def test_continuous_evaluation_follows_a_training(tmp_path):
  config = toy.config(tmp_path, eval__min_eval_interval=60)

  def save(step):
    return lambda: toy.save_checkpoint(tmp_path, step, w=[0.])

  clock = _Clock([(20, save(0)), (30, save(2)), (400, save(4)),
                  (410, save(5)), (900, save(6))])
  evaluation = _Evaluation()
  loops.evaluate_continuously(config, evaluation, clock.sleep, clock)
  # 4 was followed by 5 within the pause after it; 0 is untrained.
  assert evaluation.steps in ([2, 4, 5, 6], [2, 5, 6])
  assert 60 in clock.slept


def test_continuous_evaluation_of_every_checkpoint(tmp_path):
  config = toy.config(tmp_path, eval__eval_every_checkpoint=True)
  for step in (2, 4, 6):
    toy.save_checkpoint(tmp_path, step, w=[0.])
  evaluation = _Evaluation()
  evaluation.paths.append(checkpoints.find_all(str(tmp_path))[0])
  loops.evaluate_continuously(config, evaluation)
  assert evaluation.steps == [2, 4, 6]


def test_continuous_evaluation_tells_what_it_waits_for(tmp_path, caplog):
  tf.logging.set_verbosity(tf.logging.INFO)
  config = toy.config(tmp_path, eval__eval_timeout=700)
  clock = _Clock()
  with caplog.at_level('INFO'):
    with pytest.raises(errors.EvalTimeout, match='for 12 min') as e:
      loops.evaluate_continuously(config, _Evaluation(), clock.sleep, clock)
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

  evaluation = _Evaluation(during)
  loops.evaluate_continuously(config, evaluation, _Clock().sleep)
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

  evaluation = _Evaluation(during)
  loops.evaluate_continuously(config, evaluation, _Clock().sleep)
  assert len(attempts) == 3 and evaluation.steps == [6]


def test_continuous_evaluation_does_not_hide_other_errors(tmp_path):
  def during(path):
    raise ValueError('a mistake in the program')
  toy.save_checkpoint(tmp_path, 2, w=[0.])
  with pytest.raises(ValueError, match='a mistake'):
    loops.evaluate_continuously(toy.config(tmp_path), _Evaluation(during))


def test_continuous_evaluation_ends_with_a_training_that_ended(tmp_path):
  config = toy.config(tmp_path, eval__min_eval_interval=1000)
  toy.save_checkpoint(tmp_path, 4, w=[0.])
  evaluation = _Evaluation()

  def sleep(unused_seconds):
    model_dir_lib.mark_finished(str(tmp_path), 4, 'diverged')

  with pytest.raises(errors.TrainingDiverged, match='after step 4'):
    loops.evaluate_continuously(config, evaluation, sleep)
  assert evaluation.steps == [4]


def test_finish_mark_of_an_earlier_training(tmp_path):
  """It is believed only when no training takes it away."""
  config = toy.config(tmp_path)
  toy.save_checkpoint(tmp_path, 4, w=[0.])
  model_dir_lib.mark_finished(str(tmp_path), 4, 'finished')
  later = _Clock()
  later.now = 1e12
  evaluation = _Evaluation()
  loops.evaluate_continuously(config, evaluation, later.sleep, later)
  assert evaluation.steps == [4] and 300 <= later.now - 1e12 < 400


def test_waiting_for_one_checkpoint(tmp_path):
  with pytest.raises(errors.SetupError, match='There is no checkpoint'):
    loops.wait_for_checkpoint(toy.config(tmp_path))
  config = toy.config(tmp_path, eval__eval_timeout=100)
  clock = _Clock([(50, lambda: toy.save_checkpoint(tmp_path, 1, w=[0.]))])
  assert checkpoints.step_of(
      loops.wait_for_checkpoint(config, clock.sleep, clock)) == 1
