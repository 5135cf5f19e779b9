"""Schedules against the reference and by hand."""

import types

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import common
from modeling.training import learning_rates
from tests import golden


def _section(**values):
  defaults = dict(type='step', warmup_learning_rate=0., warmup_steps=0,
                  init_learning_rate=1., learning_rate_levels=(),
                  learning_rate_steps=())
  defaults.update(values)
  return types.SimpleNamespace(**defaults)


def _rates(section, total_steps, steps):
  step = tf.placeholder(tf.int64, [])
  rate = learning_rates.learning_rate(section, step, total_steps)
  with tf.Session() as session:
    return np.array([session.run(rate, {step: s}) for s in steps])


@pytest.mark.parametrize('case', golden.load_cases('learning_rates'),
                         ids=lambda c: c.name)
def test_reference(case):
  params = dict(case.params)
  total_steps = params.pop('total_steps')
  steps = case.inputs['steps']
  # Beyond the last step the reference's cosine rises again; ours stays at 0.
  within = (steps <= total_steps) | (params['type'] != 'cosine')
  rates = _rates(_section(**params), total_steps, steps[within])
  np.testing.assert_allclose(rates, case.outputs['lr'][within], rtol=1e-5,
                             atol=1e-7)


def test_cosine_stays_at_zero_after_the_last_step():
  rates = _rates(_section(type='cosine'), 100, [50, 100, 101, 150])
  np.testing.assert_allclose(rates, [.5, 0., 0., 0.], atol=1e-7)


def test_warm_up_by_hand():
  section = _section(warmup_learning_rate=.1, warmup_steps=10,
                     init_learning_rate=.5, learning_rate_levels=(.05,),
                     learning_rate_steps=(20,))
  rates = _rates(section, 30, [0, 5, 10, 19, 20])
  np.testing.assert_allclose(rates, [.1, .3, .5, .5, .05], rtol=1e-6)


def test_unknown_type_lists_the_right_ones():
  with pytest.raises(ValueError, match='linear.*cosine, step'):
    _rates(_section(type='linear'), 10, [0])


def test_levels_and_steps_of_unequal_length():
  section = _section(learning_rate_levels=(.1,), learning_rate_steps=(1, 2))
  with pytest.raises(ValueError, match='1 entries.*has 2'):
    _rates(section, 10, [0])


def test_rates_are_scaled_to_the_batch():
  section = common.LearningRate(
      init_learning_rate=.08, warmup_learning_rate=.01, warmup_steps=10,
      learning_rate_levels=(.008,), learning_rate_steps=(20,),
      reference_batch_size=64)
  scaled = learning_rates.scaled(section, 16)
  np.testing.assert_allclose(_rates(scaled, 30, [0, 10, 20]),
                             [.0025, .02, .002], rtol=1e-6)
  assert scaled.warmup_steps == 10 and scaled.learning_rate_steps == (20,)
  # A scaled section is not scaled again.
  assert learning_rates.scaled(scaled, 16) is scaled
  line = learning_rates.describe_scaling(section, 16)
  assert '16 / 64' in line and 'init_learning_rate 0.08 -> 0.02' in line
  assert 'learning_rate_levels [0.008] -> [0.002]' in line


def test_rates_without_a_reference_batch():
  section = common.LearningRate()
  assert learning_rates.scaled(section, 16) is section
  assert learning_rates.describe_scaling(section, 16) == ''
