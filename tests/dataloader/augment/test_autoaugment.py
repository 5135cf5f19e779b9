"""Tests of dataloader/augment/autoaugment.py and of its policies."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from configs import detection
from dataloader import draws as draws_lib
from dataloader.augment import annotated_image
from dataloader.augment import autoaugment
from dataloader.augment import operations
from dataloader.augment import policies
from tests import golden
from tests import runtimes
from tests.dataloader.augment import cases

_OF_DETECTION = ('v0', 'v1', 'v2', 'v3', 'test')
# The graph of a policy is what takes time; the operations in it are compared
# on both runtimes by test_operations.py.
_ONLY = runtimes.of_names(tf1=['v1'], tf2=['v2', 'v3'])
_CASES = [pytest.param(name, c, marks=_ONLY.get(name, ()),
                       id='%s.%s' % (name, c.name))
          for name in _OF_DETECTION
          for c in golden.load_cases('autoaugment_policy_' + name)
          if c.name != 'inputs']


@pytest.mark.parametrize('name', _OF_DETECTION)
def test_reference_tables(name):
  meta = golden.load_cases('autoaugment_policy_' + name)[0].meta
  assert meta['policy'] == [[list(step) for step in sub_policy]
                            for sub_policy in policies.POLICIES[name]]


@pytest.mark.parametrize('name', _OF_DETECTION)
def test_reference_parameters(name):
  """What the cases were made with is what the policies have."""
  params = golden.load_cases('autoaugment_policy_' + name)[0].params
  assert operations.DETECTION_LIMITS == cases.limits(params)
  assert params['replace'] == [annotated_image.FILL] * 3


@pytest.mark.parametrize('name, case', _CASES)
def test_reference(name, case):
  inputs = case.meta['all_arrays']['inputs']['in']
  number, sign, apply = case.name.replace('full_', '').split('_')
  policy, number = policies.POLICIES[name], int(number[1:])
  result = cases.policy(name, True)(
      inputs['image'], inputs['bboxes'],
      sub_policy=(number + .5) / len(policy),
      sign=.1 if sign == 'minus' else .9, apply=float(apply),
      position=golden.params_of(case, 'inputs')['frac'])
  cases.check_image(result.image, case.outputs['image'],
                    [step[0] for step in policy[number]])
  np.testing.assert_allclose(result.boxes, case.outputs['bboxes'], rtol=0,
                             atol=1e-6)


def test_every_step_is_in_the_table_of_operations():
  for policy in policies.POLICIES.values():
    for sub_policy in policy:
      for name, probability, level in sub_policy:
        assert name in operations.OPERATIONS
        assert 0. <= probability <= 1. and 0 <= level <= operations.MAX_LEVEL
  for names in (policies.RANDAUGMENT, policies.RANDAUGMENT_WITH_BOXES):
    assert set(names) <= set(operations.OPERATIONS)
  assert len(policies.POLICIES['imagenet']) == 25


def test_policies_of_classifiers_need_no_boxes():
  for sub_policy in policies.POLICIES['imagenet']:
    assert not any('BBox' in name for name, _, _ in sub_policy)
  assert not any('BBox' in name for name in policies.RANDAUGMENT)


def test_configurations_offer_the_policies_with_boxes():
  choices = detection.Augmentation.__dataclass_fields__[
      'aug_policy'].metadata['choices']
  assert set(choices) == {'', 'randaugment'} | set(_OF_DETECTION)
  choices = detection.Augmentation.__dataclass_fields__[
      'aug_scale_preset'].metadata['choices']
  assert set(choices) == {''} | set(policies.SCALE_RANGES)


def _image(seed=0, height=24, width=32):
  return np.random.RandomState(seed).randint(
      0, 256, [height, width, 3]).astype(np.uint8)


def _distorted(policy, seeds, **options):
  """Images of a classifier for each of the seeds."""
  with tf.Graph().as_default(), tf.Session() as session:
    seed = tf.placeholder(tf.int64, [2])
    result = autoaugment.augment(
        annotated_image.AnnotatedImage(tf.constant(_image()), None, None),
        policy, draws_lib.Draws(seed), **options).image
    return [session.run(result, {seed: s}) for s in seeds]


@pytest.mark.parametrize('policy', runtimes.alternate(['imagenet',
                                                       'randaugment']))
def test_images_of_classifiers_depend_on_the_seed_only(policy):
  seeds = [[5, i] for i in range(8)]
  first, again = _distorted(policy, seeds), _distorted(policy, seeds)
  np.testing.assert_array_equal(first, again)
  assert len({image.tobytes() for image in first}) > 4
  assert all(image.shape == (24, 32, 3) and image.dtype == np.uint8
             for image in first)


def test_unknown_policy():
  with pytest.raises(ValueError, match=r"policy is 'v9'; it can be .*v0"):
    autoaugment.augment(
        annotated_image.AnnotatedImage(
            tf.zeros([4, 4, 3], tf.uint8), None, None), 'v9',
        draws_lib.Draws([0, 0]))


def test_randaugment_with_boxes_and_more_layers():
  with tf.Graph().as_default(), tf.Session() as session:
    image = tf.constant(_image())
    seed = tf.placeholder(tf.int64, [2])
    result = autoaugment.augment(
        annotated_image.AnnotatedImage(image, tf.constant([[.2, .2, .6, .8]]),
                                       annotated_image.make_origins(image)),
        'randaugment', draws_lib.Draws(seed), num_layers=3)
    results = [session.run(result, {seed: [1, i]}) for i in range(10)]
  boxes = np.array([r.boxes for r in results])
  assert np.any(boxes != boxes[:1]) and np.all((boxes >= 0) & (boxes <= 1))


def test_sub_policies_are_drawn_evenly_and_independently_of_signs():
  """Draws of two purposes tell nothing about each other."""
  with tf.Graph().as_default(), tf.Session() as session:
    seed = tf.placeholder(tf.int64, [2])
    of_image = draws_lib.Draws(seed)
    pair = tf.stack([of_image.uniform('sub_policy'), of_image.uniform('sign')])
    values = np.array([session.run(pair, {seed: [9, i]}) for i in range(400)])
  assert np.all((values >= 0) & (values < 1))
  assert np.all(np.abs(values.mean(axis=0) - .5) < .06)
  assert abs(np.corrcoef(values.T)[0, 1]) < .15


def test_inside_a_data_set():
  """Where control flow is built differently from a plain graph."""
  with tf.Graph().as_default(), tf.Session() as session:
    image, boxes = _image(), np.array([[.2, .2, .6, .8]], np.float32)
    def parse(number):
      seed = tf.stack([tf.constant(3, tf.int64), number])
      return tuple(autoaugment.augment(
          annotated_image.AnnotatedImage(
              tf.constant(image), tf.constant(boxes), None),
          'v1', draws_lib.Draws(seed))[:2])
    dataset = tf.data.Dataset.range(30).map(parse, num_parallel_calls=2)
    following = tf.data.make_one_shot_iterator(dataset).get_next()
    results = [session.run(following) for _ in range(30)]
  assert len({i.tobytes() for i, _ in results}) > 10
