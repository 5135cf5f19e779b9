"""Which checkpoints are kept as the best, and when patience is at its end."""

import json
import os

import pytest
import tensorflow.compat.v1 as tf

from executor import best_checkpoint
from executor import checkpoints
from executor import early_stop
from executor import errors
from executor import evaluation_files
from executor import model_dir as model_dir_lib
from modeling.training import warm_start
from tests.executor import toy


def _evaluate(config, folder, values, **more):
  """Updates with {step: AP}, each of a checkpoint whose weight is the step."""
  for step, value in sorted(values.items()):
    path = toy.save_checkpoint(folder, step, weight=[float(step)])
    best_checkpoint.update(config, path, dict(more, AP=value))


def _kept(config):
  return sorted(checkpoints.step_of(path) for path in checkpoints.find_all(
      best_checkpoint.folder(config)))


def _record(config):
  with open(os.path.join(best_checkpoint.folder(config), 'best.json')) as f:
    return json.load(f)


def test_the_best_one_is_kept(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP')
  _evaluate(config, tmp_path, {10: .1, 20: .4, 30: .3, 40: .4})
  assert _kept(config) == [20]  # Step 40 is not better.
  best = tf.train.latest_checkpoint(best_checkpoint.folder(config))
  assert toy.is_complete(best)
  reader = tf.train.load_checkpoint(best)
  assert reader.get_tensor('weight').tolist() == [20.]
  record = _record(config)
  assert (record['metric'], record['mode']) == ('AP', 'max')
  assert record['best'][0]['step'] == 20
  assert record['best'][0]['value'] == .4
  assert record['evaluations_without_improvement'] == 2
  assert not [n for n in os.listdir(best_checkpoint.folder(config))
              if n.endswith('.part')]


@pytest.mark.parametrize('kind', ['relative', 'url'])
def test_the_best_one_is_found_wherever_it_is(tmp_path, monkeypatch, kind):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'run').mkdir()
  model_dir = {'relative': 'run', 'url': 'file://%s/run' % tmp_path}[kind]
  config = toy.config(model_dir, eval__best_metric='AP')
  for step, value in ((10, .1), (20, .4), (30, .3)):
    toy.save_checkpoint(tmp_path / 'run', step, weight=[float(step)])
    best_checkpoint.update(config, checkpoints.latest(model_dir),
                           {'AP': value})
  best = tf.train.latest_checkpoint(best_checkpoint.folder(config))
  assert best == model_dir + '/best/model.ckpt-20'
  assert warm_start.resolve_path(best_checkpoint.folder(config)) == best
  reader = tf.train.load_checkpoint(best)
  assert reader.get_tensor('weight').tolist() == [20.]


def test_several_are_kept_and_the_smallest_may_be_best(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP', eval__keep_best_max=2,
                      eval__best_metric_mode='min', eval__suffix='_a')
  _evaluate(config, tmp_path, {10: .1, 20: .4, 30: .3, 40: .05})
  assert best_checkpoint.folder(config).endswith('/best_a')
  assert _kept(config) == [10, 40]
  assert [entry['step'] for entry in _record(config)['best']] == [40, 10]
  assert checkpoints.latest_step(best_checkpoint.folder(config)) == 40


def test_repeated_evaluation_counts_once(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2)
  for _ in range(4):
    _evaluate(config, tmp_path, {10: .5, 20: .4})
  assert _record(config)['evaluations_without_improvement'] == 1
  assert early_stop.find_request(config) is None
  assert _kept(config) == [10]


def test_damaged_record_is_made_again(tmp_path):
  """From the lines of the evaluations; what they do not know is kept aside."""
  config = toy.config(tmp_path, eval__best_metric='AP', eval__keep_best_max=2)
  writer = evaluation_files.ResultWriter(model_dir_lib.eval_dir(config))
  for step, value in ((10, .5), (20, .9), (30, .8)):
    _evaluate(config, tmp_path, {step: value})
    if step != 20:
      writer.mark_done(step, {'AP': value}, checkpoints.fingerprint(
          str(tmp_path / ('model.ckpt-%d' % step))))
  folder = best_checkpoint.folder(config)
  with open(os.path.join(folder, 'best.json'), 'w') as f:
    f.write('{"metric": "AP", "best": [{')
  best_checkpoint.forget_after(config.model_dir, 30)
  _evaluate(config, tmp_path, {40: .7})
  assert [e['step'] for e in _record(config)['best']] == [30, 40]
  assert _record(config)['evaluations_without_improvement'] == 1
  aside = checkpoints.find_all(os.path.join(folder, 'earlier_run'))
  assert [checkpoints.step_of(path) for path in aside] == [20]


def test_patience(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=2,
                      eval__early_stop_min_delta=.1)
  # .55 is better than .5, but not by enough to go on.
  _evaluate(config, tmp_path, {10: .5, 20: .55})
  assert early_stop.find_request(config) is None
  _evaluate(config, tmp_path, {30: float('nan')})
  mark = early_stop.find_request(config)
  assert (mark['step'], mark['best_step'], mark['evaluations']) == (30, 10, 2)
  assert _kept(config) == [20]
  patient = toy.config(tmp_path, eval__best_metric='AP',
                       eval__early_stop_patience=3)
  assert early_stop.find_request(patient) is None
  assert early_stop.find_request(toy.config(tmp_path)) is None
  early_stop.clear(str(tmp_path))
  assert early_stop.find_request(config) is None


def test_patience_with_another_metric_is_not_obeyed(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP',
                      eval__early_stop_patience=1)
  _evaluate(config, tmp_path, {10: .5, 20: .4})
  assert early_stop.find_request(config)['step'] == 20
  other = toy.config(tmp_path, eval__best_metric='AP50',
                     eval__early_stop_patience=1)
  assert early_stop.find_request(other) is None


def test_deleted_checkpoint_is_told(tmp_path, caplog):
  tf.logging.set_verbosity(tf.logging.WARN)
  config = toy.config(tmp_path, eval__best_metric='AP')
  with caplog.at_level('WARNING'):
    best_checkpoint.update(config, str(tmp_path / 'model.ckpt-5'), {'AP': .5})
  assert 'train.keep_checkpoint_max' in caplog.text
  assert _kept(config) == [] and _record(config)['best'] == []


def test_other_metric_starts_anew(tmp_path):
  _evaluate(toy.config(tmp_path, eval__best_metric='AP'), tmp_path, {10: .9},
            AP50=.1)
  other = toy.config(tmp_path, eval__best_metric='AP50')
  _evaluate(other, tmp_path, {20: .1}, AP50=.2)
  assert _kept(other) == [20] and _record(other)['metric'] == 'AP50'


def test_unknown_metric_lists_those_there_are(tmp_path):
  # Which classes there are, the configuration does not know.
  name = 'Precision mAP ByCategory/dog'
  config = toy.config(tmp_path, eval__best_metric=name)
  with pytest.raises(errors.SetupError, match="dog'.*it has: AP, ARl"):
    _evaluate(config, tmp_path, {10: .5}, ARl=.1)


def test_checkpoint_of_another_folder_is_left_alone(tmp_path):
  other = tmp_path / 'other'
  other.mkdir()
  config = toy.config(tmp_path, eval__best_metric='AP')
  _evaluate(config, other, {10: .5})
  assert not os.path.exists(best_checkpoint.folder(config))


def _delete_checkpoints(folder, above=0):
  for path in checkpoints.find_all(str(folder)):
    if checkpoints.step_of(path) > above:
      for name in os.listdir(str(folder)):
        if name.startswith(os.path.basename(path) + '.'):
          os.remove(str(folder / name))


@pytest.mark.parametrize('suffix', ['', '_val'])
def test_new_training_in_the_folder(tmp_path, suffix):
  """It does not have to be better than the one before it."""
  config = toy.config(tmp_path, eval__best_metric='AP', eval__suffix=suffix,
                      eval__early_stop_patience=2)
  _evaluate(config, tmp_path, {10: .5, 20: .9, 30: .8, 40: .7})
  assert early_stop.find_request(config)
  _delete_checkpoints(tmp_path)
  best_checkpoint.forget_after(config.model_dir, 0)
  early_stop.forget_after(config.model_dir, 0)
  assert early_stop.find_request(config) is None
  assert _kept(config) == []
  assert checkpoints.latest(best_checkpoint.folder(config)) is None
  # Beyond the last step of the earlier one, and before it.
  _evaluate(config, tmp_path, {25: .1, 50: .2})
  assert _kept(config) == [50]
  assert _record(config)['evaluations_without_improvement'] == 0
  # Nothing is lost.
  aside = os.path.join(best_checkpoint.folder(config), 'earlier_run')
  assert [checkpoints.step_of(p) for p in checkpoints.find_all(aside)] == [20]
  assert toy.is_complete(checkpoints.find_all(aside)[0])


def test_going_back_to_an_earlier_checkpoint(tmp_path):
  config = toy.config(tmp_path, eval__best_metric='AP', eval__keep_best_max=2,
                      eval__early_stop_patience=5)
  _evaluate(config, tmp_path, {10: .5, 20: .4, 30: .9, 40: .7, 50: .6})
  assert _kept(config) == [30, 40]
  _delete_checkpoints(tmp_path, above=20)
  best_checkpoint.forget_after(config.model_dir, 35)
  assert _kept(config) == [30]
  record = _record(config)
  assert (record['improved_step'], record['improved_value']) == (30, .9)
  best_checkpoint.forget_after(config.model_dir, 20)
  assert _kept(config) == []
  record = _record(config)
  assert (record['last_step'], record['improved_value']) == (20, None)
  _evaluate(config, tmp_path, {30: .6})
  assert _kept(config) == [30]
  # A restart from where training stands forgets nothing.
  best_checkpoint.forget_after(config.model_dir, 30)
  assert _kept(config) == [30]
  folder = best_checkpoint.folder(config)
  assert [[checkpoints.step_of(p) for p in checkpoints.find_all(
      os.path.join(folder, name))] for name in (
          'earlier_run', 'earlier_run-2')] == [[40], [30]]


def test_earlier_run_that_nobody_took_away(tmp_path):
  """The checkpoint of the later step is gone; clocks tell nothing."""
  config = toy.config(tmp_path, eval__best_metric='AP')
  _evaluate(config, tmp_path, {10: .5, 20: .9})
  _delete_checkpoints(tmp_path)
  path = toy.save_checkpoint(tmp_path, 15, weight=[0.])
  os.utime(path + '.index', (1e9, 1e9))
  best_checkpoint.update(config, path, {'AP': .1})
  assert _record(config)['last_step'] == 15
  # Of the earlier run, nobody knows whether step 10 was the same.
  assert _kept(config) == [15]
