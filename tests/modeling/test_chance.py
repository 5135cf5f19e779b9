"""What training graphs draw, and the values that their variables begin with."""

import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import factory as config_factory
from dataloader import factory as dataloader_factory
from modeling import factory
from modeling.training import initial_values
from tests import runtimes
from tests.modeling import small_training
from tests.modeling import test_labels_spec
from utils import modes

_EVERYTHING = {
    'resnet': {'resnet_depth': 10, 'init_drop_connect_rate': .2},
    'dropblock': {'dropblock_keep_prob': .9, 'dropblock_size': 2},
    'train': {'transpose_input': False, 'accumulation_steps': 2, 'seed': 1,
              'recompute_activations': True}}
# Other parts that draw: {name: (model, changes, how many draws at least)}.
_CASES = {model: (model, {}, 8) for model in config_factory.MODELS}
_AT_ONCE = {'accumulation_steps': 1}  # Others accumulate; it takes seconds.
_CASES.update({
    'nasfpn': ('retinanet', {
        'architecture': dict(test_labels_spec.SMALL['retinanet'][
            'architecture'], multilevel_features='nasfpn', max_level=7),
        'train': _AT_ONCE,
        'retinanet_parser': {'output_size': [128, 128]},
        'nasfpn': {'fpn_feat_dims': 8, 'num_repeats': 1,
                   'init_drop_connect_rate': .2}}, 12),
    'efficientnet': ('classification', {
        'architecture': dict(test_labels_spec.SMALL['classification'][
            'architecture'], backbone='efficientnet-b0'),
        'train': _AT_ONCE}, 8),
    'spinenet': ('classification', {
        'architecture': dict(test_labels_spec.SMALL['classification'][
            'architecture'], backbone='spinenet'),
        'spinenet': {'model_id': '49S', 'init_drop_connect_rate': .2}}, 12),
    'spinenet_mbconv': ('classification', {
        'architecture': dict(test_labels_spec.SMALL['classification'][
            'architecture'], backbone='spinenet_mbconv'),
        'spinenet_mbconv': {'model_id': '49XS', 'init_drop_connect_rate': .2}},
                        12)})


def _train_spec(model, changes):
  """EstimatorSpec of a batch of what the parser gives."""
  sections = dict(test_labels_spec.SMALL[model])
  for name, section in list(_EVERYTHING.items()) + list(changes.items()):
    sections[name] = dict(sections.get(name, {}), **section)
  config, _ = config_factory.load_config(model, None, sections)
  parser = dataloader_factory.build_parser(config, modes.TRAIN)
  images, labels = tf.nest.map_structure(
      lambda t: tf.stack([t] * 2), parser.padding_example())
  return factory.build_model_fn(config)(
      images, labels, tf.estimator.ModeKeys.TRAIN, {})


def _ancestors(operations):
  """These operations and all that must run before them."""
  found, pending = set(), [getattr(x, 'op', x) for x in operations]
  while pending:
    op = pending.pop()
    if op not in found:
      found.add(op)
      pending += [x.op for x in op.inputs] + list(op.control_inputs)
  return found


def _draws_with_a_state(operations):
  """Whatever takes a seed as an attribute, and generators."""
  return [op.name for op in operations if op.op_def.is_stateful and (
      'seed' in op.node_def.attr or 'Rng' in op.type
      or op.type.startswith('Stateful'))]


def _draws(operations):
  return [op for op in operations if re.match(
      r'StatelessRandom(Uniform|Normal)', op.type)]


@pytest.mark.parametrize('name', runtimes.alternate(
    sorted(name for name in _CASES if 'spinenet' not in name),
    both=('classification',)) + [
        pytest.param(name, marks=pytest.mark.slow)
        for name in sorted(_CASES) if 'spinenet' in name])
def test_training_draws_from_its_seed_and_step_alone(name):
  model, changes, at_least = _CASES[name]
  spec = _train_spec(model, changes)
  operations = _ancestors([spec.train_op, spec.loss])
  assert not _draws_with_a_state(operations)
  draws = _draws(operations)
  assert len(draws) >= at_least
  step = tf.train.get_global_step()
  for draw in draws:
    assert step.handle.op in _ancestors([draw]), draw.name
  seeds = {draw.inputs[1].op for draw in draws}
  assert len(seeds) == len(draws)  # each has its own


def test_a_draw_with_a_state_is_found():
  x = tf.nn.dropout(tf.ones([2]), rate=.5)
  assert _draws_with_a_state(_ancestors([x]))


def test_parts_of_a_step_draw_differently():
  config = small_training.config(
      classification_head__dropout_rate=.5, train__accumulation_steps=2)
  images, labels = small_training.batch(4)
  with small_training.Training(config, 4) as training:
    # The first part changes no weight.
    first, second = [training.step(images, labels) for _ in range(2)]
  assert abs(first - second) > 1e-4
  with small_training.Training(config, 4) as training:
    assert training.step(images, labels) == pytest.approx(first, rel=1e-5)


def _start(devices=(), **changes):
  """{name: array} of what is trained, before the first step."""
  with small_training.Training(small_training.config(**changes), 8,
                               devices) as training:
    with training.session.graph.as_default():
      variables = tf.trainable_variables()
      return {v.op.name: value for v, value in zip(
          variables, training.session.run(variables))
              if 'replica_' not in v.op.name}


def test_equal_seeds_give_equal_weights():
  """Whatever else is in the graph, on however many devices."""
  one = _start()
  other = _start(('/cpu:0', '/cpu:1'), train__accumulation_steps=2,
                 classification_head__dropout_rate=.5)
  assert sorted(one) == sorted(other)
  for name, value in one.items():
    np.testing.assert_array_equal(other[name], value, err_msg=name)
  random = {name: value.ravel() for name, value in one.items()
            if value.std() > 0.}
  assert len(random) > 10
  # Each variable has values of its own.
  assert len({value[0] for value in random.values()}) == len(random)


def test_other_seeds_give_other_weights():
  values = []
  for seed in (1, 1, 2, None):
    with tf.Graph().as_default(), tf.Session() as session:
      tf.set_random_seed(seed)
      with initial_values.seeded(seed):
        variable = tf.get_variable('x', [5])
      session.run(variable.initializer)
      values.append(session.run(variable))
  np.testing.assert_array_equal(values[0], values[1])
  assert not np.isin(values[2], values[1]).any()
  assert not np.isin(values[3], values[1]).any()


def test_initializers_keep_their_kind():
  with initial_values.seeded(1):
    variables = [
        tf.get_variable('normal', [1000], initializer=(
            tf.random_normal_initializer(5., .1))),
        tf.get_variable('class', [2], initializer=tf.ones_initializer),
        tf.get_variable('default', [1000, 5]),
        tf.get_variable('number', [2], tf.int32),
        tf.get_variable('constant', initializer=tf.constant([7.]))]
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    normal, ones, default, number, constant = session.run(variables)
  assert normal.mean() == pytest.approx(5., abs=.02)
  assert normal.std() == pytest.approx(.1, abs=.01)
  assert list(ones) == [1, 1] and list(number) == [0, 0] and constant == 7.
  assert np.abs(default).max() == pytest.approx((6. / 1005.)**.5, rel=.01)
