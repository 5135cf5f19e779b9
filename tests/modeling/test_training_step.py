"""The numbers of a training step: rate, momentum, decay, parts, replicas.

Each test fails if the step leaves out one of the things it is made of.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from modeling import factory
from modeling.training import accumulation
from modeling.training import moving_average
from modeling.training import optimizers
from modeling.training import summaries
from tests.modeling import small_training
from tests.modeling import toy_training


def _spec(experiment, mode=tf.estimator.ModeKeys.TRAIN, size=8):
  images, labels = (tf.constant(x) for x in small_training.batch(size))
  tf.set_random_seed(1)
  features = images
  if mode == tf.estimator.ModeKeys.PREDICT:
    features = {'images': images, 'labels': {
        'source_id': tf.range(size), 'label': labels}}
  return factory.build_model_fn(experiment)(features, labels, mode, {})


def _scalar(name):
  return dict(tf.get_collection(summaries.TRAINING_SCALARS))[name]


def _trained():
  """The variable of the most plain gradient: the last bias."""
  return tf.trainable_variables()[-1]


def _values(experiment, steps):
  """The last bias before each step and after the last, and the rates."""
  spec = _spec(experiment)
  variable, rate = _trained(), _scalar('learning_rate')
  gradient = tf.gradients(spec.loss, variable)[0]
  values, rates, gradients = [], [], []
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    for _ in range(steps):
      values.append(session.run(variable))
      gradients.append(session.run(gradient))
      rates.append(session.run([rate, spec.train_op])[0])
    values.append(session.run(variable))
  return values, rates, gradients


def _config(**changes):
  changes.setdefault('train__l2_weight_decay', 0.)
  return small_training.config(**changes)


def test_norm_of_the_gradients_is_that_before_clipping():
  spec = _spec(_config(train__gradient_clip_norm=1e-3))
  gradients = tf.gradients(spec.loss, tf.trainable_variables())
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    arrays, norm = session.run([[g for g in gradients if g is not None],
                                _scalar('gradient_norm')])
  assert norm == pytest.approx(np.sqrt(sum(np.sum(a ** 2.) for a in arrays)),
                               rel=1e-4)
  assert norm > 1e-3


def test_a_step_is_the_rate_times_the_gradient():
  """The rate is that of the step before the update, not after."""
  values, _, gradients = _values(_config(
      train__optimizer__momentum=0., train__learning_rate__warmup_steps=4,
      train__learning_rate__warmup_learning_rate=.01,
      train__learning_rate__init_learning_rate=.05), 3)
  for step, expected in enumerate((.01, .02, .03)):
    np.testing.assert_allclose(values[step] - values[step + 1],
                               expected * gradients[step], rtol=1e-4)


def test_momentum_of_the_configuration():
  values, rates, gradients = _values(_config(
      train__optimizer__momentum=.5, train__learning_rate__type='step',
      train__learning_rate__learning_rate_levels=[],
      train__learning_rate__learning_rate_steps=[]), 2)
  velocity = .5 * gradients[0] + gradients[1]
  np.testing.assert_allclose(values[1] - values[2], rates[1] * velocity,
                             rtol=1e-4)


def test_rates_are_scaled_to_the_batch_in_the_step():
  values, rates, gradients = _values(_config(
      train__optimizer__momentum=0.,
      train__learning_rate__reference_batch_size=4), 1)
  assert rates[0] == pytest.approx(2 * .05)
  np.testing.assert_allclose(values[0] - values[1], .1 * gradients[0],
                             rtol=1e-4)


def test_gradients_are_clipped_by_their_global_norm():
  experiment = _config(train__optimizer__momentum=0.,
                       train__gradient_clip_norm=.01)
  spec = _spec(experiment)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    before = session.run(tf.trainable_variables())
    rate = session.run([_scalar('learning_rate'), spec.train_op])[0]
    after = session.run(tf.trainable_variables())
  squares = sum(np.sum(np.square(b - a)) for a, b in zip(after, before))
  assert np.sqrt(squares) == pytest.approx(.01 * rate, rel=1e-3)


def test_batch_statistics_move_with_the_step():
  experiment = _config(batch_norm_activation__batch_norm_trainable=True)
  spec = _spec(experiment)
  statistics = [v for v in tf.global_variables() if 'moving_' in v.op.name]
  assert statistics
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    before = session.run(statistics)
    session.run(spec.train_op)
    for old, new in zip(before, session.run(statistics)):
      assert np.abs(old - new).max() > 0


def test_frozen_variables_do_not_count_as_decay():
  experiment = _config(
      train__l2_weight_decay=.1, train__regularization_variable_regex=None,
      train__frozen_variable_prefix='resnet10/')
  _spec(experiment)
  rest = [v for v in tf.trainable_variables()
          if not v.name.startswith('resnet10/')]
  assert 0 < len(rest) < len(tf.trainable_variables())
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    expected = sum(.1 * np.sum(np.square(v)) / 2 for v in session.run(rest))
    assert session.run(_scalar('l2_regularization_loss')) == pytest.approx(
        expected, rel=1e-5)


@pytest.mark.parametrize('devices', [(), ('/cpu:0', '/cpu:1')])
def test_the_mean_of_the_parts_is_applied_not_their_sum(tmp_path, devices):
  """Without clipping by norm, which would hide the difference."""
  def make(parts):
    def train_op(loss, variables, step):
      optimizer = accumulation.accumulate(
          tf.train.GradientDescentOptimizer(.1), parts)
      return optimizer.apply_gradients(
          optimizer.compute_gradients(loss, variables), global_step=step)
    return train_op

  saved = []
  for parts, on in ((1, ()), (4, devices)):
    with toy_training.Toy(make(parts), 8 // parts, on) as toy:
      for rows in np.split(toy_training.rows(8), parts):
        toy.step(rows)
      saved.append(toy.save(tmp_path)[0])
  for name in ('kernel', 'bias'):
    assert np.abs(saved[0][name] - toy_training.START[0]).max() > .01
    np.testing.assert_allclose(saved[1][name], saved[0][name], rtol=1e-5)


def test_averages_are_restored_for_predictions():
  experiment = _config(train__moving_average_decay=.9)
  spec = _spec(experiment, tf.estimator.ModeKeys.PREDICT)
  assert isinstance(spec.scaffold.saver, moving_average.AverageSaver)


def _overflowing_step(experiment):
  """(steps counted, whether a weight changed) of a step of infinite loss."""
  images, labels = small_training.batch()
  with small_training.Training(experiment, 8) as training:
    graph, session = training.session.graph, training.session
    tracked = [graph.get_collection(tf.GraphKeys.GLOBAL_STEP)[0],
               graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)[-1]]
    before = session.run(tracked)
    training.step(images * np.inf, labels)
    after = session.run(tracked)
  return after[0] - before[0], not np.array_equal(before[1], after[1])


def test_float16_scales_the_loss():
  experiment = _config(train__mixed_precision='float16')
  _spec(experiment)
  names = {v.op.name for v in tf.global_variables()}
  assert any('current_loss_scale' in name for name in names)
  tf.reset_default_graph()
  steps, has_changed = _overflowing_step(experiment)
  assert steps == 0 and not has_changed
  steps, has_changed = _overflowing_step(_config())
  assert steps == 1 and has_changed


def test_a_tpu_step_sums_the_gradients_of_all_cores():
  experiment = _config(use_tpu=True, enable_summary=False)
  with tpu_function.tpu_shard_context(2):
    spec = _spec(experiment)
  assert isinstance(spec, tf.estimator.tpu.TPUEstimatorSpec)
  sums = [op for op in tf.get_default_graph().get_operations()
          if op.type == 'CrossReplicaSum']
  assert len(sums) >= len(tf.trainable_variables())


def test_every_optimizer_takes_the_momentum_of_the_section():
  for name, has_it in (('momentum', True), ('rmsprop', True), ('lars', True),
                       ('adam', False)):
    section = _config(train__optimizer__momentum=.25,
                      train__optimizer__type=name).train.optimizer
    optimizer = optimizers.build_optimizer(section, .1)
    values = [v for k, v in vars(optimizer).items() if k == '_momentum']
    assert values == ([.25] if has_it else []), name
