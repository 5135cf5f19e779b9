"""Compares a model with a reference case, within its limits.

Outputs, features inside of the model, losses, the gradient of every variable,
three steps, and the variables themselves in the order in which they are made.
"""

import functools
import hashlib
import json
import re

import numpy as np
import pytest

from configs import backbones
from configs import decoders
from tests import runtimes
from tests.modeling import reference_case
from tests.modeling import reference_graphs
from tests.modeling import reference_limits
from tests.modeling import reference_rows
from tests.modeling import variable_order
from utils import fields

_BY_ROI = re.compile(r'(class|box)_(outputs|targets)(_\d)?$')
_UNUSED_HEAD = re.compile(r'efficientnet[^/]*/head/')
_BY_MASK = (fields.MASK_OUTPUTS, fields.MASK_TARGETS,
            fields.SAMPLED_CLASS_TARGETS)


def cases(*prefixes, **options):
  """The cases of these names whose parts are built, for pytest.parametrize.

  Args:
    *prefixes: of the names.
    **options: `slow`, a regular expression; only `make test-all` runs the cases
      whose names it matches. `tf1` and `tf2`, lists of names that `make test`
      runs on that runtime only; those of the committed cases that are in
      neither run on both.
  """
  slow = re.compile(options.pop('slow', '$'))
  marks = runtimes.of_names(**options)
  return [pytest.param(folder, id=name, marks=(
      [pytest.mark.slow] if slow.match(name) else marks.get(name, [])))
          for name, folder in sorted(reference_case.case_folders().items())
          if name.startswith(prefixes) and _is_built(folder)]


@functools.lru_cache(maxsize=None)
def _is_built(folder):
  """Whether the parts of a case are in the tables."""
  architecture = reference_case.ReferenceCase(folder).config.architecture
  return (architecture.backbone in backbones.BACKBONES
          and (architecture.multilevel_features or 'identity')
          in decoders.DECODERS)


def check_predictions(folder):
  """Features, raw outputs and detections of the prediction graph."""
  case = reference_case.ReferenceCase(folder)
  limits = reference_limits.Prediction(case)
  got = reference_graphs.predict(case)
  expected = case.arrays('predict')
  _check_variables(got.variables, case)
  _check_statistics(got.endpoints, case.settings['predict']['endpoints'])
  _check_statistics(got.intermediate, case.settings['predict']['intermediate'])
  num_missing, is_new = _pair_regions(got.outputs, expected, '', limits)
  assert num_missing == 0
  _check_outputs(got.outputs, expected, '', limits, is_new)
  if fields.NUM_DETECTIONS in expected:
    check_detections(got.outputs, expected, limits)


def check_training(folder):
  """Features, outputs, losses, the gradient of every variable, three steps."""
  case = reference_case.ReferenceCase(folder)
  if 'train' not in case.settings:
    pytest.skip('The case has no training part.')
  expected = _without_unused_head(case.settings['train'])
  limits = reference_limits.Training(case)
  got = reference_graphs.train(case)
  _check_variables(got.variables, case)
  assert sorted(got.no_gradient) == sorted(expected['no_gradient'])
  _check_statistics(got.endpoints, expected['endpoints'], limits.statistics,
                    reference_limits.LARGEST_IN_TRAINING)
  exchanged = _check_training_outputs(got.outputs, case, limits)
  for name, want in expected['losses'].items():
    tolerance = limits.loss(name)
    if name.startswith('fast_rcnn_class_loss'):
      tolerance += exchanged  # Another region has another loss.
    assert got.losses[name] == pytest.approx(want, rel=tolerance), name
  _check_gradients(got, expected, limits)
  for loss, want, tolerance in zip(
      got.total_losses, expected['losses_over_steps'], limits.total_losses()):
    assert loss == pytest.approx(want, rel=tolerance)
  for name, want in expected['variable_l2_after_steps'].items():
    tolerance = limits.length(name, want, expected['gradient_l2'].get(name))
    assert abs(got.lengths[name] - want) <= tolerance, name


def _check_variables(variables, case):
  """Names, shapes and creation order."""
  settings = case.settings
  variables = variable_order.level_by_level(variables)
  if 'train' in settings:
    names = settings['train']['variable_l2_after_steps']
    assert [name for name, _ in variables] == [
        name for name in names if not _UNUSED_HEAD.match(name)]
    if any(_UNUSED_HEAD.match(name) for name in names):
      return
  assert len(variables) == settings['num_variables']
  text = json.dumps([{'name': name, 'shape': shape}
                     for name, shape in variables])
  assert hashlib.sha256(text.encode()).hexdigest() == (
      settings['variables_sha256'])


def _check_statistics(tensors, expected, limit=reference_limits.STATISTICS,
                      largest=reference_limits.STATISTICS):
  """Compares {name: array} with the statistics of a case.

  Args:
    tensors: {name: array}.
    expected: {name: {statistic: number}}.
    limit: relative.
    largest: limit of the one largest value, relative.
  """
  assert sorted(tensors) == sorted(expected)
  for name, want in expected.items():
    x = np.asarray(tensors[name], np.float64)
    assert list(x.shape) == want['shape'], name
    # A mean may be next to nothing beside its values.
    for got, key, scale, allowed in (
        (x.mean(), 'mean', max(abs(want['mean']), want['std']), limit),
        (x.std(), 'std', want['std'], limit),
        (np.abs(x).sum(), 'abs_sum', want['abs_sum'], limit),
        (np.abs(x).max(), 'max_abs', want['max_abs'], largest)):
      assert abs(got - want[key]) <= allowed * scale, (
          name, key, got, want[key])


def _check_training_outputs(outputs, case, limits):
  """Raw outputs and sampled targets of the training graph.

  Returns:
    The share of regions that others took the place of.
  """
  expected = case.arrays('train')
  num_missing, is_new = _pair_regions(outputs, expected, 'output.', limits)
  assert num_missing <= limits.num_exchanged, num_missing
  _check_outputs(outputs, expected, 'output.', limits, is_new)
  return 0. if is_new is None else is_new.mean()


def _check_outputs(outputs, expected, prefix, limits, is_new):
  """Compares all outputs of an archive, except the detections.

  Args:
    outputs: {name: array or {level: array}}.
    expected: {prefixed name: array}.
    prefix: of the names.
    limits: of reference_limits.
    is_new: bool [B, N], regions that the reference does not have, or None.
  """
  for name, level in _stored(expected, prefix):
    actual = outputs[name][int(level[1:])] if level else outputs[name]
    key = prefix + name + level
    tolerance = limits.output(name, level, expected[key].std())
    if is_new is not None and not level and _is_by_region(name):
      # Those that are new are counted elsewhere.
      known = np.ones(actual.shape[:2], bool)
      known[:, :is_new.shape[1]] = ~is_new
      actual = actual[known]
      expected = dict(expected, **{key: expected[key][known]})
    reference_case.check_array(actual, expected, key, tolerance)
    tolerance = limits.most(name, level, expected[key].std())
    if tolerance is not None:
      part = reference_case.stored_part(actual, expected, key)
      is_near = np.abs(part - expected[key]) <= tolerance
      assert np.mean(is_near) >= reference_limits.MOST, name


def _is_by_region(name):
  return name in (fields.RPN_ROIS, fields.RPN_ROI_SCORES) or bool(
      _BY_ROI.match(name))


def _stored(expected, prefix):
  """[(name, '' or '.<level>')] of the outputs in an archive, not detections."""
  names = set()
  for key in expected:
    match = re.match(re.escape(prefix) + r'([a-z_0-9]+)(\.\d+)?$', key)
    if match and 'detection' not in key:
      names.add((match.group(1), match.group(2) or ''))
  assert names
  return sorted(names)


def _pair_regions(outputs, expected, prefix, limits):
  """Puts regions and masks that tie in the stored order; nothing else.

  Args:
    outputs: {name: array}, changed in place.
    expected: {prefixed name: array}.
    prefix: of the names.
    limits: of reference_limits.

  Returns:
    The number of regions that others took the place of, and where those are:
    bool [B, N], or None without regions.
  """
  if prefix + fields.RPN_ROIS not in expected:
    return 0, None
  scores = outputs[fields.RPN_ROI_SCORES]
  assert np.all(scores[:, :-1] >= scores[:, 1:])
  order, missing = reference_rows.pair(
      outputs[fields.RPN_ROIS], expected[prefix + fields.RPN_ROIS],
      limits.boxes)
  scores = expected[prefix + fields.RPN_ROI_SCORES]
  reference_rows.check_order(order, missing, scores, limits.tie)
  # One can only be driven out of the last places.
  assert np.all((scores - scores[:, -1:])[missing] < limits.scores)
  for name in outputs:
    if _is_by_region(name):
      outputs[name] = reference_rows.take(outputs[name], order)
  if prefix + fields.MASK_TARGETS in expected:
    has_moved = np.any(order != np.arange(order.shape[1]), axis=1)
    _pair_masks(outputs, expected, prefix, limits, has_moved)
  return missing.sum(), missing


def _pair_masks(outputs, expected, prefix, limits, has_moved):
  """Masks change places only in images whose regions do, `has_moved` [B]."""
  order, missing = reference_rows.pair(
      outputs[fields.MASK_TARGETS], expected[prefix + fields.MASK_TARGETS],
      limits.mask_targets)
  assert not missing.any()
  assert np.all(order[~has_moved] == np.arange(order.shape[1]))
  for name in _BY_MASK:
    outputs[name] = reference_rows.take(outputs[name], order)


def check_detections(outputs, expected, limits=reference_limits.Prediction):
  """Number, boxes, classes, scores and masks, in their order.

  Args:
    outputs: {name: array}.
    expected: {name: array} of a case.
    limits: with attributes `boxes`, `scores` and `tie`.
  """
  count = expected[fields.NUM_DETECTIONS]
  np.testing.assert_array_equal(outputs[fields.NUM_DETECTIONS], count)
  scores = expected[fields.DETECTION_SCORES]
  in_use = np.arange(scores.shape[1]) < count[:, np.newaxis]
  # Class and box tell a detection from others: classes are far apart here.
  def keys(arrays):
    key = np.concatenate([arrays[fields.DETECTION_BOXES], 1000. * arrays[
        fields.DETECTION_CLASSES][..., np.newaxis]], axis=2)
    return key * in_use[..., np.newaxis]
  order, missing = reference_rows.pair(keys(outputs), keys(expected),
                                       limits.boxes)
  assert not missing.any()
  reference_rows.check_order(order, ~in_use, scores, limits.tie)
  for name, tolerance in (
      (fields.DETECTION_SCORES, limits.scores),
      (fields.DETECTION_CLASSES, 0), (fields.DETECTION_BOXES, limits.boxes)):
    values = reference_rows.take(outputs[name], order)
    np.testing.assert_allclose(values[in_use], expected[name][in_use], rtol=0,
                               atol=tolerance, err_msg=name)
  if fields.DETECTION_MASKS in expected:
    _check_masks(reference_rows.take(outputs[fields.DETECTION_MASKS], order),
                 in_use, expected)


def _check_masks(masks, in_use, expected):
  """Compares the masks [B, M, S, S] of places that are in use [B, M]."""
  in_use = np.broadcast_to(in_use[:, :, np.newaxis, np.newaxis], masks.shape)
  want = expected[fields.DETECTION_MASKS].reshape(-1)
  stride = int(expected.get(fields.DETECTION_MASKS + '.stride', 1))
  in_use, got = [x.reshape(-1)[::stride] for x in (in_use, masks)]
  assert got.shape == want.shape
  np.testing.assert_allclose(got[in_use], want[in_use], rtol=0,
                             atol=reference_limits.MASKS)


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


def _check_gradients(got, expected, limits):
  """Length of each gradient, of all, and their products with the variables."""
  whole = expected['global_gradient_norm']
  # Of the variables that are trained: not of frozen ones.
  lengths = {name: want for name, want in expected['gradient_l2'].items()
             if want is not None}
  norm = np.sqrt(sum(float(got.gradients[name]) ** 2 for name in lengths))
  assert norm == pytest.approx(whole, rel=limits.gradient_norm())
  for name, want in lengths.items():
    assert abs(got.gradients[name] - want) <= limits.gradient(want, whole), name
  for name, want in expected['gradient_dot_variable'].items():
    if want is not None:
      assert abs(got.dots[name] - want) <= limits.gradient_dot(whole), name
