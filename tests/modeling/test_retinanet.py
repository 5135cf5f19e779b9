"""RetinaNet against the reference: predictions, losses, gradients, steps."""

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import factory
from modeling import model_fn
from tests.modeling import reference_case
from utils import fields
from utils import modes


def _cases():
  """Reference cases of the model families that are built."""
  names = []
  for name, folder in sorted(reference_case.case_folders().items()):
    if name.startswith('retinanet') and _is_built(folder):
      names.append(pytest.param(folder, id=name))
  return names


def _is_built(folder):
  from architecture import factory as parts
  config = reference_case.ReferenceCase(folder).config
  return (config.architecture.backbone in parts.BACKBONES
          and config.architecture.multilevel_features in parts.DECODERS)


@pytest.mark.parametrize('folder', _cases())
def test_predictions(folder):
  case = reference_case.ReferenceCase(folder)
  model = factory.build_model(case.config)
  labels = {fields.IMAGE_INFO: tf.constant(case.image_info())}
  outputs = model.outputs(tf.constant(case.images()), labels, modes.PREDICT)
  with tf.Session() as session:
    case.load_weights(session)
    outputs = session.run(outputs)
  expected = case.arrays('predict')
  for key in (fields.CLS_OUTPUTS, fields.BOX_OUTPUTS):
    for level, value in outputs[key].items():
      reference_case.check_array(value, expected, '%s.%d' % (key, level))
  _check_detections(outputs, expected)


def _check_detections(outputs, expected):
  np.testing.assert_array_equal(outputs[fields.NUM_DETECTIONS],
                                expected[fields.NUM_DETECTIONS])
  for image, count in enumerate(expected[fields.NUM_DETECTIONS]):
    def rows(arrays, image=image, count=count):
      # Scores closer than the rounding may swap: compare in a common order.
      scores = arrays[fields.DETECTION_SCORES][image, :count]
      classes = arrays[fields.DETECTION_CLASSES][image, :count]
      boxes = arrays[fields.DETECTION_BOXES][image, :count]
      order = np.lexsort((boxes[:, 0], classes, -np.round(scores, 4)))
      return scores[order], classes[order], boxes[order]
    got, want = rows(outputs), rows(expected)
    np.testing.assert_allclose(got[0], want[0], atol=1e-4)
    np.testing.assert_array_equal(got[1], want[1])
    np.testing.assert_allclose(got[2], want[2], atol=1e-2)


@pytest.mark.parametrize('folder', _cases())
def test_training(folder):
  """Losses, the gradient of every variable, and three steps of the train op."""
  case = reference_case.ReferenceCase(folder)
  expected = case.settings.get('train')
  if not expected:
    pytest.skip('The case has no training part.')
  labels = case.labels()
  step = model_fn.make_model_fn(case.config)
  spec = step(tf.constant(case.images()), labels,
              tf.estimator.ModeKeys.TRAIN, {})
  variables = tf.trainable_variables()
  gradients = tf.gradients(spec.loss, variables)
  missing = [v.op.name for v, g in zip(variables, gradients) if g is None]
  assert sorted(missing) == sorted(expected['no_gradient'])
  pairs = [(v, g) for v, g in zip(variables, gradients) if g is not None]
  norms = {v.op.name: tf.norm(g) for v, g in pairs}
  dots = {v.op.name: tf.reduce_sum(v.read_value() * g) for v, g in pairs}
  lengths = {v.op.name: tf.norm(v.read_value()) for v in tf.global_variables()
             if v.dtype.base_dtype == tf.float32}
  scalars = dict(tf.get_collection('training_scalars'))

  with tf.Session() as session:
    case.load_weights(session)
    scalars, norms, dots = session.run([scalars, norms, dots])
    _check_losses(scalars, expected['losses'])
    _check_gradients(norms, dots, expected)
    losses = []
    for _ in range(3):
      losses.append(session.run([spec.loss, spec.train_op])[0])
    lengths = session.run(lengths)
  for got, want, tolerance in zip(losses, expected['losses_over_steps'],
                                  (2e-4, 1e-3, 5e-3)):
    assert got == pytest.approx(want, rel=tolerance)
  _check_lengths(lengths, expected)


def _check_losses(scalars, expected):
  for name, want in expected.items():
    assert scalars[name] == pytest.approx(want, rel=2e-4), name


def _check_gradients(norms, dots, expected):
  whole = expected['global_gradient_norm']
  got = np.sqrt(sum(float(n) ** 2 for n in norms.values()))
  assert got == pytest.approx(whole, rel=5e-3)
  for name, want in expected['gradient_l2'].items():
    if want is None:
      continue
    tolerance = 3e-2 * want if want > 1e-3 * whole else 3e-3 * whole
    assert abs(norms[name] - want) <= tolerance, name
  for name, want in expected['gradient_dot_variable'].items():
    if want is not None:
      assert abs(dots[name] - want) <= 5e-3 * whole, name


def _check_lengths(lengths, expected):
  """Lengths of the variables after the steps.

  A variable may be off by the rounding of its length and of its gradient, which
  three steps with a momentum of 0.9 add up 1 + 1.9 + 2.71 times.
  """
  for name, want in expected['variable_l2_after_steps'].items():
    tolerance = 1e-6 + (1e-3 if '/moving_' in name else 1e-5) * want
    gradient = expected['gradient_l2'].get(name)
    tolerance += 3e-2 * 5.61 * expected['learning_rate'] * (gradient or 0.)
    assert abs(lengths[name] - want) <= tolerance, name
