"""Tests of ops/sampling.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from ops import sampling
from tests import golden
from tests import runtimes


def _run(fetches, feeds=None):
  with tf.Session() as session:
    return session.run(fetches, feeds)


def slow_balanced_sample(indicator, labels, num_samples, positive_fraction,
                         permutation):
  """One image [N], step by step as published training does it."""
  indicator = np.array(indicator)
  for index in np.flatnonzero(~indicator):
    if indicator.sum() < num_samples:
      indicator[index] = True
  signed = []
  for place, index in enumerate(permutation):
    sign = (1 if labels[index] else -1) if indicator[index] else 0
    signed.append(sign * (place + 1))
  signed = sorted(signed, reverse=True)
  num_positives = min(int(num_samples * positive_fraction),
                      sum(key > 0 for key in signed))
  num_negatives = min(num_samples - num_positives, len(signed))
  chosen = signed[:num_positives] + signed[len(signed) - num_negatives:]
  sampled = np.zeros(len(labels), bool)
  for key in chosen:
    sampled[permutation[max(abs(key) - 1, 0)]] = True
  return sampled


@pytest.mark.parametrize('case', golden.load_cases('balanced_sampler'),
                         ids=lambda case: case.name)
def test_equals_the_reference(case):
  inputs = case.inputs
  arguments = (case.params['batch_size'], case.params['positive_fraction'])
  sampled = _run(sampling.balanced_sample(
      tf.constant(inputs['indicator'][np.newaxis]),
      tf.constant(inputs['labels'][np.newaxis]), *arguments,
      permutation=tf.constant(inputs['perm'][np.newaxis])))
  np.testing.assert_array_equal(sampled[0], case.outputs['static'])
  np.testing.assert_array_equal(
      slow_balanced_sample(inputs['indicator'], inputs['labels'], *arguments,
                           permutation=inputs['perm']), case.outputs['static'])


@pytest.mark.parametrize('shares, num_samples', runtimes.product([
    (0., .5), (.1, .5), (.5, 0.), (.5, .1), (.9, .5), (1., .9), (.9, 1.)],
    [1, 16, 30, 40]), ids=str)
def test_equals_the_slow_one(shares, num_samples):
  """Every image of a batch for itself; also with too few of anything."""
  candidates, positives = shares
  rng = np.random.RandomState(num_samples)
  shape = (20, 30)
  indicator = rng.uniform(size=shape) < candidates
  labels = rng.uniform(size=shape) < positives
  permutation = np.stack([rng.permutation(30) for _ in range(20)])
  for fraction in (0., .25, 1.):
    sampled = _run(sampling.balanced_sample(
        tf.constant(indicator), tf.constant(labels), num_samples, fraction,
        permutation=tf.constant(permutation, tf.int32)))
    for image in range(20):
      np.testing.assert_array_equal(sampled[image], slow_balanced_sample(
          indicator[image], labels[image], num_samples, fraction,
          permutation[image]))


def test_by_hand():
  """Of 3 positives and 3 negatives, 4 samples: one positive, all negatives."""
  indicator = [[True] * 6 + [False] * 2]
  labels = [[True, False, True, False, True, False, True, False]]
  sampled = _run(sampling.balanced_sample(
      tf.constant(indicator), tf.constant(labels), 4, .25,
      permutation=tf.range(8)[tf.newaxis]))
  # Positive 4 comes last, so it is preferred to 0 and 2.
  assert np.flatnonzero(sampled[0]).tolist() == [1, 3, 4, 5]


def test_draws_are_even_and_in_balance():
  num_draws = 2000
  tf.set_random_seed(1)
  labels = np.tile([[True] * 5 + [False] * 15], [num_draws, 1])
  sampled = _run(sampling.balanced_sample(
      tf.fill([num_draws, 20], True), tf.constant(labels), 8, .25))
  assert (sampled.sum(axis=1) == 8).all()
  assert (sampled[:, :5].sum(axis=1) == 2).all()
  # Each is binomial; five standard deviations.
  np.testing.assert_allclose(sampled.mean(axis=0),
                             [2. / 5.] * 5 + [6. / 15.] * 15, atol=.055)


def test_draws_differ():
  sampled = sampling.balanced_sample(
      tf.fill([1, 100], True), tf.fill([1, 100], False), 50, .5)
  with tf.Session() as session:
    assert (session.run(sampled) != session.run(sampled)).any()


@pytest.mark.parametrize('size,count,expected', [
    (0, 0, 0), (0, 5, 0), (1, 5, 1), (7, 7, 7), (7, 0, 0), (10, 9, 9),
    (100, 30, 30), (1000000, 256, 256)])
def test_draw_distinct(size, count, expected):
  sizes = tf.placeholder(tf.int32, [])
  counts = tf.placeholder(tf.int32, [])
  draws = _run(sampling.draw_distinct(sizes, counts, [3, 4]),
               {sizes: size, counts: count})
  assert draws.shape == (expected,)
  assert len(set(draws)) == expected
  assert ((draws >= 0) & (draws < size)).all()


@pytest.mark.parametrize('size,count', [(4, 2), (6, 5), (50, 5)])
def test_every_choice_is_equally_likely(size, count):
  """With and without the shuffle that repeated draws make necessary."""
  number = tf.placeholder(tf.int64, [])
  draws = sampling.draw_distinct(tf.constant(size), tf.constant(count),
                                 [5, number])
  counts = np.zeros([count, size])
  num_draws = 1000
  with tf.Session() as session:
    run = session.make_callable(draws, [number])
    for index in range(num_draws):
      counts[np.arange(count), run(index)] += 1
  # Five standard deviations at most.
  np.testing.assert_allclose(counts / num_draws, 1. / size, atol=.08)


def test_draws_depend_on_the_seed_alone():
  draws = [sampling.draw_distinct(tf.constant(40), tf.constant(30), seed)
           for seed in ([1, 2], [1, 2], [1, 3], [2, 2])]
  first, same, second, third = _run(draws)
  np.testing.assert_array_equal(first, same)
  assert (first != second).any() and (first != third).any()


def test_compiles_with_xla():
  rng = np.random.RandomState(0)
  indicator = tf.constant(rng.uniform(size=[2, 50]) < .5)
  labels = tf.constant(rng.uniform(size=[2, 50]) < .5)
  permutation = tf.constant(
      np.stack([rng.permutation(50) for _ in range(2)]), tf.int32)

  def build(*tensors):
    return sampling.balanced_sample(
        tensors[0], tensors[1], 20, .25, permutation=tensors[2])

  tensors = [indicator, labels, permutation]
  plain, compiled = _run(
      [build(*tensors), tf.xla.experimental.compile(build, tensors)[0]])
  np.testing.assert_array_equal(plain, compiled)


def test_the_same_permutation_for_every_image_and_run():
  orders = []
  for batch in (1, 3):
    with tf.Session() as session:
      orders.append(session.run(sampling.same_permutation(
          tf.zeros([batch, 50], tf.bool))))
  assert (orders[1] == orders[0]).all()
  assert sorted(orders[0][0]) == list(range(50))
  assert list(orders[0][0]) != list(range(50))
