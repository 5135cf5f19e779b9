"""Tests of evaluation/coco_results.py."""

import numpy as np
import pytest

from evaluation import annotations
from evaluation import coco_results
from evaluation import detections
from tests.evaluation import coco_files
from utils import masks


def _results():
  return [{'image_id': 7, 'category_id': 1, 'score': .5,
           'bbox': [10., 10., 20., 20.],
           'segmentation': [coco_files.corners([10., 10., 20., 30.])]},
          {'image_id': 8, 'category_id': 2, 'score': .25,
           'bbox': [1., 2., 3., 4.],
           'segmentation': {'size': [90, 80], 'counts': [0, 90, 7110]}}]


def _read(results, include_mask=True, **kwargs):
  loaded = annotations.load(coco_files.square_set(), include_mask)
  return coco_results.from_results(results, loaded, include_mask, **kwargs)


def test_columns_and_back():
  columns, messages = _read(_results())
  assert messages == []
  np.testing.assert_array_equal(columns.images, [0, 1])
  np.testing.assert_array_equal(columns.categories, [0, 1])
  np.testing.assert_array_equal(detections.areas(columns), [600, 90])
  columns = columns._replace(categories=np.array([1, 2]))
  expected = _results()
  for entry, rle in zip(expected, columns.rles):
    entry['segmentation'] = rle
  assert coco_results.to_results(columns, [7, 8]) == expected


def test_box_sizes_without_masks():
  columns, _ = _read(_results(), include_mask=False)
  assert columns.rles is None
  np.testing.assert_array_equal(detections.areas(columns), [400, 12])


def test_box_around_the_mask():
  results = _results()
  del results[0]['bbox']
  results[1]['bbox'] = []
  columns, _ = _read(results)
  np.testing.assert_array_equal(columns.boxes, [[10, 10, 20, 30],
                                                [0, 0, 1, 90]])


def test_other_spelling_of_ids():
  results = _results()
  results[0].update(image_id='7', category_id=1.)
  columns, _ = _read(results)
  assert columns.images[0] == 0


def test_two_point_polygon_is_an_empty_mask():
  results = _results()
  results[0]['segmentation'] = [[1., 2., 3., 4.]]
  columns, messages = _read(results)
  assert masks.area(columns.rles[0]) == 0
  assert '1 of 2 masks have no pixel' in messages[0]


def test_not_finite_numbers_are_left_out():
  results = _results()
  results[0]['score'] = float('nan')
  results[1]['bbox'][2] = float('inf')
  columns, messages = _read(results)
  assert not len(columns.images) and columns.rles == []
  assert '2 entries' in messages[0]


def test_unknown_categories_on_request():
  results = _results()
  results[0]['category_id'] = 12
  columns, messages = _read(results, ignore_unknown_categories=True)
  assert len(columns.images) == 1
  assert '1 of 2 detections' in messages[0] and '12' in messages[0]


@pytest.mark.parametrize('change, message', [
    ({'image_id': 1234}, 'image_id.*1234.*have 2, such as 7, 8'),
    ({'category_id': 12}, 'category_id.*12'),
    ({'image_id': None}, 'entry 0 has no image_id'),
    ({'image_id': [7]}, 'entry 0: its image_id'),
    ({'score': None}, 'entry 0 has no score'),
    ({'score': 'high'}, 'entry 0: its score'),
    ({'bbox': [1, 2]}, 'entry 0: its bbox'),
    ({'bbox': 'all'}, 'entry 0: its bbox'),
    ({'bbox': [], 'segmentation': None}, 'entry 0 has no '),
    ({'segmentation': None}, 'entry 0 has no segmentation'),
    ({'segmentation': {'size': [4, 5], 'counts': [20]}}, '4 x 5 pixels'),
])
def test_wrong_entries_are_named(change, message):
  results = _results()
  results[0].update(change)
  with pytest.raises(ValueError, match=message):
    _read(results)


@pytest.mark.parametrize('wrong, message', [
    ({'images': []}, 'are a list'), ([3], 'entry 0 is not an object')])
def test_wrong_layout(wrong, message):
  with pytest.raises(ValueError, match=message):
    _read(wrong)


def test_neither_box_nor_mask():
  results = _results()
  del results[0]['bbox'], results[0]['segmentation']
  with pytest.raises(ValueError, match='no bbox or segmentation'):
    _read(results, include_mask=False)


def test_empty_box_without_masks():
  results = _results()
  results[0].update(bbox=[])
  del results[0]['segmentation']
  with pytest.raises(ValueError, match='entry 0 has no bbox or segmentation'):
    coco_results.from_results(results,
                              annotations.load(coco_files.square_set()))


def test_thinner_than_a_pixel_of_the_network_is_not_told():
  """Detectors give such boxes at the border, as upstream's do."""
  results = [dict(result) for result in _results() * 200]
  for number, result in enumerate(results):
    result['score'] = number / 1000.
  results[0]['bbox'] = [5, 5, -.01, 9]
  assert not _read(results)[1]
  for result in results[:len(results) // 2]:
    result['bbox'] = [5, 5, -.01, 9]
  assert 'negative width' in _read(results)[1][0]


def test_what_can_hardly_be_meant_is_told():
  results = _results()
  results[0]['bbox'] = [5, 5, -2, 9]
  _, messages = _read(results + results[1:])
  negative, repeated = messages
  assert '1 entries have a box of negative width' in negative
  assert '1 of %d entries repeat another one' % (len(results) + 1) in repeated
