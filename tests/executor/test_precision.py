"""Number formats, compilation and profiles of training without a TPU."""

import json
import os

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from executor import errors
from executor import estimator as estimator_lib
from executor import loops
from executor import precision
from modeling.training import optimizers
from ops import compat
from tests.executor import toy


def _config(**changes):
  return toy.config('/m', **changes)


def test_session_config(monkeypatch):
  # TensorFlow ends the process at a flag that it does not know.
  other = '--tf_xla_min_cluster_size=4'
  monkeypatch.setenv('TF_XLA_FLAGS', other)
  options = precision.session_config(_config()).graph_options
  assert options.optimizer_options.global_jit_level == 0
  assert options.rewrite_options.auto_mixed_precision == 0
  assert os.environ['TF_XLA_FLAGS'] == other
  options = precision.session_config(_config(
      train__use_xla=True, train__mixed_precision='float16')).graph_options
  assert options.optimizer_options.global_jit_level == (
      tf.OptimizerOptions.ON_1)
  assert options.rewrite_options.auto_mixed_precision == (
      options.rewrite_options.ON)
  assert os.environ['TF_XLA_FLAGS'] == other + ' --tf_xla_cpu_global_jit'
  # bfloat16 is in the graph already.
  options = precision.session_config(_config(
      train__mixed_precision='bfloat16')).graph_options
  assert options.rewrite_options.auto_mixed_precision == 0


@pytest.mark.parametrize('gpus, iterations', [([], 1), (['/gpu:0'], 0)])
def test_graphs_are_optimized_once_where_that_is_enough(monkeypatch, gpus,
                                                        iterations):
  monkeypatch.setattr(precision.devices, 'gpu_names', lambda: gpus)
  options = precision.session_config(_config()).graph_options.rewrite_options
  assert options.meta_optimizer_iterations == iterations
  assert options.memory_optimization == (
      options.DEFAULT_MEM_OPT if gpus else options.NO_MEM_OPT)


@pytest.mark.parametrize('wanted, gpus, capabilities, words', [
    ('float16', [], [], 'sees none.*bfloat16'),
    ('float16', ['/gpu:0'], [6.1],
     'is float16, .* 7.0 .*one here has 6.1.*to null'),
    ('bfloat16', ['/gpu:0'] * 2, [8.0, 7.5],
     '8.0 .*has 7.5. Set it to float16')])
def test_devices_that_cannot(wanted, gpus, capabilities, words):
  if wanted == 'bfloat16' and not compat.HAS_BFLOAT16_ON_GPUS:
    words = 'cannot compute on GPUs'
  with pytest.raises(errors.SetupError, match=words):
    precision.check(_config(train__mixed_precision=wanted), gpus, capabilities)


@pytest.mark.parametrize('wanted, gpus, capabilities', [
    (None, [], []), ('bfloat16', [], []), ('float16', ['/gpu:0'], [7.0]),
    ('float16', ['/gpu:0'], [None])])
def test_devices_that_can(wanted, gpus, capabilities):
  precision.check(_config(train__mixed_precision=wanted), gpus, capabilities)


def _step_with_scaled_loss(factors, step_values):
  """Weights after a step of each value, on replicas with these factors.

  The loss of a replica is weight * value * its factor.
  """
  strategy = tf.distribute.MirroredStrategy(
      ['/cpu:%d' % i for i in range(len(factors))])
  value = tf.placeholder(tf.float32, [])
  with strategy.scope():
    def step():
      replica = tf.distribute.get_replica_context().replica_id_in_sync_group
      weight = tf.get_variable('weight', initializer=tf.constant(1.))
      loss = weight * value * tf.gather(tf.constant(factors), replica)
      optimizer = optimizers.LossScaling(optimizers.GlobalNormClipping(
          tf.train.GradientDescentOptimizer(1.), 100.))
      gradients = optimizer.compute_gradients(loss, [weight])
      return optimizer.apply_gradients(
          gradients, tf.train.get_or_create_global_step())
    train_op = strategy.group(strategy.extended.call_for_each_replica(step))
  variables = {v.op.name: v for v in tf.global_variables()}
  results = []
  with tf.Session(config=tf.ConfigProto(
      device_count={'CPU': len(factors)})) as session:
    session.run(tf.global_variables_initializer())
    for number in step_values:
      session.run(train_op, {value: number})
      results.append(session.run(
          [variables['weight'], variables['current_loss_scale']]))
  return results


@pytest.mark.parametrize('factors', [[1., 3.], [1., 0., 2., 5.]])
def test_loss_scaling(factors):
  """Steps are those of the sum of the gradients, one overflow is left out."""
  (first, scale), (second, halved), (third, _) = _step_with_scaled_loss(
      factors, [.25, np.inf if factors[1] else 3e38, .25])
  assert np.isclose(first, 1. - .25 * sum(factors))
  # The overflow may be in another replica than the first.
  assert second == first and halved == scale / 2.
  assert np.isclose(third, first - .25 * sum(factors))


def test_xla_and_profile(tmp_path, monkeypatch):
  """XLA compiles the step, to the same weights; a timeline is written."""
  monkeypatch.setenv('TF_XLA_FLAGS', '')
  weights = []
  for name, changes in (('plain', {}), ('xla', dict(
      train__use_xla=True, train__profile_every_n_steps=2))):
    config = toy.config(tmp_path / name, **changes)
    estimator = estimator_lib.build_estimator(config, toy.model_fn)
    loops.train(config, estimator, estimator_lib.with_batch_size(
        toy.input_fn, config, 'train'))
    weights.append(estimator.get_variable_value('weight'))
  np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)
  timelines = sorted((tmp_path / 'xla' / 'profile').glob('timeline-*.json'))
  assert timelines and not (tmp_path / 'plain' / 'profile').exists()
  assert json.loads(timelines[0].read_text())['traceEvents']
