"""The loops, with a toy Estimator and a double of the evaluation."""

import json
import os

import pytest
import tensorflow.compat.v1 as tf

from executor import best_checkpoint
from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import model_dir as model_dir_lib
from executor import run_lock
from tests.executor import doubles
from tests.executor import toy
from utils import modes


def _parts(config):
  estimator = estimator_lib.build_estimator(config, toy.model_fn)
  return estimator, estimator_lib.with_batch_size(toy.input_fn, config,
                                                  modes.TRAIN)


def test_train_and_eval_loses_no_step(tmp_path):
  config = toy.config(tmp_path, train__total_steps=7,
                      eval__num_steps_per_eval=3)
  evaluation = doubles.Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 7
  assert evaluation.steps == [3, 6, 7]


def test_train_and_eval_with_a_long_interval(tmp_path):
  config = toy.config(tmp_path, train__total_steps=2,
                      eval__num_steps_per_eval=1000)
  evaluation = doubles.Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 2
  assert evaluation.steps == [2]


def test_train_and_eval_goes_on_from_the_step(tmp_path):
  config = toy.config(tmp_path, train__total_steps=7,
                      eval__num_steps_per_eval=3)
  loops.train(config, *_parts(config), max_steps=4)
  evaluation = doubles.Evaluation()
  assert loops.train_and_eval(config, *_parts(config), evaluation) == 7
  assert evaluation.steps == [6, 7]


def test_train_and_eval_makes_up_for_a_missed_evaluation(tmp_path):
  config = toy.config(tmp_path, train__total_steps=4,
                      eval__num_steps_per_eval=3)
  loops.train(config, *_parts(config), max_steps=3)
  evaluation = doubles.Evaluation()
  loops.train_and_eval(config, *_parts(config), evaluation)
  assert evaluation.steps == [3, 4]
  # Now all is done: nothing is trained or evaluated again.
  loops.train_and_eval(config, *_parts(config), evaluation)
  assert evaluation.steps == [3, 4]


class _CountingHook(tf.train.SessionRunHook):
  """Counts the calls of the training step."""

  def __init__(self):
    self.calls = 0

  def after_run(self, run_context, run_values):
    self.calls += 1


def test_hooks_from_outside_see_every_step(tmp_path):
  """A new one for each start of training."""
  config = toy.config(tmp_path, train__total_steps=7,
                      eval__num_steps_per_eval=3)
  made = []
  def make(experiment):
    assert experiment is config
    made.append(_CountingHook())
    return made[-1]
  loops.train_and_eval(config, *_parts(config), doubles.Evaluation(),
                       make_hooks=[make])
  assert [hook.calls for hook in made] == [3, 3, 1]


def _stop_request(config, step):
  early_stop.request(config, step, best_step=step, best_value=.5,
                     evaluations=2)


def test_train_and_eval_ends_early(tmp_path):
  config = toy.config(tmp_path, train__total_steps=9,
                      eval__num_steps_per_eval=3, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  evaluation = doubles.Evaluation(during=lambda path: (
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


def test_training_that_went_back_does_not_obey_a_later_mark(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  loops.train(config, *_parts(config), max_steps=2)
  _stop_request(config, 4)
  assert loops.train(config, *_parts(config)) == 6
  assert early_stop.find_request(config) is None


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


def test_configuration_is_there_before_the_first_checkpoint(tmp_path):
  """An evaluation that finds a checkpoint finds its configuration, too."""
  config = toy.config(tmp_path)
  seen = []

  class Saving(tf.train.SessionRunHook):

    def after_create_session(self, session, coord):
      seen.extend(os.listdir(str(tmp_path)))

  def watched_model_fn(features, labels, mode, params):
    return toy.model_fn(features, labels, mode, params)._replace(
        training_hooks=[Saving()])

  model_dir_lib.mark_finished(str(tmp_path), 3, 'finished')
  estimator = estimator_lib.build_estimator(config, watched_model_fn)
  loops.train(config, estimator, _parts(config)[1], max_steps=2)
  assert 'params.yaml' in seen and 'model.ckpt-0.index' in seen
  assert (os.path.getmtime(str(tmp_path / 'params.yaml'))
          <= os.path.getmtime(str(tmp_path / 'model.ckpt-0.index')))
  assert model_dir_lib.read_finished(str(tmp_path)) is None


def _contents(folder):
  return {name: (folder / name).read_bytes() for name in (
      'params.yaml', 'training_finished.json', 'early_stop.json',
      'best/best.json')}


def _finished_run(tmp_path):
  """model_dir of two steps, with the files that a start may change."""
  config = toy.config(tmp_path, eval__best_metric='AP', train__total_steps=2,
                      eval__early_stop_patience=2)
  loops.train(config, *_parts(config))
  best_checkpoint.update(config, checkpoints.latest(str(tmp_path)), {'AP': .5})
  model_dir_lib.mark_finished(str(tmp_path), 2, 'finished')
  _stop_request(config, 3)


def test_start_with_nothing_to_do_changes_nothing(tmp_path, caplog):
  tf.logging.set_verbosity(tf.logging.INFO)
  _finished_run(tmp_path)
  before = _contents(tmp_path)
  config = toy.config(tmp_path, train__total_steps=2, train__seed=3)
  with caplog.at_level('INFO'):
    assert loops.train(config, *_parts(config)) == 2
  assert _contents(tmp_path) == before
  assert 'nothing to train' in caplog.text
  assert 'train.seed is None in params.yaml' in caplog.text


def test_refused_start_changes_nothing(tmp_path):
  _finished_run(tmp_path)
  before = _contents(tmp_path)
  config = toy.config(tmp_path, train__seed=3)

  def other_model_fn(features, labels, mode, params):
    tf.get_variable('other', [])
    return toy.model_fn(features, labels, mode, params)

  with pytest.raises(errors.SetupError, match='another model'):
    loops.train(config, estimator_lib.build_estimator(config, other_model_fn),
                _parts(config)[1])
  assert _contents(tmp_path) == before
  # The next one begins.
  assert loops.train(config, *_parts(config)) == 6
  assert 'seed: 3' in (tmp_path / 'params.yaml').read_text()
  assert 'seed: null' in (tmp_path / 'params.2.yaml').read_text()
  assert not (tmp_path / 'training_finished.json').exists()


def test_new_training_in_the_folder_of_another(tmp_path):
  _finished_run(tmp_path)
  for path in tmp_path.glob('*ckpt*'):
    path.unlink()
  (tmp_path / 'checkpoint').unlink()
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  assert loops.train(config, *_parts(config)) == 6
  best_checkpoint.update(config, checkpoints.latest(str(tmp_path)), {'AP': .1})
  assert checkpoints.latest_step(best_checkpoint.folder(config)) == 6


def _cut(path):
  data = path + '.data-00000-of-00001'
  os.truncate(data, os.path.getsize(data) // 2)


def _trained_twice(tmp_path):
  """A configuration, after two steps of which each was saved."""
  config = toy.config(tmp_path, train__total_steps=4,
                      train__save_checkpoints_steps=1)
  loops.train(config, *_parts(config), max_steps=2)
  paths = checkpoints.find_all(str(tmp_path))
  assert [checkpoints.step_of(path) for path in paths] == [0, 1, 2]
  return config, paths


def test_training_goes_on_from_the_checkpoint_before_a_damaged_one(
    tmp_path, monkeypatch):
  config, paths = _trained_twice(tmp_path)
  _cut(paths[-1])
  messages = []
  monkeypatch.setattr(tf.logging, 'warning', lambda text, *args: (
      messages.append(text % args)))
  assert loops.train(config, *_parts(config)) == 4
  assert any('model.ckpt-2 is cut off' in text for text in messages)
  assert any('is used: %s.' % paths[1] in text for text in messages)
  # What was damaged has been written again.
  assert all(toy.is_complete(path)
             for path in checkpoints.find_all(str(tmp_path)))


def test_training_does_not_begin_anew_where_all_checkpoints_are_damaged(
    tmp_path):
  config, paths = _trained_twice(tmp_path)
  for path in paths:
    _cut(path)
  with pytest.raises(errors.SetupError, match='No checkpoint in .* is whole'):
    loops.train(config, *_parts(config))


def test_an_empty_file_that_should_name_the_newest(tmp_path):
  config, _ = _trained_twice(tmp_path)
  (tmp_path / 'checkpoint').write_text('')
  assert loops.train(config, *_parts(config)) == 4


def test_an_empty_file_and_no_checkpoint(tmp_path):
  (tmp_path / 'checkpoint').write_text('')
  config = toy.config(tmp_path, train__total_steps=1)
  assert loops.train(config, *_parts(config)) == 1


class _Delete(tf.train.SessionRunHook):
  """Deletes a folder after the third step."""

  def __init__(self, config):
    self._folder, self._calls = config.model_dir, 0

  def after_run(self, run_context, run_values):
    del run_context, run_values
    self._calls += 1
    if self._calls == 3:
      tf.gfile.DeleteRecursively(self._folder)


@pytest.mark.parametrize('by', ['lines', 'checkpoints'])
def test_a_folder_that_is_deleted_ends_the_run(tmp_path, by):
  config = toy.config(
      tmp_path / 'run', **{'train__total_steps': 9, 'train__log_every_steps':
                           1 if by == 'lines' else 100,
                           'train__save_checkpoints_steps':
                           5 if by == 'checkpoints' else 100})
  with pytest.raises(errors.JobError, match='was deleted, moved or emptied'):
    with run_lock.held(config.model_dir):
      loops.train(config, *_parts(config), make_hooks=[_Delete])
  assert not (tmp_path / 'run').exists()  # Nothing made it again.
