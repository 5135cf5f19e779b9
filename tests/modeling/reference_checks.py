"""Compares a model with a reference case, within the limits of its README.

The limits are a few times what another rounding of weights and pixels changes.
"""

import re
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from modeling import factory
from modeling import model_fn
from modeling import summaries
from tests.modeling import reference_case
from utils import fields
from utils import modes

_SCORES, _BOXES, _MASKS = 1e-4, 1e-2, 1e-3  # boxes in pixels
# Batch statistics, and boxes made of predictions, carry rounding on. For the
# outputs in training, of their standard deviation: four times what the
# reference measured of it.
_DENSE_IN_TRAINING, _OF_ROIS_IN_TRAINING = 1.5e-2, 2e-2
_BOXES_IN_TRAINING = 5e-2
_MASK_TARGETS = 2e-2  # a hundredth of a pixel at the edge of a mask
_BY_ROI = re.compile(r'(class|box)_(outputs|targets)(_\d)?$')
_BY_MASK = (fields.MASK_OUTPUTS, fields.MASK_TARGETS,
            fields.SAMPLED_CLASS_TARGETS)


def cases(*prefixes):
  """The cases of these names whose parts are built, for pytest.parametrize."""
  from architecture import factory as parts
  result = []
  for name, folder in sorted(reference_case.case_folders().items()):
    architecture = reference_case.ReferenceCase(folder).config.architecture
    if (name.startswith(prefixes)
        and architecture.backbone in parts.BACKBONES
        and architecture.multilevel_features in parts.DECODERS):
      result.append(pytest.param(folder, id=name))
  return result


def check_predictions(folder):
  """Raw outputs and detections of the prediction graph."""
  case = reference_case.ReferenceCase(folder)
  model = factory.build_model(case.config)
  labels = {fields.IMAGE_INFO: tf.constant(case.image_info())}
  outputs = model.outputs(tf.constant(case.images()), labels, modes.PREDICT)
  with tf.Session() as session:
    case.load_weights(session)
    outputs = session.run(outputs)
  expected = case.arrays('predict')
  _sort_rows(outputs, expected, '')
  for name, level in _stored(expected, ''):
    tolerance = {fields.RPN_ROIS: _BOXES,
                 fields.RPN_ROI_SCORES: _SCORES}.get(name, 'head')
    _check_output(outputs, expected, '', name, level, tolerance)
  _check_detections(outputs, expected)


def _check_training_outputs(outputs, expected):
  """Raw outputs and sampled targets of the training graph.

  Returns:
    The share of RoIs that others took the place of.
  """
  exchanged = _sort_rows(outputs, expected, 'output.', _BOXES_IN_TRAINING)
  for name, level in _stored(expected, 'output.'):
    share = _DENSE_IN_TRAINING if level else _OF_ROIS_IN_TRAINING
    tolerance = share * expected['output.' + name + level].std() + 1e-5
    if name in (fields.RPN_ROIS, fields.RPN_ROI_SCORES):
      tolerance = (_BOXES_IN_TRAINING if name == fields.RPN_ROIS else _SCORES)
    elif name == fields.MASK_TARGETS:
      tolerance = _MASK_TARGETS
    _check_output(outputs, expected, 'output.', name, level, tolerance)
  return exchanged


def _stored(expected, prefix):
  """[(name, '' or '.<level>')] of the outputs in an archive, not detections."""
  names = set()
  for key in expected:
    match = re.match(re.escape(prefix) + r'([a-z_0-9]+)(\.\d+)?$', key)
    if match and 'detection' not in key:
      names.add((match.group(1), match.group(2) or ''))
  assert names
  return sorted(names)


def _check_output(outputs, expected, prefix, name, level, tolerance):
  actual = outputs[name][int(level[1:])] if level else outputs[name]
  reference_case.check_array(actual, expected, prefix + name + level, tolerance)


def _sort_rows(outputs, expected, prefix, boxes=_BOXES):
  """Puts RoIs and masks in the stored order.

  Proposals of almost the same score may come in another order, and one of them
  may take the last place of the other.

  Args:
    outputs: {name: array}, changed in place.
    expected: {prefixed name: array}.
    prefix: of the names.
    boxes: how far the same box may be off, in pixels.

  Returns:
    The share of the proposals that others took the place of.
  """
  exchanged = 0.
  if prefix + fields.RPN_ROIS in expected:
    order, missing = _order(outputs[fields.RPN_ROIS],
                            expected[prefix + fields.RPN_ROIS], boxes)
    scores = expected[prefix + fields.RPN_ROI_SCORES]
    assert np.all((scores - scores[:, -1:])[missing] < _SCORES)
    exchanged = missing.mean()
    for name in list(outputs):
      if name in (fields.RPN_ROIS, fields.RPN_ROI_SCORES) or (
          _BY_ROI.match(name)):
        outputs[name] = _take(outputs[name], order)
        outputs[name][:, :order.shape[1]][missing] = (
            expected[prefix + name][:, :order.shape[1]][missing])
  if prefix + fields.MASK_TARGETS in expected:
    order, missing = _order(outputs[fields.MASK_TARGETS],
                            expected[prefix + fields.MASK_TARGETS],
                            _MASK_TARGETS)
    assert not missing.any()
    for name in _BY_MASK:
      outputs[name] = _take(outputs[name], order)
  return exchanged


def _order(actual, expected, tolerance):
  """Which row of [B, N, ...] is each expected one, and which are missing.

  Returns:
    Two arrays [B, N]; each missing row has one that was not expected.
  """
  orders, all_missing = [], []
  for got, want in zip(actual, expected):
    got, want = [x.reshape([len(x), -1]) for x in (got, want)]
    order = np.arange(len(want))
    missing = np.abs(got - want).max(axis=1) > tolerance
    free = list(np.nonzero(missing)[0])
    for row in list(free):
      distances = np.abs(got[free] - want[row]).max(axis=1)
      if distances.min() <= tolerance:
        order[row] = free.pop(distances.argmin())
        missing[row] = False
    order[missing] = free
    orders.append(order)
    all_missing.append(missing)
  return np.stack(orders), np.stack(all_missing)


def _take(values, order):
  """Rows of [B, N, ...] in another order; those behind it stay."""
  return np.stack([
      np.concatenate([rows[of_image], rows[len(of_image):]])
      for rows, of_image in zip(values, order)])


def _check_detections(outputs, expected):
  count = expected[fields.NUM_DETECTIONS]
  np.testing.assert_array_equal(outputs[fields.NUM_DETECTIONS], count)
  names = (fields.DETECTION_SCORES, fields.DETECTION_CLASSES,
           fields.DETECTION_BOXES)
  in_use = np.arange(outputs[names[0]].shape[1]) < count[:, np.newaxis]
  # Class and box tell a detection from others: classes are far apart here.
  def keys(arrays):
    key = np.concatenate([arrays[fields.DETECTION_BOXES], 1000. * arrays[
        fields.DETECTION_CLASSES][..., np.newaxis]], axis=2)
    return key * in_use[..., np.newaxis]
  order, missing = _order(keys(outputs), keys(expected), _BOXES)
  assert not missing.any(), 'other detections than expected'
  outputs = {name: _take(values, order) for name, values in outputs.items()
             if name in names + (fields.DETECTION_MASKS,
                               fields.DETECTION_OUTER_BOXES)}
  names += tuple(n for n in (fields.DETECTION_OUTER_BOXES,) if n in expected)
  for name, tolerance in zip(names, (_SCORES, 0, _BOXES, _BOXES)):
    np.testing.assert_allclose(
        outputs[name][in_use], expected[name][in_use], rtol=0, atol=tolerance)
  if fields.DETECTION_MASKS in expected:
    _check_masks(outputs[fields.DETECTION_MASKS], in_use, expected)


def _check_masks(masks, in_use, expected):
  """Compares the masks [B, M, S, S] of places that are in use [B, M]."""
  in_use = np.broadcast_to(in_use[:, :, np.newaxis, np.newaxis], masks.shape)
  want = expected[fields.DETECTION_MASKS].reshape(-1)
  stride = int(expected.get(fields.DETECTION_MASKS + '.stride', 1))
  in_use, got = [x.reshape(-1)[::stride] for x in (in_use, masks)]
  assert got.shape == want.shape
  np.testing.assert_allclose(got[in_use], want[in_use], rtol=0, atol=_MASKS)


def check_training(folder):
  """Outputs, losses, the gradient of every variable, and three steps."""
  case = reference_case.ReferenceCase(folder)
  expected = case.settings.get('train')
  if not expected:
    pytest.skip('The case has no training part.')
  spec, outputs = _training_step(case)
  variables = tf.trainable_variables()
  gradients = tf.gradients(spec.loss, variables)
  missing = [v.op.name for v, g in zip(variables, gradients) if g is None]
  assert sorted(missing) == sorted(expected['no_gradient'])
  pairs = [(v, g) for v, g in zip(variables, gradients) if g is not None]
  norms = {v.op.name: tf.norm(g) for v, g in pairs}
  dots = {v.op.name: tf.reduce_sum(v.read_value() * g) for v, g in pairs}
  lengths = {v.op.name: tf.norm(v.read_value()) for v in tf.global_variables()
             if v.dtype.base_dtype == tf.float32}
  scalars = dict(tf.get_collection(summaries.TRAINING_SCALARS))

  with tf.Session() as session:
    case.load_weights(session)
    outputs, scalars, norms, dots = session.run(
        [outputs, scalars, norms, dots])
    exchanged = _check_training_outputs(outputs, case.arrays('train'))
    _check_losses(scalars, expected['losses'], exchanged)
    _check_gradients(norms, dots, expected)
    losses = []
    for _ in range(3):
      losses.append(session.run([spec.loss, spec.train_op])[0])
    lengths = session.run(lengths)
  for got, want, tolerance in zip(losses, expected['losses_over_steps'],
                                  (2e-4, 1e-3, 5e-3)):
    assert got == pytest.approx(want, rel=tolerance)
  _check_lengths(lengths, expected)


def _training_step(case):
  """The training step's EstimatorSpec, and the outputs of its model."""
  outputs = {}
  compute = model_fn.model_outputs
  def record(*args):
    outputs.update(compute(*args))
    return outputs
  with mock.patch.object(model_fn, 'model_outputs', record):
    spec = model_fn.make_model_fn(case.config)(
        tf.constant(case.images()), case.labels(),
        tf.estimator.ModeKeys.TRAIN, {})
  return spec, outputs


def _check_losses(scalars, expected, exchanged):
  for name, want in expected.items():
    tolerance = 2e-4
    if re.match(r'fast_rcnn_box_loss_\d$', name):
      tolerance = 1e-3  # Stages of a cascade work on boxes that are rounded.
    elif name.startswith('fast_rcnn_class_loss'):
      tolerance += exchanged  # Another RoI has another loss.
    assert scalars[name] == pytest.approx(want, rel=tolerance), name


def _check_gradients(norms, dots, expected):
  whole = expected['global_gradient_norm']
  # Of the variables that are trained: not of frozen ones.
  got = np.sqrt(sum(float(norms[name]) ** 2 for name, want in
                    expected['gradient_l2'].items() if want is not None))
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
