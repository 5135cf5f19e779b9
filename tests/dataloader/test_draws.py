"""Random numbers of an image: what they depend on, and that they stay."""

import numpy as np
import tensorflow.compat.v1 as tf

from dataloader import draws as draws_lib
from ops import preprocess
from ops import sampling

_SEED = [3, 11]


def _run(tensors):
  with tf.Session() as session:
    return session.run(tensors)


def _everything(seed):
  """One number or more of every kind, and some twice."""
  of_image = draws_lib.Draws(tf.constant(seed))
  source = of_image.of_source()
  return [of_image.uniform('flip'), source.uniform('flip'),
          of_image.uniform('scale'), source.uniform('scale'),
          of_image.uniform('offset', [2]), of_image.uniform('sign'),
          source.uniform('sign'), of_image.uniform('sign'),
          of_image.normal('jitter', [2]), of_image.normal('jitter', [2]),
          of_image.distinct('objects', tf.constant(10**9), 3),
          of_image.distinct('objects', tf.constant(10**9), 3)]


def _flat(values):
  return np.concatenate([np.ravel(value) for value in values])


def test_every_call_gives_other_numbers_and_the_seed_decides():
  first, again, other = [_flat(_run(_everything(seed)))
                         for seed in (_SEED, _SEED, [3, 12])]
  np.testing.assert_array_equal(first, again)
  numbers = np.concatenate([first, other])
  assert len(set(numbers)) == len(numbers)


def test_an_image_of_an_evaluation_has_the_numbers_of_its_id():
  first, again, other = _run([draws_lib.of_image(
      tf.constant(name)).normal('jitter', [3]) for name in ('7', '7', '8')])
  np.testing.assert_array_equal(first, again)
  assert not set(first) & set(other)
  # The same on every runtime.
  np.testing.assert_allclose(first, [1.116655, .192356, -.205056], atol=1e-6)


def test_the_geometry_does_not_depend_on_the_order():
  one, two = draws_lib.Draws(_SEED), draws_lib.Draws(_SEED)
  two.uniform('sign')
  two.uniform('offset', [2])
  names = ('flip', 'scale')
  values = _run([[d.uniform(name) for d in (one, two)] for name in names])
  assert all(first == second for first, second in values)


def test_numbers_of_runs_that_began_before_stay():
  """A run that goes on has to draw what it would have: written down once."""
  of_image = draws_lib.Draws(_SEED)
  def beside(number):
    return tf.constant([_SEED[0] + number, _SEED[1]], tf.int64)
  of_seed = tf.random.stateless_uniform([41], _SEED)
  pairs = [
      (of_image.uniform('flip'), of_seed[0]),
      (of_image.uniform('scale', low=.5, high=2.), .5 + 1.5 * of_seed[1]),
      (of_image.uniform('offset', [2]), of_seed[2:4]),
      (of_image.window('window', tf.constant([60, 90])),
       preprocess.random_window(tf.constant([60, 90]), tf.reshape(
           of_seed[1:], [10, 4]))),
      (of_image.distinct('anchors', tf.constant(99), 5),
       sampling.draw_distinct(tf.constant(99), 5, beside(1))),
      (of_image.normal('jitter', [3]),
       tf.random.stateless_normal([3], beside(2))),
      (of_image.uniform('sub_policy'),
       tf.random.stateless_uniform([], beside(1001))),
      (of_image.of_source().uniform('sub_policy'),
       tf.random.stateless_uniform([], beside(1002))),
      (of_image.of_source().uniform('flip'),
       tf.random.stateless_uniform([1], beside(2**20))[0])]
  for drawn, expected in _run(pairs):
    np.testing.assert_array_equal(drawn, expected)
