"""Tests of utils/coco_annotations.py: one reader for all that read."""

import copy
import json

import numpy as np
import pytest

from evaluation import annotations as annotations_lib
from evaluation import coco_metrics
from evaluation import coco_results
from tests.evaluation import coco_files
from tests.tools import coco_sets
from tools.datasets import annotation_checks
from tools.datasets import object_checks
from utils import coco_annotations

_NAN, _INF = float('nan'), float('inf')


def test_ids_and_sizes_get_one_form():
  content = {
      'images': [{'id': 7., 'height': '40', 'width': 50.},
                 {'id': '008', 'height': 0, 'width': 50}, {'id': 'scan/b'}],
      'annotations': [{'image_id': '7', 'category_id': '3'},
                      {'image_id': 8, 'category_id': 3.},
                      {'image_id': 9, 'category_id': 'cat'}],
      'categories': [{'id': '3.0'}]}
  original = copy.deepcopy(content)
  clean = coco_annotations.clean(content, 'a.json')
  assert content == original
  assert clean['images'] == [
      {'id': 7, 'height': 40, 'width': 50},
      {'id': '008', 'height': None, 'width': None}, {'id': 'scan/b'}]
  assert [(a['image_id'], a['category_id']) for a in clean['annotations']] == [
      (7, 3), ('008', 3), (9, 'cat')]
  assert clean['categories'] == [{'id': 3}]


@pytest.mark.parametrize('content, message', [
    ([], 'a.json: .* not a list. Is this a file of detections'),
    (None, 'not a NoneType'),
    ({'images': []}, "there is no list 'annotations'"),
    ({'images': {}, 'annotations': []}, "there is no list 'images'"),
    ({'images': [3], 'annotations': []}, r'images\[0\] is not an object'),
    ({'images': [{}], 'annotations': []}, r"images\[0\]: 'id' is missing"),
    ({'images': [{'id': [1]}], 'annotations': []}, r"images\[0\]: 'id'"),
    ({'images': [{'id': 1, 'height': 'a'}], 'annotations': []},
     r"images\[0\]: 'height' is not a number of pixels"),
    ({'images': [{'id': 1, 'height': 4.5}], 'annotations': []}, "'height'"),
    ({'images': [{'id': 1, 'width': _NAN}], 'annotations': []}, "'width'"),
    ({'images': [{'id': 1, 'height': 10**9, 'width': 10**9}],
      'annotations': []}, 'no image has 1000000000 x'),
    ({'images': [], 'annotations': [{'image_id': 1}]},
     r"annotations\[0\]: 'category_id'"),
])
def test_what_cannot_be_used_is_named(content, message):
  with pytest.raises(ValueError, match=message):
    coco_annotations.clean(content, 'a.json', optional=('categories',))


@pytest.mark.parametrize('image, size', [
    ({'height': 3, 'width': '4'}, (3, 4)), ({'height': 3}, None), ({}, None),
    ({'height': -1, 'width': -1}, None), ({'height': 0, 'width': 4}, None),
    ({'height': None, 'width': 4}, None)])
def test_sizes_that_are_not_known(image, size):
  assert coco_annotations.size(image) == size


@pytest.mark.parametrize('given, expected', [
    (None, None), ([1, '2', 3., ' 4 '], [1., 2., 3., 4.]),
    ((1, 2, 3, 4), [1., 2., 3., 4.])])
def test_boxes(given, expected):
  assert coco_annotations.box({'bbox': given}) == expected


@pytest.mark.parametrize('given, message', [
    ([], 'not four numbers'), ([1, 2, 3], 'not four numbers'),
    ('1,2,3,4', 'not four numbers'), ({'x': 1}, 'not four numbers'),
    ([1, 2, 3, [4]], 'not four numbers'), ([1, 2, 3, True], 'not four numbers'),
    ([1, 2, 3, _NAN], 'not four finite'), ([1, 2, 3, 1e30], 'far beyond')])
def test_what_is_no_box(given, message):
  with pytest.raises(ValueError, match=message):
    coco_annotations.box({'bbox': given})


@pytest.mark.parametrize('given, expected', [
    (None, None), (0, None), (-1, None), (_NAN, None), ('x', None), ([], None),
    (12, 12.), ('12.5', 12.5)])
def test_areas(given, expected):
  assert coco_annotations.area({'area': given}) == expected


_ODD = [None, True, False, 0, 1, -1, 2, 1.0, 0.5, 1e308, 10**400, -10**20, _NAN,
        _INF, '', ' ', '0', '1', '1.0', '-1', 'nan', 'a\nb', '\u20ac', '\0',
        [], [[]], [1], [1, 2, 3, 4], ['1', '2', '3', '4'], {}, {'a': [{}]},
        [[1., 1., 9., 1., '9', 9.]], [[None] * 6], [[10**400] * 6],
        {'size': [40, 50], 'counts': [2000.0]},
        {'size': ['40', '50'], 'counts': '0'},
        {'size': [10**10, 10**10], 'counts': [10**20]},
        {'size': [-40, -50], 'counts': [2000]},
        {'size': [40, 50], 'counts': [2**64, -2**64, 2000]}]


def _damaged(content, random):
  """A copy in which one to three values are odd, missing, or in excess."""
  content = copy.deepcopy(content)
  for _ in range(random.randint(1, 4)):
    key = ['images', 'annotations', 'categories'][random.randint(3)]
    entries = content.get(key)
    if not isinstance(entries, list) or not entries or not random.randint(20):
      content[key] = _ODD[random.randint(len(_ODD))]
      continue
    row = random.randint(len(entries))
    if not entries[row] or not isinstance(entries[row], dict) or (
        not random.randint(20)):
      entries[row] = _ODD[random.randint(len(_ODD))]
      continue
    field = sorted(entries[row])[random.randint(len(entries[row]))]
    if random.randint(5):
      entries[row][field] = _ODD[random.randint(len(_ODD))]
    else:
      del entries[row][field]
  return content


def _evaluate(content, include_mask):
  """Reads and scores; the message of the error, or None."""
  try:
    loaded = annotations_lib.load(content, include_mask)
    detections, _ = coco_results.from_results([], loaded, include_mask)
  except ValueError as e:
    return str(e)
  for kind in ('bbox', 'segm') if include_mask else ('bbox',):
    metrics = coco_metrics.evaluate(loaded, detections, kind)
    assert not np.isnan(list(metrics.values())).any()
  return None


def _convert(content, include_mask):
  """Objects that the converter takes of images of 40 x 50; or the message."""
  try:
    checked = annotation_checks.check_dataset(content)
  except annotation_checks.ConversionError as e:
    return str(e)
  objects = []
  for image in checked.images:
    kept, skips, _ = object_checks.check_objects(
        checked.annotations[str(image['id'])], image['id'], 40, 50,
        include_mask, clip_boxes=True)
    assert all(s.reason for s in skips)
    objects.extend(kept)
  return objects


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('include_mask', [False, True])
def test_any_damage_is_read_or_named(seed, include_mask):
  """Nothing but a ValueError with a message, whatever a value is."""
  random = np.random.RandomState(seed)
  messages = set()
  for _ in range(150):
    content = _damaged(coco_sets.dataset(), random)
    for result in (_evaluate(content, include_mask),
                   _convert(content, include_mask)):
      if isinstance(result, str):
        assert len(result) > 20
        messages.add(result)
      elif result:
        # What goes into records is complete, finite and JSON.
        for annotation in result:
          assert np.isfinite(annotation['bbox'] + [annotation['area']]).all()
          assert annotation['iscrowd'] in (0, 1) and annotation['area'] > 0
          json.dumps([annotation['bbox'], annotation['category_id']],
                     allow_nan=False)
  assert len(messages) > 20


@pytest.mark.parametrize('key', ['images', 'annotations', 'categories'])
@pytest.mark.parametrize('include_mask', [False, True])
def test_empty_lists_are_scored_as_undefined(key, include_mask):
  content = dict(coco_sets.dataset(), **{key: []})
  assert _evaluate(content, include_mask) is None


def _as_text(content):
  """All numbers of the annotations as text, as tables write them."""
  content = copy.deepcopy(content)
  for annotation in content['annotations']:
    for key in ('id', 'image_id', 'category_id', 'iscrowd', 'area'):
      annotation[key] = str(annotation[key])
    annotation['bbox'] = [str(v) for v in annotation['bbox']]
  for image in content['images']:
    image.update(height=str(image['height']), width=float(image['width']))
  for category in content['categories']:
    category['id'] = float(category['id'])
  return content


@pytest.mark.parametrize('include_mask', [False, True])
def test_text_and_floats_mean_the_same_to_all_readers(include_mask):
  content = coco_sets.dataset()
  text = _as_text(content)
  plain, read = (annotations_lib.load(c, include_mask) for c in (content, text))
  assert plain.image_ids == read.image_ids
  assert plain.category_ids == read.category_ids
  assert plain.num_objects() == read.num_objects() == {1: 2, 3: 1}
  for columns in zip(plain[6:-2], read[6:-2]):
    np.testing.assert_array_equal(*columns)
  assert _convert(content, include_mask) == _convert(text, include_mask)


def test_detections_of_text_and_floats():
  annotations = annotations_lib.load(coco_files.square_set())
  detections, messages = coco_results.from_results([
      {'image_id': '7', 'category_id': 1., 'score': '0.5',
       'bbox': ['10', 10, 20., '20']}], annotations)
  np.testing.assert_array_equal(detections.boxes, [[10, 10, 20, 20]])
  assert detections.scores.tolist() == [.5] and not messages


@pytest.mark.parametrize('key, value', [
    ('image_id', _NAN), ('image_id', [7]), ('image_id', True),
    ('category_id', None), ('category_id', 1.5), ('score', 'high'),
    ('score', [1]), ('score', True), ('bbox', '1,2,3,4'), ('bbox', [1, 2, 3]),
    ('bbox', [1, 2, 3, None]), ('bbox', [1, 2, 3, [4]]), ('bbox', {'x': 1})])
def test_detections_that_cannot_be_used_are_named(key, value):
  annotations = annotations_lib.load(coco_files.square_set())
  entry = {'image_id': 7, 'category_id': 1, 'score': .5, 'bbox': [1, 2, 3, 4]}
  with pytest.raises(ValueError, match='entry 0.*' + key):
    coco_results.from_results([dict(entry, **{key: value})], annotations)
