"""What finds variables by name does the same on one device and on two.

A second device has copies of the variables, with names of their own.
"""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.training import training_variables
from tests import runtimes
from tests.modeling import small_training

_TWO = ('/cpu:0', '/cpu:1')
_FROZEN = 'resnet10/conv2d_1/kernel'
# Decay and rate of what a pattern finds differ visibly from those of the rest.
_CASES = {
    'frozen, decay, averages': dict(
        train__frozen_variable_prefix=_FROZEN,
        train__regularization_variable_regex='.*conv2d_2/kernel:0$',
        train__l2_weight_decay=5., train__moving_average_decay=.9,
        train__checkpoint__restore_optimizer_state=True),
    'lars': dict(
        train__optimizer__type='lars', train__l2_weight_decay=0.,
        train__optimizer__lars__excluded_variable_regex=(
            '.*(conv2d_2/kernel|bias):0$'),
        train__optimizer__lars__weight_decay=5.,
        train__learning_rate__init_learning_rate=.1),
}


@pytest.fixture(name='path', scope='module')
def _path(tmp_path_factory):
  """A checkpoint with averages and momenta, of step 1."""
  folder = tmp_path_factory.mktemp('first')
  config = small_training.config(train__moving_average_decay=.9)
  with small_training.Training(config, 8) as training:
    training.step(*small_training.batch(8, seed=1))
    values = training.save(folder)
  for name in values:  # Not the value that they are initialized with.
    if name.endswith('gamma'):
      values[name] = values[name] * 1.25
  with tf.Graph().as_default(), tf.Session() as session:
    variables = [tf.Variable(value, name=name)
                 for name, value in values.items()]
    session.run(tf.global_variables_initializer())
    return tf.train.Saver(variables).save(session, str(folder / 'changed'))


def _copies(training):
  """{name: [value on each device]} of all variables."""
  session, reads = training.session, {}
  with session.graph.as_default():
    for op in session.graph.get_operations():
      if op.type == 'VarHandleOp':
        reads.setdefault(training_variables.name_of(op.outputs[0]), []).append(
            tf.raw_ops.ReadVariableOp(resource=op.outputs[0],
                                      dtype=op.get_attr('dtype')))
  return session.run(reads)


def _train(folder, path, devices, case):
  """The losses of three steps, and all copies before and after them."""
  # Outside of Estimator gradients are summed over the devices; clipped, they
  # are what those of one device are.
  config = small_training.config(
      train__checkpoint__path=path, train__gradient_clip_norm=.1,
      train__checkpoint__skip_variables_regex='.*/gamma', **_CASES[case])
  with small_training.Training(config, 8, devices) as training:
    before = _copies(training)
    losses = [training.step(*small_training.batch(8, seed)) for seed in (2, 3,
                                                                         4)]
    return losses, before, _copies(training), training.save(folder)


@pytest.mark.parametrize('case', runtimes.alternate(sorted(_CASES)))
def test_two_devices_do_as_one(tmp_path, path, case):
  losses, start, after, saved = _train(tmp_path, path, (), case)
  two_losses, two_start, two_after, two_saved = _train(
      tmp_path, path, _TWO, case)
  np.testing.assert_allclose(two_losses, losses, rtol=1e-5)
  assert set(two_start) == set(start) == set(saved) == set(two_saved)
  reader = tf.train.load_checkpoint(path)
  for name, (value,) in start.items():
    # Warm start: the same bits everywhere; what is skipped, too.
    assert len(two_start[name]) == 2
    for copy in two_start[name]:
      np.testing.assert_array_equal(copy, value, err_msg=name)
    if name.endswith('kernel'):
      np.testing.assert_array_equal(value, reader.get_tensor(name))
    if name.endswith('gamma'):
      np.testing.assert_array_equal(value, 1.)
  for name, (value,) in after.items():
    for copy in two_after[name] + [two_saved[name]]:
      np.testing.assert_allclose(copy, value, rtol=0, err_msg=name,
                                 atol=1e-5 * np.abs(value).max())
  if case == 'lars':
    return
  assert saved['global_step'] == saved['training/num_averaged'] == 4
  np.testing.assert_array_equal(after[_FROZEN], start[_FROZEN])
  average = 'resnet10/conv2d_2/kernel/ExponentialMovingAverage'
  assert np.any(after[average][0] != start[average][0])
