"""Tests of tools/datasets/object_checks.py."""

import copy

import numpy as np
import pytest

from tests.tools import coco_sets
from tools.datasets import object_checks
from utils import masks as mask_utils

_SIZE = coco_sets.SIZE


def _check(annotations, include_masks=True, clip_boxes=False):
  return object_checks.check_objects(annotations, 'scan', _SIZE[0], _SIZE[1],
                                     include_masks, clip_boxes)


def _object(**changes):
  """A rectangle of rows 5 to 19 and columns 10 to 39 with changes.

  None removes a key.
  """
  annotation = coco_sets.rectangle(9, 'scan', 1, (5, 10, 20, 40))
  annotation.update(changes)
  return {k: v for k, v in annotation.items() if v is not None}


def test_complete_object():
  annotation = _object()
  original = copy.deepcopy(annotation)
  (kept,), skips, notes = _check([annotation])
  assert annotation == original and not skips and not notes
  mask = mask_utils.decode(kept.pop('segmentation'))
  expected = np.zeros(_SIZE)
  expected[5:20, 10:40] = 1
  np.testing.assert_array_equal(mask, expected)
  assert kept == {'id': 9, 'image_id': 'scan', 'category_id': 1,
                  'bbox': [10., 5., 30., 15.], 'area': 450., 'iscrowd': 0}


def test_no_objects():
  assert _check([]) == ([], [], [])


@pytest.mark.parametrize('bbox, reason', [
    ([504, 337, 0, 0], 'box without an area'),
    ([10, 5, 30, 0], 'box without an area'),
    ([10, 5, -3, 15], 'box without an area'),
    ([10, 5, 30], 'box that is not four numbers'),
    ([], 'box that is not four numbers'),
    (['a', 5, 30, 15], 'box that is not four numbers'),
    (7, 'box that is not four numbers'),
    ([10, 5, float('nan'), 15], 'box that is not four finite numbers'),
    ([10, 5, float('inf'), 15], 'box that is not four finite numbers'),
    ([-1, 5, 30, 15], object_checks.BEYOND),
    ([10, 5, 40.5, 15], object_checks.BEYOND),
    ([10, 30, 30, 11], object_checks.BEYOND),
])
def test_boxes_that_are_left_out(bbox, reason):
  kept, (skip,), _ = _check([_object(bbox=bbox)])
  assert not kept
  assert skip == ('object', 'scan', 9, reason, 'box %s' % (bbox,))


def test_box_up_to_the_border():
  (kept,), _, _ = _check([_object(bbox=[0, 0, 50, 40])])
  assert kept['bbox'] == [0, 0, 50, 40]


@pytest.mark.parametrize('bbox, clipped', [
    ([-4, 5, 30, 15], [0, 5, 26, 15]), ([10, -2, 30, 15], [10, 0, 30, 13]),
    ([10, 5, 100, 100], [10, 5, 40, 35]), ([10, 5, 30, 15], [10, 5, 30, 15])])
def test_boxes_are_clipped_on_request(bbox, clipped):
  (kept,), skips, _ = _check([_object(bbox=bbox)], clip_boxes=True)
  assert kept['bbox'] == clipped and not skips


def test_nothing_is_left_of_a_box_outside():
  _, (skip,), _ = _check([_object(bbox=[50, 5, 30, 15])], clip_boxes=True)
  assert skip.reason == 'box outside of the image'


def _line():
  return [[10., 5., 40., 20.]]


@pytest.mark.parametrize('segmentation, reason', [
    (None, object_checks.NO_MASK), ([], object_checks.NO_MASK),
    (_line(), 'polygon of less than three points'),
    (coco_sets.rle(20, 50, 5, 10, 20, 40), 'mask of another size than the '
     'image'),
    (coco_sets.rle(40, 50, 5, 10, 5, 10), 'empty mask'),
    ([coco_sets.polygon(50, 60, 60, 70)], 'empty mask'),
    ({'size': [40, 50], 'counts': [3]}, 'mask that cannot be read: The runs'),
    ([[1., 1., 5., 1., 5., float('nan')]], 'mask that cannot be read: A '
     'polygon'),
    ('text', 'mask that cannot be read: A segmentation'),
    ([[1., 1., 5., 1., 5., 5.], {}], 'mask that cannot be read: A '
     'segmentation'),
])
def test_masks_that_are_left_out(segmentation, reason):
  kept, (skip,), _ = _check([_object(segmentation=segmentation)])
  assert not kept
  assert skip.reason.startswith(reason)


@pytest.mark.parametrize('segmentation', [
    [coco_sets.polygon(5, 10, 20, 40)], coco_sets.polygon(5, 10, 20, 40),
    [[1., 1., 4., 4.], coco_sets.polygon(5, 10, 20, 40)],
    coco_sets.rle(40, 50, 5, 10, 20, 40),
    mask_utils.segmentation_to_rle(coco_sets.rle(40, 50, 5, 10, 20, 40), 0, 0),
], ids=['polygons', 'polygon', 'line and polygon', 'runs', 'compressed runs'])
@pytest.mark.parametrize('iscrowd', [0, 1])
def test_every_form_of_mask_is_read(segmentation, iscrowd):
  """Crowds have polygons in some sets, runs in others."""
  (kept,), _, _ = _check([_object(segmentation=segmentation, iscrowd=iscrowd)])
  assert kept['segmentation'] == mask_utils.segmentation_to_rle(
      coco_sets.rle(40, 50, 5, 10, 20, 40), 0, 0)
  assert kept['iscrowd'] == iscrowd


def test_without_masks_the_box_of_a_broken_polygon_is_used():
  annotations = [_object(segmentation=s, area=0.) for s in (
      _line(), _line()[0], [], None, [coco_sets.polygon(5, 10, 20, 40)])]
  kept, skips, notes = _check(annotations, include_masks=False)
  assert len(kept) == 5 and not skips
  assert notes == ['polygon of less than three points, only the box is '
                   'used'] * 2
  assert all(a['area'] == 450 and 'segmentation' not in a for a in kept)


@pytest.mark.parametrize('include_masks', [True, False])
def test_box_around_a_mask(include_masks):
  (kept,), _, _ = _check([_object(bbox=None)], include_masks)
  assert kept['bbox'] == [10, 5, 30, 15]
  assert ('segmentation' in kept) == include_masks


def test_neither_box_nor_mask():
  _, (skip,), _ = _check([_object(bbox=None, segmentation=None)], False)
  assert skip.reason == 'neither box nor mask'


@pytest.mark.parametrize('area', [None, 0, -3., float('nan'), float('inf'),
                                  'x'])
def test_area_is_completed(area):
  """Of the mask, here half of the box, else of the box."""
  annotation = _object(area=area, segmentation=coco_sets.rle(
      40, 50, 5, 10, 20, 25))
  assert _check([annotation])[0][0]['area'] == 225
  assert _check([annotation], include_masks=False)[0][0]['area'] == 450


def test_area_as_annotated():
  assert _check([_object(area=12.5)])[0][0]['area'] == 12.5


@pytest.mark.parametrize('value, expected', [
    (None, 0), (0, 0), (1, 1), (True, 1), (False, 0), ('1', 1), ('0', 0),
    (2, 'iscrowd is not 0 or 1'), ('yes', 'iscrowd is not 0 or 1'),
    ([], 'iscrowd is not 0 or 1')])
def test_crowd_marks(value, expected):
  kept, skips, _ = _check([_object(iscrowd=value)])
  assert (kept[0]['iscrowd'] if kept else skips[0].reason) == expected


def test_boxes_that_were_cut():
  given = [_object(id=1), _object(id=2, bbox=[-1, 5, 30, 15]),
           _object(id=3, bbox=[10, 5, _SIZE[1] - 9.95, 15]),
           _object(id=4, bbox=None), _object(id=5, bbox=[1, 1, 0, 3])]
  kept, _, _ = _check(given, clip_boxes=True)
  assert object_checks.cut_boxes(given, kept) == [given[1]]
