"""Tests of ops/losses.py."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from tensorflow.python.tpu import tpu_function

from ops import compat
from ops import losses
from tests import golden
from tests import runtimes

CASES = golden.load_cases('losses')


def _cases(start):
  cases = [case for case in CASES if case.name.startswith(start)]
  assert cases
  return pytest.mark.parametrize('case', cases, ids=lambda case: case.name)


def _run(fetches):
  with tf.Session() as session:
    return session.run(fetches)


def _tensors(arrays, prefix):
  return {level: tf.constant(value)
          for level, value in golden.levels(arrays, prefix).items()}


def _check_gradient(got, expected):
  np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def _focal_loss(logits, targets, alpha, gamma, normalizer=1.):
  """Element by element, of the parts that the sums of losses are made of."""
  signs = 1. - 2. * targets
  weights = 1. - alpha + (2. * alpha - 1.) * targets

  @tf.custom_gradient
  def loss(logits, signs, weights):
    log1pexp, sigmoid, modulator = losses._focal_terms(logits * signs, gamma)

    def grad(dy):
      slope = losses._focal_slope(log1pexp, sigmoid, modulator, gamma, 1.)
      return dy * weights * signs * slope, None, None
    return weights * modulator * log1pexp, grad
  return loss(logits, signs, weights) / (normalizer + losses._EPSILON)


@_cases('focal')
def test_focal_equals_the_reference(case):
  logits = tf.constant(case.inputs['logits'])
  loss = _focal_loss(logits, tf.constant(case.inputs['targets']),
                     case.params['alpha'], case.params['gamma'],
                     case.params['normalizer'])
  got, gradient = _run([loss, tf.gradients(loss, logits)[0]])
  np.testing.assert_allclose(got, case.outputs['loss'], rtol=1e-4, atol=1e-6)
  _check_gradient(gradient, case.outputs['grad'])


def _class_loss(case):
  outputs = _tensors(case.inputs, 'cls_outputs')
  loss = losses.retinanet_class_loss(
      outputs, _tensors(case.inputs, 'cls_targets'),
      tf.constant(case.inputs['num_positives']), case.params['num_classes'],
      case.params['focal_loss_alpha'], case.params['focal_loss_gamma'])
  return outputs, loss


def _box_loss(case):
  outputs = _tensors(case.inputs, 'box_outputs')
  loss = losses.retinanet_box_loss(
      outputs, _tensors(case.inputs, 'box_targets'),
      tf.constant(case.inputs['num_positives']),
      case.params['huber_loss_delta'])
  return outputs, loss


def _check_levels(case, outputs, loss):
  levels = sorted(outputs)
  inputs = [outputs[level] for level in levels]
  got, gradients = _run([loss, tf.gradients(loss, inputs)])
  np.testing.assert_allclose(got, case.outputs['loss'], rtol=1e-5)
  expected = golden.levels(case.outputs, 'grad')
  for level, gradient in zip(levels, gradients):
    _check_gradient(gradient, expected[level])


@_cases('retinanet_class')
def test_class_loss_equals_the_reference(case):
  _check_levels(case, *_class_loss(case))


@_cases('retinanet_class')
def test_class_loss_on_a_tpu_is_the_same(case, monkeypatch):
  """The form without gathers, which XLA compiles."""
  monkeypatch.setattr(compat, 'in_xla_context', lambda: True)
  _check_levels(case, *_class_loss(case))


@pytest.mark.parametrize('num_cores', [None, 2])
def test_only_a_tpu_graph_avoids_gathers(num_cores):
  arguments = ({3: tf.zeros([1, 2, 2, 3])},
               {3: tf.zeros([1, 2, 2, 1], tf.int32)}, tf.constant(0.), 3, .25,
               1.5)
  if num_cores is None:
    losses.retinanet_class_loss(*arguments)
  else:
    with tpu_function.tpu_shard_context(num_cores):
      losses.retinanet_class_loss(*arguments)
  kinds = set(op.type for op in tf.get_default_graph().get_operations())
  assert ('GatherV2' in kinds) == (num_cores is None)


@_cases('retinanet_box')
def test_box_loss_equals_the_reference(case):
  _check_levels(case, *_box_loss(case))


@_cases('retinanet_no_positive')
def test_no_positives_equals_the_reference(case):
  case.inputs['num_positives'] = np.zeros([2], np.float32)
  for name, depth, kind in (('cls', case.params['num_classes'], np.int32),
                            ('box', 1, np.float32)):
    for level, value in golden.levels(case.inputs, name + '_outputs').items():
      shape = list(value.shape[:3]) + [value.shape[3] // depth]
      case.inputs['%s_targets.L%d' % (name, level)] = np.full(
          shape, -1 if name == 'cls' else 0, kind)
  class_loss, box_loss = _run([_class_loss(case)[1], _box_loss(case)[1]])
  np.testing.assert_allclose(class_loss, case.outputs['cls'], rtol=1e-5)
  np.testing.assert_allclose(box_loss, case.outputs['box'], rtol=1e-5)


def _slow_class_loss(logits, targets, num_classes, alpha, gamma):
  """Element by element, in float64."""
  total = 0.
  for row, target in zip(np.reshape(logits, [-1, num_classes]),
                         np.reshape(targets, [-1])):
    if target == -2:
      continue
    for index, logit in enumerate(row):
      p = 1. / (1. + np.exp(-np.float64(logit)))
      if index == target:
        total -= alpha * (1. - p) ** gamma * np.log(p)
      else:
        total -= (1. - alpha) * p ** gamma * np.log(1. - p)
  return total


@pytest.mark.parametrize('gamma', [0., .5, 1.5, 2., 3.])
def test_class_loss_equals_the_slow_one(gamma):
  """With an id beyond the classes, which has no element of its own."""
  rng = np.random.RandomState(0)
  logits = rng.normal(0., 3., [2, 3, 2, 4 * 3]).astype(np.float32)
  targets = rng.randint(-2, 4, [2, 3, 2, 3]).astype(np.int32)
  targets[0, 0, 0] = [4, -2, -1]
  loss = losses.retinanet_class_loss(
      {3: tf.constant(logits)}, {3: tf.constant(targets)},
      tf.constant([3., 4.]), 4, .3, gamma)
  expected = _slow_class_loss(logits, targets, 4, .3, gamma) / 8.
  np.testing.assert_allclose(_run(loss), expected, rtol=1e-5)


@pytest.mark.parametrize('gamma', runtimes.alternate([0., 1.5, 2., 2.5],
                                                     both=[1.5]))
def test_gradient_equals_differences(gamma):
  x = np.linspace(-4., 4., 9).astype(np.float32).reshape([1, 1, 3, 3])
  targets = tf.constant([0, -1, 2], shape=[1, 1, 3, 1])

  def loss(values):
    return losses.retinanet_class_loss({3: values}, {3: targets},
                                       tf.constant(0.), 3, .25, gamma)
  logits = tf.constant(x)
  gradient = _run(tf.gradients(2. * loss(logits), logits)[0])
  for index in range(9):
    step = np.zeros([9], np.float32)
    step[index] = .05
    step = step.reshape(x.shape)
    high, low = _run([loss(tf.constant(x + step)), loss(tf.constant(x - step))])
    np.testing.assert_allclose(gradient.ravel()[index],
                               2. * (high - low) / .1, rtol=2e-2, atol=1e-3)


@pytest.mark.parametrize('gamma', [0., 1.5, 2., .5])
def test_extreme_logits_stay_finite(gamma):
  logits = tf.constant([-1e30, -200., -50., 0., 50., 200., 1e30] * 2,
                       shape=[2, 7])
  targets = tf.constant([[0.] * 7, [1.] * 7])
  loss = _focal_loss(logits, targets, .25, gamma)
  value, gradient = _run([loss, tf.gradients(loss, logits)[0]])
  assert np.isfinite(value).all() and np.isfinite(gradient).all()
  # A confident error costs its logit; a confident hit nothing.
  np.testing.assert_allclose(value[:, 5], [.75 * 200., 0.], rtol=1e-5)
  np.testing.assert_allclose(value[:, 1], [0., .25 * 200.], rtol=1e-5)


def test_focal_loss_with_and_without_a_table(monkeypatch):
  """Of many classes, which no table of all rows can hold, it is the same."""
  rng = np.random.RandomState(0)
  logits = {3: tf.constant(rng.randn(2, 3, 2, 3 * 4), tf.float32)}
  targets = np.resize(np.arange(-2, 5, dtype=np.int32), [2, 3, 2, 3])
  found = []
  for most in (4, 3):
    monkeypatch.setattr(losses, '_MOST_OF_A_TABLE', most)
    loss = losses.retinanet_class_loss(
        logits, {3: tf.constant(targets)}, tf.constant([1., 2.]), 4, .25, 1.5)
    of_images = losses.image_class_losses(
        logits, {3: tf.constant(targets)}, tf.constant([1., 2.]), 4, .25, 1.5)
    found.append(_run([loss, of_images, tf.gradients(loss, logits[3])[0]]))
  for got, expected in zip(*found):
    np.testing.assert_array_equal(got, expected)
  assert np.all(found[0][2].reshape([-1, 4])[targets.ravel() == -2] == 0)


def test_focal_by_hand():
  """At a logit of 0, p = 1/2: alpha * (1/2)**2 * log 2."""
  got = _run(_focal_loss(tf.zeros([2]), tf.constant([1., 0.]), .25, 2., 2.))
  np.testing.assert_allclose(got, np.array([.25, .75]) * .25 * np.log(2.) / 2.,
                             rtol=1e-6)


def test_ignored_anchors_have_no_gradient():
  logits = tf.constant(np.linspace(-2., 2., 8).reshape([1, 1, 2, 4]),
                       tf.float32)
  loss = losses.retinanet_class_loss(
      {3: logits}, {3: tf.constant([[[[-2], [1]]]])}, tf.constant([1.]), 4,
      .25, 1.5)
  gradient = _run(tf.gradients(loss, logits)[0])
  assert not gradient[0, 0, 0].any() and gradient[0, 0, 1].all()


def test_gradient_when_targets_come_from_variables():
  """Labels that are kept in a variable must not break the gradient."""
  targets = tf.get_variable(
      'targets', initializer=np.array([[[[1]]]], np.int32), trainable=False)
  logits = tf.get_variable('logits', [1, 1, 1, 3])
  loss = losses.retinanet_class_loss({3: logits * 2.}, {3: targets},
                                     tf.constant(1.), 3, .25, 1.5)
  gradient = tf.gradients(loss, logits)[0]
  with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    assert session.run(gradient).all()


def test_given_normalizer():
  logits, targets = {3: tf.ones([1, 1, 1, 3])}, {3: tf.ones([1, 1, 1, 1],
                                                            tf.int32)}
  boxes, box_targets = {3: tf.ones([1, 1, 1, 4])}, {3: 2. * tf.ones(
      [1, 1, 1, 4])}
  classes = [losses.retinanet_class_loss(logits, targets, tf.constant([3.]), 3,
                                         .25, 1.5, normalizer=normalizer)
             for normalizer in (None, tf.constant(8.))]
  coordinates = [losses.retinanet_box_loss(boxes, box_targets,
                                           tf.constant([3.]), .1,
                                           normalizer=normalizer)
                 for normalizer in (None, tf.constant(8.))]
  classes, coordinates = _run([classes, coordinates])
  np.testing.assert_allclose(classes[0], 2. * classes[1], rtol=1e-6)
  # Huber of an error of 1: 0.005 + 0.1 * 0.9, over four elements.
  np.testing.assert_allclose(coordinates, [.095 / 4., .095 / 8.], rtol=1e-6)


def test_huber_by_hand():
  got = _run(losses.huber(tf.constant([0., .05, -.05, 1., -2.]), tf.zeros([5]),
                          .1))
  np.testing.assert_allclose(got, [0., .00125, .00125, .095, .195], rtol=1e-6)


def test_box_loss_skips_zero_targets():
  outputs = tf.constant([[[[5., 5., 5., 5.]]]])
  targets = tf.constant([[[[0., 1., 0., 0.]]]])
  loss = losses.retinanet_box_loss({3: outputs}, {3: targets},
                                   tf.constant([0.]), 1.)
  value, gradient = _run([loss, tf.gradients(loss, outputs)[0]])
  np.testing.assert_allclose(value, 3.5 / 4., rtol=1e-6)
  np.testing.assert_allclose(gradient[0, 0, 0], [0., .25, 0., 0.], rtol=1e-6)


@_cases('classification')
def test_cross_entropy_equals_the_reference(case):
  arrays = case.inputs or case.meta['all_arrays']['classification_ls0']['in']
  logits = tf.constant(arrays['logits'])
  loss = tf.reduce_mean(losses.softmax_cross_entropy(
      logits, tf.constant(arrays['labels']), case.params['num_classes'],
      case.params['label_smoothing']))
  got, gradient = _run([loss, tf.gradients(loss, logits)[0]])
  np.testing.assert_allclose(got, case.outputs['loss'], rtol=1e-5)
  _check_gradient(gradient, case.outputs['grad'])


@_cases('seg')
def test_segmentation_loss_equals_the_reference(case):
  logits = tf.constant(case.inputs['logits'])
  loss = losses.segmentation_loss(
      logits, tf.constant(case.inputs['labels']), logits.shape.as_list()[-1],
      **case.params)
  got, gradient = _run([loss, tf.gradients(loss, logits)[0]])
  if np.isnan(case.outputs['loss']):
    # No pixel counts: 0, where the reference divides by 0.
    assert got == 0. and not gradient.any()
    return
  np.testing.assert_allclose(got, case.outputs['loss'], rtol=1e-5)
  _check_gradient(gradient, case.outputs['grad'])


def test_segmentation_loss_does_not_mix_labels():
  """Between the classes 0 and 2 there is no class 1."""
  labels = tf.reshape(tf.constant([0., 2., 2.]), [1, 1, 3, 1])
  logits = tf.constant([[[[9., 0., 0.], [0., 0., 9.]]]])
  loss = losses.segmentation_loss(logits, labels, 3, 255,
                                  use_groundtruth_dimension=False)
  assert _run(loss) < .01
