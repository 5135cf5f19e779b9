"""Averages against NumPy, on one device and on two; how they are restored."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling.training import accumulation
from modeling.training import moving_average
from tests.modeling import toy_training

_DECAY = .3
_NAMES = ('kernel', 'bias', 'norm/moving_mean')


def _make_train_op(parts=1):
  def make(loss, variables, step):
    optimizer = accumulation.accumulate(
        tf.train.GradientDescentOptimizer(.1), parts)
    gradients = optimizer.compute_gradients(loss, variables)
    before = tf.identity(step)
    with tf.control_dependencies([before]):
      train_op = optimizer.apply_gradients(gradients, global_step=step)
    every = moving_average.averaged_variables(variables)
    return moving_average.update_after(train_op, before, every, _DECAY, step)
  return make


def _expected(history):
  """The average of values after each update."""
  average = 0.
  for n, value in enumerate(history):
    average += (1. - min(_DECAY, n / (n + 9.))) * (value - average)
  return average


@pytest.mark.parametrize('devices', [(), ('/cpu:0', '/cpu:1')])
def test_averages_by_hand(tmp_path, devices):
  history = []
  with toy_training.Toy(_make_train_op(), 4, devices) as toy:
    for step in range(6):
      toy.step(toy_training.rows(4, step))
      history.append(toy.save(tmp_path)[0])
  assert history[-1]['training/num_averaged'] == 6
  assert not np.allclose(history[-1]['kernel'], history[0]['kernel'])
  for count in (1, 2, 6):
    for name in _NAMES:
      np.testing.assert_allclose(
          history[count - 1][name + '/ExponentialMovingAverage'],
          _expected([values[name] for values in history[:count]]),
          rtol=1e-5, atol=1e-6, err_msg=name)


def test_parts_of_an_accumulation_leave_the_averages_alone(tmp_path):
  with toy_training.Toy(_make_train_op(parts=3), 2) as toy:
    seen = []
    for part in range(6):
      toy.step(toy_training.rows(2, part))
      seen.append(toy.save(tmp_path)[0])
  counts = [values['training/num_averaged'] for values in seen]
  assert counts == [0, 0, 1, 1, 1, 2]
  name = 'kernel/ExponentialMovingAverage'
  np.testing.assert_array_equal(seen[2][name], seen[4][name])
  np.testing.assert_allclose(seen[5][name], _expected(
      [seen[2]['kernel'], seen[5]['kernel']]), rtol=1e-5)


def _save(folder, **values):
  with tf.Graph().as_default(), tf.Session() as session:
    for name, value in values.items():
      tf.get_variable(name.replace('__', '/'), initializer=tf.constant(value))
    session.run(tf.global_variables_initializer())
    return tf.train.Saver().save(session, str(folder / 'model.ckpt'), 1)


def _restore(path, unwanted=''):
  """kernel, bias (not averaged) of an AverageSaver."""
  kernel = tf.get_variable('kernel', [1])
  bias = tf.get_variable('bias', [1])
  saver = moving_average.AverageSaver([kernel, bias], [kernel], unwanted)
  with tf.Session() as session:
    saver.restore(session, path)
    return [float(v) for v in session.run([kernel, bias])]


@pytest.fixture(name='said')
def _said(caplog):
  """What is logged."""
  tf.logging.set_verbosity(tf.logging.INFO)
  with caplog.at_level('INFO'):
    yield caplog


_AVERAGED = dict(kernel=[1.], bias=[2.], kernel__ExponentialMovingAverage=[3.])


def test_restores_averages(tmp_path, said):
  assert _restore(_save(tmp_path, **_AVERAGED)) == [3., 2.]
  assert 'moving averages of the weights are used' in said.text


def test_averages_that_have_not_begun_are_zeros(tmp_path, said):
  untrained = dict(_AVERAGED, kernel__ExponentialMovingAverage=[0.])
  path = _save(tmp_path, training__num_averaged=0, **untrained)
  assert _restore(path) == [1., 2.]
  assert 'weights are used: their moving averages begin' in said.text
  tf.reset_default_graph()
  path = _save(tmp_path, training__num_averaged=1, **_AVERAGED)
  assert _restore(path) == [3., 2.]


def test_restores_weights_on_request(tmp_path, said):
  path = _save(tmp_path, **_AVERAGED)
  assert _restore(path, 'eval.use_moving_average is false') == [1., 2.]
  assert 'not their moving averages' in said.text
  assert 'eval.use_moving_average is false' in said.text
  said.clear()
  tf.reset_default_graph()
  path = _save(tmp_path, kernel=[1.], bias=[2.])
  assert _restore(path, 'train.moving_average_decay is 0') == [1., 2.]
  assert 'the weights' not in said.text  # There is nothing to choose from.


def test_restores_weights_where_there_are_no_averages(tmp_path, said):
  assert _restore(_save(tmp_path, kernel=[1.], bias=[2.])) == [1., 2.]
  assert 'has no moving averages' in said.text


def test_some_averages_are_an_error(tmp_path):
  path = _save(tmp_path, kernel=[1.], kernel__ExponentialMovingAverage=[3.])
  with pytest.raises(moving_average.AverageError, match='lacks 1 .*bias'):
    moving_average.has_averages(path, ['kernel/ExponentialMovingAverage',
                                       'bias/ExponentialMovingAverage'])
