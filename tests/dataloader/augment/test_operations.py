"""Tests of dataloader/augment/operations.py."""

import numpy as np
import pytest

from dataloader.augment import annotated_image
from dataloader.augment import operations
from tests import golden
from tests import runtimes
from tests.dataloader.augment import cases

_LEVELS = golden.load_cases('autoaugment_level_to_arg')
_OPS = [c for file in ('color', 'geometry', 'cutout_bboxonly')
        for c in golden.load_cases('autoaugment_ops_' + file)
        if c.name.split('.')[0] in operations.OPERATIONS]
_IMAGES = {'lowc': 'low_contrast', 'const': 'const'}


@pytest.mark.parametrize('case', _LEVELS, ids=lambda c: c.name)
def test_reference_arguments(case):
  operation = operations.OPERATIONS[case.name]
  limits = cases.limits(case.params)
  if 'n_args' in case.outputs:
    assert operation.argument is None
    return
  values = np.array([operations.argument(case.name, level, limits)
                     for level in range(11)])
  # A second column says what to fill with; no policy has it.
  plus, minus = [case.outputs[k].reshape(11, -1)[:, 0]
                 for k in ('plus', 'minus')]
  np.testing.assert_allclose(plus, values, atol=1e-6)
  np.testing.assert_allclose(
      minus, -values if operation.is_signed else values, atol=1e-6)


def _parse(name):
  """(operation, image, level, sign, position) of 'Cutout.l2_x_f0.5'.

  The position is None where the operation has no use for one.
  """
  operation, rest = name.split('.', 1)
  image = 'image'
  if rest.split('.')[0] in _IMAGES:
    image, rest = rest.split('.', 1)
    image = _IMAGES[image]
  level, sign = rest.split('_')[:2]
  position = float(rest.split('_f')[1]) if '_f' in rest else None
  return (operation, image, int(level[1:]), -1. if sign == 'minus' else 1.,
          position)


@pytest.mark.parametrize('case', _OPS, ids=lambda c: c.name)
def test_reference(case):
  name, image, level, sign, position = _parse(case.name)
  inputs = case.meta['all_arrays']['inputs']['in']
  assert (position is None) != ('Cutout' in name)
  result = cases.operation(name, True)(
      inputs[image], inputs['bboxes'], position=position or 0.,
      value=sign * operations.argument(name, level))
  cases.check_image(result.image, case.outputs['image'], [name])
  np.testing.assert_allclose(
      result.boxes, case.outputs.get('bboxes', inputs['bboxes']), rtol=0,
      atol=1e-6)


def _case(file, name):
  return next(c for c in golden.load_cases(file) if c.name == name)


@pytest.mark.parametrize('case', [
    c for c in golden.load_cases('autoaugment_ops_cutout_bboxonly')
    if c.name.startswith('overlap_')], ids=lambda c: c.name)
def test_reference_overlapping_boxes(case):
  level, sign = case.name[len('overlap_l'):].split('_')
  assert sign == 'plus'
  image = case.meta['all_arrays']['inputs']['in']['image']
  for name, expected in case.outputs.items():
    assert 'Cutout' not in name  # No case says where it would be.
    result = cases.operation(name, True)(
        image, case.inputs['bboxes'], position=0.,
        value=operations.argument(name, int(level)))
    cases.check_image(result.image, expected, [name])


def test_reference_without_boxes():
  case = _case('autoaugment_ops_cutout_bboxonly', 'bbox_cutout_special')
  image = case.meta['all_arrays']['inputs']['in']['image']
  for name in ('BBox_Cutout', 'Equalize_Only_BBoxes', 'Rotate_BBox'):
    result = cases.operation(name, True)(
        image, np.zeros([0, 4], np.float32), position=case.params['frac'],
        value=case.params['pad_fraction'] * (name == 'BBox_Cutout'))
    # Nothing is moved: not a pixel may differ.
    cases.check_image(result.image, case.outputs['no_boxes'], [])


@pytest.mark.parametrize('case', [
    c for c in golden.load_cases('autoaugment_primitives')
    if c.name.startswith('only_bboxes_')], ids=lambda c: c.name)
def test_reference_in_boxes_with_given_arguments(case):
  kind = case.name[len('only_bboxes_'):]
  name = {'translate_x': 'TranslateX', 'translate_y': 'TranslateY',
          'shear_x': 'ShearX', 'shear_y': 'ShearY', 'rotate': 'Rotate',
          'flip': 'Flip', 'solarize': 'Solarize', 'cutout': 'Cutout'}[kind]
  inputs = case.meta['all_arrays']['inputs']['in']
  result = cases.operation(name + '_Only_BBoxes', True)(
      inputs['image'], inputs['bboxes'], value=case.params['arg'] or 0.,
      position=case.params['frac'])
  cases.check_image(result.image, case.outputs['image'], [name])


@pytest.mark.parametrize('case', [
    c for c in golden.load_cases('autoaugment_primitives')
    if c.name.startswith('cutout_')], ids=lambda c: c.name)
def test_reference_cutouts_with_given_arguments(case):
  inputs = case.meta['all_arrays']['inputs']['in']
  for name, value, expected in (
      ('Cutout', 'pad_size', 'cutout'),
      ('BBox_Cutout', 'pad_fraction', 'bbox_cutout')):
    result = cases.operation(name, True)(
        inputs['image'], inputs['bboxes'], value=case.params[value],
        position=case.params['frac'])
    cases.check_image(result.image, case.outputs[expected], [name])


@pytest.mark.parametrize('case', [
    c for c in golden.load_cases('autoaugment_primitives')
    if c.name.startswith('big_')], ids=lambda c: c.name)
def test_reference_of_a_larger_image(case):
  inputs = case.meta['all_arrays']['big']['in']
  name, level, sign = case.name[len('big_'):].rsplit('_', 2)
  value = operations.argument(name, int(level))
  result = cases.operation(name, True)(
      inputs['image'], inputs['bboxes'], position=case.params['frac'],
      value=-value if sign == 'minus' else value)
  cases.check_image(result.image, case.outputs['image'], [name])
  np.testing.assert_allclose(result.boxes, case.outputs['bboxes'], rtol=0,
                             atol=1e-6)


@pytest.mark.parametrize('name', runtimes.alternate(
    sorted(operations.OPERATIONS)))
def test_origins_move_with_the_pixels(name):
  """Every pixel that an operation only moves is found through its origin."""
  random = np.random.RandomState(3)
  image = random.randint(0, 256, [30, 40, 3]).astype(np.uint8)
  boxes = np.array([[.1, .1, .6, .5], [.4, .3, .9, .95]], np.float32)
  result = cases.operation(name, False)(
      image, boxes, position=.4, value=operations.argument(name, 6))
  moves_pixels = name.startswith(('Flip', 'Rotate', 'Shear', 'Translate'))
  if not moves_pixels:
    np.testing.assert_array_equal(result.origins.ravel(), range(1200))
    return
  flat = np.concatenate([image.reshape(-1, 3), [[annotated_image.FILL] * 3]])
  # NOWHERE, -1, is the last one here.
  np.testing.assert_array_equal(result.image, flat[result.origins])
  assert (np.count_nonzero(result.origins == annotated_image.NOWHERE) > 0) != (
      name == 'Flip_Only_BBoxes')


@pytest.mark.parametrize(
    'name', [n for n in sorted(operations.OPERATIONS) if 'Only_BBoxes' in n])
def test_outside_of_the_boxes_nothing_changes(name):
  random = np.random.RandomState(3)
  image = random.randint(20, 250, [60, 80, 3]).astype(np.uint8)
  boxes = np.array([[.2, .25, .5, .75]], np.float32)  # 12:31, 20:61
  result = cases.operation(name, False)(
      image, boxes, position=.4, value=operations.argument(name, 8))
  is_changed = np.any(result.image != image, axis=-1)
  assert np.any(is_changed)
  is_changed[12:31, 20:61] = False
  assert not np.any(is_changed)
  np.testing.assert_array_equal(result.boxes, boxes)
