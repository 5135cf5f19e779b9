"""Mistakes are told before a graph is built."""

import pytest

from configs import base
from executor import errors
from executor import estimator as estimator_lib
from executor import model_dir as model_dir_lib
from executor import preflight
from tests.executor import toy


def _fails(match, config, mode='train', **arguments):
  with pytest.raises(errors.SetupError, match=match) as e:
    preflight.check(config, mode, **arguments)
  assert e.value.exit_code == 2


def test_good_jobs_pass(tmp_path):
  config = toy.config(tmp_path / 'new')
  preflight.check(config, 'train')
  preflight.check(config, 'train_and_eval')
  preflight.check(toy.config(tmp_path, eval__eval_file_pattern='x'), 'predict')
  preflight.check(config, 'eval', checkpoint_path=toy.save_checkpoint(
      tmp_path, 1, w=[0.]))


def test_model_dir_is_needed():
  _fails('--model_dir is not given', toy.config(''))


def test_batch_of_several_replicas(tmp_path, monkeypatch):
  monkeypatch.setattr(estimator_lib, 'num_replicas',
                      lambda config, cluster: 3)
  _fails('train_batch_size is 4', toy.config(tmp_path))


def test_warm_start_that_is_not_there(tmp_path):
  config = toy.config(tmp_path, train__checkpoint__path=str(tmp_path / 'x'))
  _fails('there is no checkpoint', config)
  # A training run that goes on does not read it.
  toy.save_checkpoint(tmp_path, 1, w=[0.])
  preflight.check(config, 'train')


def test_names_of_classes_that_the_model_does_not_have(tmp_path):
  path = tmp_path / 'names.csv'
  path.write_text('1:dog\n90:cat\n')
  config = toy.config(tmp_path / 'new', eval__label_map=str(path))
  preflight.check(config, 'train')
  path.write_text('1:dog\n91:cat\n')
  _fails('beyond those of the model: 91.*num_classes is 91', config)


def test_files_of_the_evaluation(tmp_path):
  missing = str(tmp_path / 'a.json')
  config = toy.config(tmp_path, eval__val_json_file=missing)
  preflight.check(config, 'train')
  _fails('eval.val_json_file: there is no file', config, with_eval=True)
  for mode in ('eval', 'train_and_eval'):
    _fails('eval.val_json_file', config, mode)
  _fails('eval.label_map', toy.config(tmp_path, eval__label_map=missing),
         'eval')


def test_further_metric_that_does_not_exist(tmp_path):
  _fails("A name of eval.extra_metrics is 'vok'; it can be .*voc",
         toy.config(tmp_path, eval__eval_file_pattern='x',
                    eval__extra_metrics=('voc', 'vok')), 'eval')


def test_masks_of_a_model_without_masks(tmp_path):
  config = toy.config(tmp_path, 'mask_rcnn', eval__eval_file_pattern='x',
                      architecture__include_mask=False)
  _fails('architecture.include_mask is false.*eval.type to box', config, 'eval')
  preflight.check(config, 'predict')
  preflight.check(toy.config(tmp_path, 'mask_rcnn', eval__type='box',
                             architecture__include_mask=False), 'eval')


def test_raw_outputs_cannot_be_evaluated(tmp_path):
  config = toy.config(tmp_path, postprocess__apply_nms=False,
                      eval__eval_file_pattern='x')
  preflight.check(config, 'train')
  _fails('postprocess.apply_nms is false', config, 'eval')
  _fails('postprocess.apply_nms is false', config, 'predict')


def _on_tpu(tmp_path, cores, **changes):
  return toy.config(tmp_path, use_tpu=True, train__num_shards=cores,
                    train__train_batch_size=cores, **changes)


@pytest.mark.parametrize('mode, arguments', [
    ('eval', {}), ('train_and_eval', {}), ('train', dict(with_eval=True)),
    ('predict', {})])
def test_evaluation_on_a_tpu(tmp_path, mode, arguments):
  """All that TPUEstimator would find after the training."""
  batch = ('predict.predict_batch_size' if mode == 'predict'
           else 'eval.eval_batch_size')
  files = dict(eval__eval_file_pattern='x')
  good = {batch: 16}
  preflight.check(_on_tpu(tmp_path, 8, **dict(files, **good)), mode,
                  **arguments)
  _fails('%s is 12, .* 8 cores .*choose 8 or 16' % batch,
         _on_tpu(tmp_path, 8, **dict(files, **{batch: 12})), mode, **arguments)
  _fails('--num_cores. is 32.*--mode=train, without --eval_after_training',
         _on_tpu(tmp_path, 32, **{batch: 32}), mode, **arguments)
  # Training alone does not evaluate.
  preflight.check(_on_tpu(tmp_path, 32, **{batch: 12}), 'train')


def test_precision_of_the_evaluation(tmp_path):
  config = toy.config(tmp_path, eval__precision='float16')
  preflight.check(config, 'train')
  _fails('eval.precision is float16, which only GPUs', config, 'eval')
  _fails('eval.precision is float16', config, with_eval=True)
  _fails('a TPU does not compute',
         _on_tpu(tmp_path, 8, eval__precision='float16'), 'train_and_eval')


def test_prediction_needs_records(tmp_path):
  _fails('predict.predict_file_pattern', toy.config(tmp_path), 'predict')


def test_checkpoint_path(tmp_path):
  _fails('--checkpoint_path: there is no checkpoint', toy.config(tmp_path),
         'eval', checkpoint_path=str(tmp_path / 'model.ckpt-1'))


def test_model_dir_of_another_model(tmp_path):
  model_dir_lib.save_config(toy.config(tmp_path, resnet__resnet_depth=18))
  toy.save_checkpoint(tmp_path, 1, w=[0.])
  for mode in ('train', 'eval', 'predict'):
    _fails('resnet.resnet_depth is 18 in params.yaml', toy.config(tmp_path),
           mode)


def test_one_evaluation_where_nothing_was_trained(tmp_path):
  def problems(**changes):
    return preflight.problems(preflight.Job(
        toy.config(tmp_path / 'new', **changes), 'eval', once=True))
  assert problems(eval__eval_timeout=None)[0].startswith(
      'There is no checkpoint in %s, which does not exist.' % (
          tmp_path / 'new'))
  assert not problems(eval__eval_timeout=5)  # It waits.
  inside = tmp_path / 'new' / 'model'
  inside.mkdir(parents=True)
  (inside / 'params.yaml').write_text('')
  assert problems(eval__eval_timeout=None)[0].endswith(
      'The model_dir is %s.' % inside)


def test_training_goes_on_with_the_same_meaning_only(tmp_path):
  model_dir_lib.save_config(toy.config(tmp_path, anchor__anchor_size=3.))
  toy.save_checkpoint(tmp_path, 1, w=[0.])
  config = toy.config(tmp_path, eval__eval_file_pattern='x')
  for mode in ('train', 'train_and_eval'):
    _fails('anchor.anchor_size is 3.0 in params.yaml', config, mode)
  for mode in ('eval', 'predict'):
    preflight.check(config, mode)


def test_all_that_is_wrong_comes_as_one_list(tmp_path):
  """What keys say against each other, the files, the model."""
  config = base.override(
      toy.config(tmp_path, eval__label_map=str(tmp_path / 'names.csv'),
                 postprocess__apply_nms=False,
                 train__checkpoint__path=str(tmp_path / 'x')),
      {'train': {'total_steps': 0}})
  with pytest.raises(errors.SetupError) as e:
    preflight.check(config, 'train_and_eval')
  assert len(e.value.problems) == 4
  for words, problem in zip(
      ('train.total_steps', 'there is no checkpoint', 'eval.label_map',
       'postprocess.apply_nms'), e.value.problems):
    assert words in problem and problem in str(e.value)
  assert str(e.value).startswith('4 things are wrong with this job:\n  ')
