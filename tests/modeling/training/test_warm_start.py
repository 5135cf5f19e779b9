"""Warm start from another model's checkpoint."""

import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import common
from modeling.training import warm_start


def _section(path, **values):
  return common.Checkpoint(path=path, **values)


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
  plan = warm_start.warm_start(_section(saved, prefix='resnet50/'),
                               tf.global_variables(), total_steps=5)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    np.testing.assert_array_equal(session.run(kernel), [1., 2.])
    assert session.run(tf.train.get_global_step()) == 0
  assert list(plan.assignment) == ['conv2d/kernel']
  assert plan.missing == ['resnet50/new']
  assert plan.mis_shaped == [('resnet50/dense/bias', [2], [3])]
  assert plan.unused == ['dense/bias', 'extra']
  text = '\n'.join(warm_start.describe(plan))
  assert '1 variables loaded' in text
  assert 'resnet50/dense/bias is [2] here, [3] in the checkpoint' in text


def test_skip_regex(saved):
  _model()
  plan = warm_start.plan_warm_start(
      _section(saved, prefix='resnet50/', skip_variables_regex='conv2d',
               allow_no_match=True), tf.global_variables())
  assert plan.skipped == ['resnet50/conv2d/kernel']
  assert not plan.assignment


def test_nothing_matches_is_an_error(saved):
  _model()
  with pytest.raises(ValueError) as error:
    warm_start.plan_warm_start(_section(saved), tf.global_variables())
  for part in ('resnet50/conv2d/kernel', 'conv2d/kernel', 'prefix'):
    assert part in str(error.value)


def test_optimizer_state_on_request(saved):
  _model()
  plan = warm_start.plan_warm_start(
      _section(saved, prefix='resnet50/', restore_optimizer_state=True),
      tf.global_variables())
  assert sorted(plan.assignment) == ['conv2d/kernel', 'conv2d/kernel/Momentum']


def test_folder_means_its_newest_checkpoint(saved, tmp_path):
  assert warm_start.resolve_path(str(tmp_path)) == saved
  assert warm_start.resolve_path(saved + '.index') == saved
  os.remove(str(tmp_path / 'checkpoint'))  # As in a downloaded folder.
  assert warm_start.resolve_path(str(tmp_path)) == saved


def test_no_such_checkpoint(tmp_path):
  with pytest.raises(ValueError, match='no checkpoint .*nothing'):
    warm_start.resolve_path(str(tmp_path / 'nothing'))
  with pytest.raises(ValueError, match='holds no checkpoint'):
    warm_start.resolve_path(str(tmp_path))


def test_another_depth_is_named(tmp_path):
  """No prefix helps then."""
  path = _save(tmp_path, resnet101__kernel=[1.], head__bias=[2.])
  variables = _make(resnet50__kernel=[3.])
  with pytest.raises(ValueError, match='has resnet50 and the checkpoint '
                     'resnet101: weights of another depth'):
    warm_start.plan_warm_start(_section(path), variables)
  plan = warm_start.plan_warm_start(_section(path),
                                    variables + _make(head__bias=[3.]))
  assert 'weights of another depth' in '\n'.join(warm_start.describe(plan))


def _save(folder, step=None, **values):
  """A checkpoint of {name ('__' for '/'): value} and, if given, a step."""
  with tf.Graph().as_default(), tf.Session() as session:
    for name, value in values.items():
      tf.get_variable(name.replace('__', '/'), initializer=tf.constant(value))
    if step is not None:
      tf.get_variable('global_step', initializer=np.int64(step))
    session.run(tf.global_variables_initializer())
    return tf.train.Saver().save(session, str(folder / 'model.ckpt'), 1)


def _make(**values):
  for name, value in values.items():
    tf.get_variable(name.replace('__', '/'), initializer=tf.constant(value))
  return tf.global_variables()


def _started(section, **values):
  """{name: value} after a warm start of variables, and the description."""
  variables = _make(**values)
  plan = warm_start.warm_start(section, variables, total_steps=100)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    return (dict(zip(values, map(np.ravel, session.run(variables)))),
            '\n'.join(warm_start.describe(plan)))


_BOOKKEEPING = dict(current_loss_scale=4., good_steps=3, beta1_power=.5,
                    moving_normalizer=2., moving_normalizer__biased=2.)


@pytest.mark.parametrize('restore', [True, False])
def test_bookkeeping_alone_is_no_match(tmp_path, restore):
  path = _save(tmp_path, step=7, there=[1.], **_BOOKKEEPING)
  section = _section(path, restore_optimizer_state=restore)
  variables = _make(here=[0.], **_BOOKKEEPING)
  variables.append(tf.train.get_or_create_global_step())
  with pytest.raises(warm_start.WarmStartError, match='here.* there'):
    warm_start.plan_warm_start(section, variables)
  # From scratch: without the step of other weights.
  plan = warm_start.plan_warm_start(
      _section(path, restore_optimizer_state=restore, allow_no_match=True),
      variables)
  assert not plan.assignment


def test_bookkeeping_comes_on_request_only(tmp_path):
  stored = {name: value * 2 for name, value in _BOOKKEEPING.items()}
  path = _save(tmp_path, w=[1.], **stored)
  values, _ = _started(_section(path), w=[0.], **_BOOKKEEPING)
  assert values['w'] == 1 and values['moving_normalizer'] == 2.
  tf.reset_default_graph()
  values, _ = _started(_section(path, restore_optimizer_state=True), w=[0.],
                       **_BOOKKEEPING)
  assert values['moving_normalizer'] == 4. and values['good_steps'] == 6


def test_slots_of_what_is_skipped_are_skipped(tmp_path):
  path = _save(tmp_path, a=[1.], a__Momentum=[2.], b=[3.], b__Momentum=[4.])
  values, _ = _started(
      _section(path, restore_optimizer_state=True, skip_variables_regex='a$'),
      a=[0.], a__Momentum=[0.], b=[0.], b__Momentum=[0.])
  assert values == {'a': 0., 'a__Momentum': 0., 'b': 3., 'b__Momentum': 4.}


def test_skip_regex_that_skips_nothing_is_said(saved, caplog):
  _model()
  section = _section(saved, prefix='resnet50/',
                     skip_variables_regex='resnet50/dense')
  tf.logging.set_verbosity(tf.logging.WARN)
  with caplog.at_level('WARNING'):
    warm_start.warm_start(section, tf.global_variables(), 5)
  assert "('resnet50/dense') skips nothing" in caplog.text


_AVERAGED = dict(w=[1.], w__ExponentialMovingAverage=[2.], frozen=[3.])
_FRESH = dict(w=[0.], frozen=[0.])


@pytest.mark.parametrize('wanted, count, expected', [
    (None, 9, 2.), (True, 9, 2.), (False, 9, 1.), (None, 0, 1.), (True, 0, 1.),
    (None, None, 1.), (True, None, 2.)])
def test_averages_as_weights(tmp_path, wanted, count, expected):
  """null takes those of our own training; of others, as the reference does,
  the weights. Averages that have not begun are zeros."""
  own = {} if count is None else {'training__num_averaged': count}
  path = _save(tmp_path, **_AVERAGED, **own)
  values, text = _started(_section(path, use_moving_average=wanted), **_FRESH)
  assert values == {'w': expected, 'frozen': 3.}
  assert ('moving averages of the weights are used' in text) == (
      expected == 2.)
  assert ('The weights are used' in text) == (expected == 1.)


def test_averages_go_on_with_the_optimizer_state(tmp_path):
  path = _save(tmp_path, training__num_averaged=9, **_AVERAGED)
  kept = dict(training__num_averaged=0, w__ExponentialMovingAverage=[0.])
  values, text = _started(_section(path, restore_optimizer_state=True),
                          **_FRESH, **kept)
  assert values == {'w': 1., 'frozen': 3., 'training__num_averaged': 9,
                    'w__ExponentialMovingAverage': 2.}
  assert 'not their moving averages' in text


@pytest.mark.parametrize('stored', [
    dict(w=[1.], head=[5.]),
    # The average of the head is missing: a count of 9 would be wrong for it.
    dict(w=[1.], head=[5.], w__ExponentialMovingAverage=[2.],
         training__num_averaged=9),
    dict(w=[1.], head=[5.], training__num_averaged=9)])
def test_averages_that_are_not_found_begin_as_the_weights(tmp_path, stored):
  path = _save(tmp_path, **stored)
  values, text = _started(
      _section(path, restore_optimizer_state=True), w=[0.], head=[0.],
      w__ExponentialMovingAverage=[0.], head__ExponentialMovingAverage=[0.],
      training__num_averaged=0)
  assert values == {'w': 1., 'head': 5., 'training__num_averaged': 0,
                    'w__ExponentialMovingAverage': 1.,
                    'head__ExponentialMovingAverage': 5.}
  assert 'averages begin as the loaded weights' in text


def test_step_of_the_checkpoint(tmp_path):
  path = _save(tmp_path, w=[1.], step=40)
  assert warm_start.first_step(_section(''), 30) == 0
  assert warm_start.first_step(_section(path), 30) == 0
  section = _section(path, restore_optimizer_state=True)
  assert warm_start.first_step(section, 41) == 40
  for total_steps in (40, 30):
    with pytest.raises(warm_start.WarmStartError,
                       match='from step 40, .*nothing to train'):
      warm_start.first_step(section, total_steps)
  skipped = _section(path, restore_optimizer_state=True,
                     skip_variables_regex='global_step')
  assert warm_start.first_step(skipped, 30) == 0
