"""Warm start from another model's checkpoint."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import checkpoints


def _section(path, **values):
  defaults = dict(path=path, prefix='', skip_variables_regex='',
                  allow_no_match=False, restore_optimizer_state=False)
  defaults.update(values)
  return types.SimpleNamespace(**defaults)


@pytest.fixture(name='saved')
def _saved(tmp_path):
  """A checkpoint {conv2d/kernel, dense/bias, extra, slot, global_step: 777}."""
  with tf.Graph().as_default():
    tf.get_variable('conv2d/kernel', initializer=[1., 2.])
    tf.get_variable('conv2d/kernel/Momentum', initializer=[5., 5.])
    tf.get_variable('dense/bias', initializer=[3., 4., 5.])
    tf.get_variable('extra', initializer=[6.])
    step = tf.train.get_or_create_global_step()
    saver = tf.train.Saver()
    with tf.Session() as session:
      session.run(tf.global_variables_initializer())
      session.run(step.assign(777))
      return saver.save(session, str(tmp_path / 'model.ckpt'), 777)


def _model():
  """resnet50/{conv2d/kernel, dense/bias of another shape, new}, slot, step."""
  kernel = tf.get_variable('resnet50/conv2d/kernel', initializer=[0., 0.])
  bias = tf.get_variable('resnet50/dense/bias', initializer=[0., 0.])
  new = tf.get_variable('resnet50/new', initializer=[0.])
  tf.get_variable('resnet50/conv2d/kernel/Momentum', initializer=[0., 0.])
  tf.train.get_or_create_global_step()
  return kernel, bias, new


def test_loads_what_fits_and_reports_the_rest(saved):
  kernel, _, _ = _model()
  plan = checkpoints.warm_start(_section(saved, prefix='resnet50/'),
                                tf.global_variables())
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(kernel), [1., 2.])
    assert session.run(tf.train.get_global_step()) == 0
  assert list(plan.assignment) == ['conv2d/kernel']
  assert plan.missing == ['resnet50/new']
  assert plan.mis_shaped == [('resnet50/dense/bias', [2], [3])]
  assert plan.unused == ['dense/bias', 'extra']
  text = '\n'.join(checkpoints.describe(plan))
  assert '1 variables loaded' in text
  assert 'resnet50/dense/bias is [2] here, [3] in the checkpoint' in text


def test_skip_regex(saved):
  _model()
  plan = checkpoints.plan_warm_start(
      _section(saved, prefix='resnet50/', skip_variables_regex='conv2d',
               allow_no_match=True), tf.global_variables())
  assert plan.skipped == ['resnet50/conv2d/kernel']
  assert not plan.assignment


def test_nothing_matches_is_an_error(saved):
  _model()
  with pytest.raises(ValueError) as error:
    checkpoints.plan_warm_start(_section(saved), tf.global_variables())
  for part in ('resnet50/conv2d/kernel', 'conv2d/kernel', 'prefix'):
    assert part in str(error.value)


def test_optimizer_state_on_request(saved):
  _model()
  plan = checkpoints.plan_warm_start(
      _section(saved, prefix='resnet50/', restore_optimizer_state=True),
      tf.global_variables())
  assert sorted(plan.assignment) == ['conv2d/kernel', 'conv2d/kernel/Momentum']


def test_folder_means_its_newest_checkpoint(saved, tmp_path):
  assert checkpoints.resolve_path(str(tmp_path)) == saved
  assert checkpoints.resolve_path(saved + '.index') == saved


def test_no_such_checkpoint(tmp_path):
  with pytest.raises(ValueError, match='no checkpoint .*nothing'):
    checkpoints.resolve_path(str(tmp_path / 'nothing'))
  with pytest.raises(ValueError, match='holds no checkpoint'):
    checkpoints.resolve_path(str(tmp_path))
