"""Draws depend on seed, step, part, replica and number, and on nothing else."""

import ast
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from ops import random_numbers

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))
_SHAPE = [50]


def _draw(seed=1, step=0, part=0, num_parts=2, count=1):
  """`count` draws, each [50], in a graph and a session of their own."""
  with tf.Graph().as_default(), tf.Session() as session:
    tf.set_random_seed(7)  # of no importance
    with random_numbers.source(seed, step, part, num_parts):
      return session.run([random_numbers.uniform(_SHAPE)
                          for _ in range(count)])


def test_the_same_everywhere():
  first, second = _draw(count=2)
  np.testing.assert_array_equal(_draw()[0], first)
  # Of both TensorFlows.
  np.testing.assert_allclose(first[:3], [0.3465171, 0.6180923, 0.52763784],
                             rtol=1e-6)
  assert not np.isin(first, second).any()


def test_all_differ():
  draws = [_draw(seed, step, part, count=2)
           for seed in (-1, 1, 2, 2**40) for step in (0, 1, 2, 1000000)
           for part in (0, 1)]
  values = np.concatenate([value for pair in draws for value in pair])
  assert np.unique(values).size > .999 * values.size


def test_distributions():
  with random_numbers.source(3, 5):
    draws = random_numbers.uniform([40000]), random_numbers.normal([40000])
  with tf.Session() as session:
    uniform, normal = session.run(draws)
  assert uniform.min() >= 0. and uniform.max() < 1.
  assert np.histogram(uniform, 10, (0., 1.))[0] == pytest.approx(4000, abs=300)
  assert normal.mean() == pytest.approx(0., abs=.025)
  assert normal.std() == pytest.approx(1., abs=.025)


def test_neighbouring_steps_are_independent():
  """Step by step, values beside each other do not follow from each other."""
  step = tf.placeholder(tf.int64, [])
  with random_numbers.source(1, step):
    draw = random_numbers.uniform([2])
  with tf.Session() as session:
    run = session.make_callable(draw, [step])
    draws = np.stack([run(i) for i in range(2000)])
  both = np.concatenate([draws[:-1], draws[1:]], axis=1)
  correlation = np.corrcoef(both, rowvar=False)
  assert np.abs(correlation[np.triu_indices(4, 1)]).max() < .12


def test_the_step_is_read_in_every_call():
  step = tf.train.get_or_create_global_step()
  with random_numbers.source(1, step):
    draw = random_numbers.uniform(_SHAPE)
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    first, again = session.run(draw), session.run(draw)
    session.run(step.assign_add(1))
    second = session.run(draw)
  np.testing.assert_array_equal(first, again)
  np.testing.assert_array_equal(first, _draw(step=0)[0])
  np.testing.assert_array_equal(second, _draw(step=1)[0])


def test_without_a_source_every_run_differs():
  draw = random_numbers.uniform(_SHAPE)
  with tf.Session() as session:
    assert not np.isin(session.run(draw), session.run(draw)).any()


def test_sources_end_and_nest():
  with tf.Session() as session:
    with random_numbers.source(1, 0):
      with random_numbers.source(2, 0):
        inner = random_numbers.uniform(_SHAPE)
      outer = random_numbers.uniform(_SHAPE)
    inner, outer = session.run([inner, outer])
  np.testing.assert_array_equal(inner, _draw(2)[0])
  np.testing.assert_array_equal(outer, _draw(1)[0])


_PROGRAM = """
import tensorflow.compat.v1 as tf
from ops import compat
from ops import random_numbers
compat.enable_graph_mode()
with random_numbers.source(None, 0):
  print(tf.Session().run(random_numbers.uniform([]))[()])
"""


def test_without_a_seed_processes_differ_and_steps_do():
  np.testing.assert_array_equal(_draw(None), _draw(None))
  assert not np.isin(_draw(None), _draw(None, step=1)).any()
  output = subprocess.check_output([sys.executable, '-c', _PROGRAM], cwd=_ROOT,
                                   stderr=subprocess.DEVNULL)
  with tf.Session() as session, random_numbers.source(None, 0):
    here = session.run(random_numbers.uniform([]))
  assert float(output) != pytest.approx(here, abs=1e-7)


@pytest.mark.parametrize('number', [2, 3])
def test_replicas_differ(number):
  strategy = tf.distribute.MirroredStrategy(
      ['/cpu:%d' % i for i in range(number)])

  def step():
    with random_numbers.source(1, 4):
      return [random_numbers.uniform(_SHAPE) for _ in range(2)]

  with strategy.scope():
    draws = [strategy.experimental_local_results(d)
             for d in strategy.extended.call_for_each_replica(step)]
  with tf.Session(config=tf.ConfigProto(
      device_count={'CPU': number})) as session:
    draws = np.array(session.run(draws))  # [2, replicas, 50]
  assert np.unique(draws).size == draws.size
  # The first one draws what a single one does; parts come after replicas.
  np.testing.assert_array_equal(draws[:, 0],
                                _draw(step=4, num_parts=1, count=2))
  np.testing.assert_array_equal(draws[:, 1],
                                _draw(step=4, part=1, num_parts=1, count=2))


def _ancestors(tensor):
  found, pending = set(), [tensor.op]
  while pending:
    op = pending.pop()
    if op not in found:
      found.add(op)
      pending += [x.op for x in op.inputs]
  return found


@pytest.mark.parametrize('number', [1, 8])
def test_cores_of_a_tpu_differ(number):
  with tpu_function.tpu_shard_context(number):
    with random_numbers.source(1, 4):
      types = {op.type for op in _ancestors(random_numbers.uniform(_SHAPE))}
  assert ('XlaReplicaId' in types) == (number > 1)


def test_xla_compiles_them():
  step = tf.placeholder(tf.int32, [])

  def draws(step):
    with random_numbers.source(1, step):
      return random_numbers.uniform(_SHAPE), random_numbers.normal(_SHAPE)

  compiled = tf.xla.experimental.compile(draws, [step])
  with tf.Session() as session:
    first, again, second = [session.run(compiled, {step: number})
                            for number in (5, 5, 6)]
  np.testing.assert_array_equal(first, again)
  assert np.unique([first, second]).size == 4 * _SHAPE[0]


# Draws with a state, in TensorFlow's modules; initializers are classes.
_STATEFUL = re.compile(
    r'^tf\.(nn\.dropout|layers\.dropout|multinomial|truncated_normal'
    r'|random_(?!\w*initializer$)\w+'
    r'|random\.(?!stateless_|\w*initializer$)\w+'
    r'|image\.(random|sample)_\w+|distributions\.\w+)$')


def _calls(path):
  """['tf.x.y', ...] of what a file calls."""
  with open(path, encoding='utf-8') as f:
    tree = ast.parse(f.read())
  for node in ast.walk(tree):
    names = []
    while isinstance(node, ast.Attribute):
      names.append(node.attr)
      node = node.value
    if names and isinstance(node, ast.Name):
      yield '.'.join([node.id] + names[::-1])


@pytest.mark.parametrize('room', ['ops', 'architecture', 'modeling',
                                  'dataloader'])
def test_nothing_else_draws(room):
  found = [
      (os.path.relpath(os.path.join(folder, name), _ROOT), call)
      for folder, _, names in os.walk(os.path.join(_ROOT, room))
      for name in names if name.endswith('.py')
      for call in _calls(os.path.join(folder, name)) if _STATEFUL.match(call)]
  # Where there is no source.
  assert sorted(found) == ([('ops/random_numbers.py', 'tf.random_uniform')]
                           if room == 'ops' else [])
