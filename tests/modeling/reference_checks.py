"""Compares a model with a reference case, within the limits of its README.

The limits are a few times what another rounding of weights and pixels changes.
"""

import re
from unittest import mock

import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from architecture import layers
from modeling import factory
from modeling import model_fn
from modeling.training import optimizers
from modeling.training import summaries
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
_UNUSED_HEAD = re.compile(r'efficientnet[^/]*/head/')
_BY_MASK = (fields.MASK_OUTPUTS, fields.MASK_TARGETS,
            fields.SAMPLED_CLASS_TARGETS)


def cases(*prefixes, **options):
  """The cases of these names whose parts are built, for pytest.parametrize.

  Args:
    *prefixes: of the names.
    **options: `slow`, a regular expression; only `make test-all` runs the cases
      whose names it matches.
  """
  slow = re.compile(options.get('slow', '$'))
  from configs import backbones
  from configs import decoders
  result = []
  for name, folder in sorted(reference_case.case_folders().items()):
    architecture = reference_case.ReferenceCase(folder).config.architecture
    if (name.startswith(prefixes)
        and architecture.backbone in backbones.BACKBONES
        and (architecture.multilevel_features or 'identity')
        in decoders.DECODERS):
      marks = [pytest.mark.slow] if slow.match(name) else []
      result.append(pytest.param(folder, id=name, marks=marks))
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
  if fields.NUM_DETECTIONS in expected:
    check_detections(outputs, expected)


def _check_training_outputs(outputs, case):
  """Raw outputs and sampled targets of the training graph.

  Returns:
    The share of RoIs that others took the place of.
  """
  expected = case.arrays('train')
  noise = {name: entry['max_abs_diff'] for name, entry in case.settings[
      'train']['outputs_noise_rounding_proxy'].items()}
  scale = _scale_of_proposals(case.settings['train'])
  def limit(name, default):
    # RoIs in another order are put right; the noise has them as they came.
    return default if scale == 1. else max(default * scale, 4. * noise[name])
  exchanged = _sort_rows(
      outputs, expected, 'output.', boxes=_BOXES_IN_TRAINING * scale,
      scores=_SCORES * scale, masks=limit(fields.MASK_TARGETS, _MASK_TARGETS))
  limits = {fields.RPN_ROIS: _BOXES_IN_TRAINING * scale,
            fields.RPN_ROI_SCORES: _SCORES * scale,
            fields.MASK_TARGETS: limit(fields.MASK_TARGETS, _MASK_TARGETS)}
  for name, level in _stored(expected, 'output.'):
    std = expected['output.' + name + level].std()
    if level:
      tolerance = max(_DENSE_IN_TRAINING * std, 4. * noise[name + level]) + 1e-5
    else:
      tolerance = limits.get(
          name, limit(name, _OF_ROIS_IN_TRAINING * std) + 1e-5)
    _check_output(outputs, expected, 'output.', name, level, tolerance)
  return exchanged


def _scale_of_proposals(training):
  """How much more a case's proposals depend on rounding than the limits allow.
  """
  noise = training['outputs_noise_rounding_proxy'].get(fields.RPN_ROI_SCORES)
  return max(1., 4. * noise['max_abs_diff'] / _SCORES) if noise else 1.


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


def _sort_rows(outputs, expected, prefix, boxes=_BOXES, scores=_SCORES,
               masks=_MASK_TARGETS):
  """Puts RoIs and masks in the stored order.

  Proposals of almost the same score may come in another order, and one of them
  may take the last place of the other.

  Args:
    outputs: {name: array}, changed in place.
    expected: {prefixed name: array}.
    prefix: of the names.
    boxes: how far the same box may be off, in pixels.
    scores: how far its score may be off.
    masks: how far the target of the same mask may be off.

  Returns:
    The share of the proposals that others took the place of.
  """
  exchanged = 0.
  if prefix + fields.RPN_ROIS in expected:
    order, missing = _order(outputs[fields.RPN_ROIS],
                            expected[prefix + fields.RPN_ROIS], boxes)
    of_rois = expected[prefix + fields.RPN_ROI_SCORES]
    assert np.all((of_rois - of_rois[:, -1:])[missing] < scores)
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
                            masks)
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


def check_detections(outputs, expected):
  """Compares detections, those of almost the same score in any order.

  Args:
    outputs: {name: array}.
    expected: arrays of the prediction part of a case.
  """
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
  if 'train' not in case.settings:
    pytest.skip('The case has no training part.')
  expected = _without_unused_head(case.settings['train'])
  spec, outputs = _training_step(case)
  variables = optimizers.trained_variables(
      tf.trainable_variables(), case.config.train.frozen_variable_prefix)
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
    exchanged = _check_training_outputs(outputs, case)
    _check_losses(scalars, expected, exchanged)
    _check_gradients(norms, dots, expected)
    losses = []
    for _ in range(3):
      losses.append(session.run([spec.loss, spec.train_op])[0])
    lengths = session.run(lengths)
  # Steps build on each other: what noise one measured, the next has, too. It is
  # one sample: a region that rounding adds or drops moves the loss by more.
  noises = np.maximum.accumulate(
      expected['noise_rounding_proxy']['losses_over_steps_rel'])
  for got, want, tolerance, noise in zip(
      losses, expected['losses_over_steps'], (2e-4, 1e-3, 5e-3), noises):
    assert got == pytest.approx(want, rel=max(tolerance, 6. * noise))
  _check_lengths(lengths, expected)


def _without_unused_head(expected):
  """The training part without the ImageNet head of an EfficientNet.

  The reference has its variables in every model, where only weight decay
  reaches them; our models do not. Three steps do not change them visibly.
  """
  gradients, dots = expected['gradient_l2'], expected['gradient_dot_variable']
  def kept(names):
    return [n for n in names if not _UNUSED_HEAD.match(n)]
  unused = [n for n in gradients if _UNUSED_HEAD.match(n)]
  squares = sum((gradients[n] or 0.) ** 2 for n in unused)
  # The gradient of the decay is decay * v: its product with v is twice the
  # decay's loss.
  decay = sum(dots[n] or 0. for n in unused) / 2.
  lengths = expected['variable_l2_after_steps']
  name = 'l2_regularization_loss'
  return dict(
      expected, gradient_l2={n: gradients[n] for n in kept(gradients)},
      gradient_dot_variable={n: dots[n] for n in kept(dots)},
      variable_l2_after_steps={n: lengths[n] for n in kept(lengths)},
      no_gradient=kept(expected['no_gradient']),
      global_gradient_norm=np.sqrt(
          expected['global_gradient_norm'] ** 2 - squares),
      losses=dict(expected['losses'],
                  **{name: expected['losses'][name] - decay}),
      losses_over_steps=[
          loss - decay for loss in expected['losses_over_steps']])


def _training_step(case):
  """The training step's EstimatorSpec, and the outputs of its model."""
  if any('drop-connect' in patch for patch in case.settings['patches']):
    with mock.patch.object(layers, 'drop_connect', lambda x, *_: x):
      return _build_training_step(case)
  return _build_training_step(case)


def _build_training_step(case):
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
  # As the README has it: of a case, not of each of its losses.
  noise = max(expected['noise_rounding_proxy']['losses_rel'].values())
  for name, want in expected['losses'].items():
    tolerance = 2e-4
    if re.match(r'fast_rcnn_box_loss_\d$', name):
      tolerance = 1e-3  # Stages of a cascade work on boxes that are rounded.
    tolerance = max(tolerance, 4. * noise)
    if name.startswith('fast_rcnn_class_loss'):
      tolerance += exchanged  # Another RoI has another loss.
    assert scalars[name] == pytest.approx(want, rel=tolerance), name


def _check_gradients(norms, dots, expected):
  """Within the limits, or four times the noise of a case that has more."""
  whole, noise = (expected[name] for name in (
      'global_gradient_norm', 'noise_rounding_proxy'))
  def limit(default, name):
    return max(default, 4. * noise[name])
  # Of the variables that are trained: not of frozen ones.
  got = np.sqrt(sum(float(norms[name]) ** 2 for name, want in
                    expected['gradient_l2'].items() if want is not None))
  assert got == pytest.approx(whole,
                              rel=limit(5e-3, 'global_gradient_norm_rel'))
  relative = limit(3e-2, 'gradient_l2_max_rel')
  absolute = limit(3e-3, 'gradient_l2_max_abs_over_global') * whole
  for name, want in expected['gradient_l2'].items():
    if want is None:
      continue
    tolerance = relative * want if want > 1e-3 * whole else absolute
    assert abs(norms[name] - want) <= tolerance, name
  absolute = limit(5e-3, 'gradient_dot_variable_max_abs_over_global') * whole
  for name, want in expected['gradient_dot_variable'].items():
    if want is not None:
      assert abs(dots[name] - want) <= absolute, name


def _check_lengths(lengths, expected):
  """Lengths of the variables after the steps.

  A variable may be off by the rounding of its length and of its gradient, which
  three steps with a momentum of 0.9 add up 1 + 1.9 + 2.71 times.
  """
  # Statistics over RoIs that depend on rounding do so as well.
  scale = _scale_of_proposals(expected)
  for name, want in expected['variable_l2_after_steps'].items():
    tolerance = 1e-6 + (1e-3 * scale if '/moving_' in name else 1e-5) * want
    gradient = expected['gradient_l2'].get(name)
    tolerance += 3e-2 * 5.61 * expected['learning_rate'] * (gradient or 0.)
    assert abs(lengths[name] - want) <= tolerance, name
