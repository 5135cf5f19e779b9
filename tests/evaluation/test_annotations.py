"""Tests of evaluation/annotations.py."""

import numpy as np
import pytest

from evaluation import annotations
from tests.evaluation import coco_files


def test_columns():
  loaded = annotations.load(coco_files.square_set(), include_mask=True)
  assert loaded.image_ids == [7, 8]
  assert loaded.image_sizes == [(100, 120), (90, 80)]
  assert loaded.category_names == ['square', 'round']
  np.testing.assert_array_equal(loaded.images, [0, 0])
  np.testing.assert_array_equal(loaded.boxes[1], [50, 40, 20, 20])
  assert [rle['size'] for rle in loaded.rles] == [[100, 120]] * 2
  assert loaded.num_objects() == {1: 2, 2: 0}
  assert loaded.messages == []


def test_defaults_of_missing_fields():
  """Area of the box or mask, box of the mask, no crowd, no name."""
  content = coco_files.square_set()
  first, second = content['annotations']
  for key in ('area', 'iscrowd', 'id'):
    del first[key], second[key]
  del second['bbox']
  content['categories'] = None
  first['bbox'] = [10, 10, 30, 20]
  loaded = annotations.load(content)
  np.testing.assert_array_equal(loaded.areas, [600, 400])
  np.testing.assert_array_equal(loaded.boxes[1], [50, 40, 20, 20])
  assert not loaded.is_crowds.any()
  assert loaded.category_names == ['1']
  assert 'no key categories' in loaded.messages[0]
  loaded = annotations.load(content, include_mask=True)
  np.testing.assert_array_equal(loaded.areas, [400, 400])


def test_two_point_polygons_are_named_and_scored_as_boxes():
  content = coco_files.square_set()
  content['annotations'][1].update(id=69, segmentation=[[1., 2., 3., 4.]])
  loaded = annotations.load(content, include_mask=True)
  assert loaded.rles[1] is None
  assert len(loaded.images) == 2
  assert '1 annotations' in loaded.messages[0] and '69' in loaded.messages[0]
  assert annotations.load(content).messages == []


def test_both_forms_of_crowds():
  content = coco_files.square_set()
  content['annotations'][0].update(
      iscrowd=1, segmentation={'size': [100, 120], 'counts': [11990, 10]})
  content['annotations'][1]['iscrowd'] = 1
  loaded = annotations.load(content, include_mask=True)
  assert loaded.is_crowds.all()
  assert loaded.num_objects() == {1: 0, 2: 0}


def test_shortened_lists_limit_the_evaluation():
  content = coco_files.square_set()
  content['annotations'][0]['image_id'] = 99
  content['annotations'][1]['category_id'] = 55
  loaded = annotations.load(content)
  assert not len(loaded.images)
  assert '99' in loaded.messages[0] and '55' in loaded.messages[1]


def _without(key):
  def change(content):
    del content[key]
  return change


def _entry(key, field, value):
  def change(content):
    content[key][0][field] = value
  return change


@pytest.mark.parametrize('change, message', [
    (_without('images'), "no list 'images'"),
    (_without('annotations'), "no list 'annotations'"),
    (_entry('annotations', 'image_id', None), r"annotations\[0\]: 'image_id'"),
    (_entry('images', 'id', None), r"images\[0\]: 'id'"),
    (_entry('images', 'id', '8'), 'image id 8 occurs twice'),
    (_entry('annotations', 'bbox', [1, 2, 3]),
     'annotation 0 of image 7: box .*its'),
    (_entry('annotations', 'segmentation', 3), 'annotation 0 of image 7: A'),
    (_entry('annotations', 'segmentation', None), 'has no segmentation'),
    (_entry('images', 'height', None), 'no height and width'),
    (_entry('annotations', 'segmentation',
            {'size': [5, 6], 'counts': [30]}), '5 x 6 pixels'),
])
def test_what_cannot_be_used_is_named(change, message):
  content = coco_files.square_set()
  change(content)
  with pytest.raises(ValueError, match=message):
    annotations.load(content, include_mask=True)


def test_detections_in_place_of_annotations(tmp_path):
  path = tmp_path / 'results.json'
  path.write_text('[]')
  with pytest.raises(ValueError, match='results.json.*Is this a file of det'):
    annotations.load(str(path))


def test_broken_json_is_named(tmp_path):
  path = tmp_path / 'broken.json'
  path.write_text('{"images": [')
  with pytest.raises(ValueError, match='broken.json is not valid JSON: .*line'):
    annotations.load(str(path))


def test_what_may_be_meant_otherwise_is_told():
  content = coco_files.square_set()
  content['annotations'] += [dict(content['annotations'][0], ignore=1)]
  content['categories'][0]['name'] = 'round'
  ignored, names, repeated = annotations.load(content).messages
  assert '1 of 3 objects have the mark `ignore`' in ignored
  assert 'have the same name' in names
  assert '1 of 3 objects have the class and the box of another' in repeated
