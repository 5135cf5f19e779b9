"""The configuration of a training run that an evaluation follows."""

import pytest
import tensorflow.compat.v1 as tf

from executor import errors
from executor import followed
from executor import model_dir as model_dir_lib
from tests.executor import toy

_AVERAGES = dict(train__moving_average_decay=.9)


@pytest.mark.parametrize('old, new', [
    ({}, dict(anchor__anchor_size=3.)),
    ({}, dict(retinanet_parser__output_size=(64, 64))),
    ({}, dict(resnet__resnet_depth=18)),
    ({}, dict(batch_norm_activation__activation='swish')),
    ({}, dict(postprocess__nms_iou_threshold=.4)),
    ({}, dict(eval__eval_file_pattern='b')),
    ({}, dict(eval__suffix='_b')),
    # The weights, or their averages.
    ({}, _AVERAGES),
    (_AVERAGES, dict(_AVERAGES, train__frozen_variable_prefix='resnet')),
    ({}, dict(eval__use_moving_average=False))])
def test_what_is_evaluated(old, new):
  old, new = toy.config('/m', **old), toy.config('/m', **new)
  binding, others = followed.changes(old, new)
  assert len(binding) == 1 and not others
  assert followed.changes(new, old)[0]
  with pytest.raises(errors.JobError) as e:
    followed.FollowedConfig(old, lambda: new)()
  (key, values), = binding.items()
  assert '  %s: %r -> %r' % ((key,) + values) in str(e.value)
  assert '/m/params.yaml' in str(e.value) and 'Start' in str(e.value)


@pytest.mark.parametrize('old, new', [
    ({}, dict(train__total_steps=9)), ({}, dict(train__train_batch_size=8)),
    ({}, dict(train__learning_rate__init_learning_rate=.01)),
    ({}, dict(eval__eval_timeout=9.)),
    ({}, dict(train__frozen_variable_prefix='resnet')),
    (_AVERAGES, dict(train__moving_average_decay=.99)),
    ({}, dict(retinanet_parser__aug_scale_max=2.)),
    ({}, dict(dropblock__dropblock_keep_prob=.9, dropblock__dropblock_size=7)),
    ({}, dict(resnet__init_drop_connect_rate=.2)),
    ({}, dict(eval__best_metric='AP', eval__early_stop_patience=3))])
def test_what_is_taken_over(old, new, caplog):
  tf.logging.set_verbosity(tf.logging.INFO)
  old, new = toy.config('/m', **old), toy.config('/m', **new)
  binding, others = followed.changes(old, new)
  assert not binding and others
  follow = followed.FollowedConfig(old, lambda: new)
  with caplog.at_level('INFO'):
    assert follow() == new
    assert all(key in caplog.text for key in others)
    caplog.clear()
    assert follow() == new and not caplog.text  # Said once.


def test_a_training_run_has_begun(tmp_path):
  assert not followed.has_begun(str(tmp_path / 'nowhere'))
  assert not followed.has_begun(str(tmp_path))
  model_dir_lib.save_config(toy.config(tmp_path))
  assert followed.has_begun(str(tmp_path))
  (tmp_path / 'params.yaml').unlink()
  toy.save_checkpoint(tmp_path, 1, w=[0.])
  assert followed.has_begun(str(tmp_path))
