"""Tests of tools/datasets/annotation_checks.py."""

import copy

import pytest

from tests.tools import coco_sets
from tools.datasets import annotation_checks


def _check(dataset, label_map=None):
  return annotation_checks.check_dataset(dataset, label_map)


def _fails(dataset, label_map=None):
  """The message of the error."""
  with pytest.raises(annotation_checks.ConversionError) as error:
    _check(dataset, label_map)
  return str(error.value)


def _categories(checked):
  return {c['id']: c['name'] for c in checked.categories}


def test_a_right_set_stays_as_it_is():
  dataset = coco_sets.dataset()
  original = copy.deepcopy(dataset)
  checked = _check(dataset)
  assert dataset == original
  assert checked.images == dataset['images']
  assert checked.categories == dataset['categories']
  assert {i: [a['id'] for a in annotations]
          for i, annotations in checked.annotations.items()} == {
              '7': [1, 2, 4], 'scan/b': [3], '12': []}
  assert (checked.id_shift, checked.skips, checked.notes) == (0, [], [])


@pytest.mark.parametrize('key, number, field, value, message', [
    ('images', 1, 'id', None, "images[1]: 'id'"),
    ('images', 1, 'id', 1.5, "images[1]: 'id'"),
    ('images', 0, 'file_name', 3, "images[0]: 'file_name'"),
    ('images', 2, 'height', 'forty', "images[2]: 'height'"),
    ('images', 2, 'width', float('nan'), "images[2]: 'width'"),
    ('annotations', 3, 'image_id', [], "annotations[3]: 'image_id'"),
    ('annotations', 3, 'category_id', 'a', "annotations[3]: 'category_id'"),
    ('categories', 0, 'id', True, "categories[0]: 'id'"),
    ('categories', 0, 'id', 'a', "categories[0]: 'id'"),
    ('categories', 1, 'name', None, "categories[1]: 'name'"),
    ('categories', 1, 'name', float('nan'), "categories[1]: 'name'"),
])
def test_entry_that_cannot_be_used_is_named(key, number, field, value, message):
  dataset = coco_sets.dataset()
  dataset[key][number][field] = value
  assert message in _fails(dataset)


@pytest.mark.parametrize('key', ['images', 'annotations', 'categories'])
def test_missing_list_is_named(key):
  dataset = coco_sets.dataset()
  del dataset[key]
  assert 'no list %r' % key in _fails(dataset)


def test_entries_are_dictionaries():
  assert 'annotations[0]' in _fails(dict(coco_sets.dataset(),
                                         annotations=[[1, 2]]))


def test_ids_from_0_are_raised():
  """Class 0 is the background, so objects of it would never be learnt."""
  dataset = coco_sets.dataset()
  dataset['categories'][0]['id'] = 0
  for annotation in dataset['annotations'][1:]:
    annotation['category_id'] = 0
  checked = _check(dataset)
  assert _categories(checked) == {1: 'disc', 4: 'Box'}
  assert [a['category_id'] for a in checked.annotations['7']] == [4, 1, 1]
  assert checked.id_shift == 1
  note, = checked.notes
  assert "start at 0 ('disc')" in note and 'raised by 1' in note


@pytest.mark.parametrize('ids, class_ids, expected', [
    ((25000, 25001), 'auto', {1: 'disc', 2: 'Box'}),
    ((25001, 25000), 'renumber', {2: 'disc', 1: 'Box'}),
    ((90, 3), 'auto', {90: 'disc', 3: 'Box'}),
    ((90, 3), 'renumber', {2: 'disc', 1: 'Box'}),
    ((0, 900), 'auto', {1: 'disc', 2: 'Box'}),
    ((25000, 25001), 'keep', {25000: 'disc', 25001: 'Box'})])
def test_sparse_ids(ids, class_ids, expected):
  dataset = coco_sets.dataset()
  new = {c['id']: i for c, i in zip(dataset['categories'], ids)}
  for category in dataset['categories']:
    category['id'] = new[category['id']]
  for annotation in dataset['annotations']:
    annotation['category_id'] = new[annotation['category_id']]
  checked = annotation_checks.check_dataset(dataset, None, class_ids)
  assert _categories(checked) == expected
  by_name = {name: i for i, name in expected.items()}
  assert [a['category_id'] for a in checked.annotations['7']] == [
      by_name['Box'], by_name['disc'], by_name['disc']]
  assert len(checked.notes) == (expected.get(ids[0]) != 'disc')


def test_a_category_called_background_is_no_class():
  dataset = coco_sets.dataset()
  dataset['categories'].append({'id': 0, 'name': '_background_'})
  checked = _check(dataset)
  assert _categories(checked) == {1: 'disc', 3: 'Box'}
  assert checked.id_shift == 0
  assert "'_background_', is left out" in checked.notes[0]


def test_a_project_called_as_its_class_is_no_class():
  """As Roboflow exports it."""
  dataset = coco_sets.dataset()
  dataset['categories'].insert(0, {'id': 0, 'name': 'disc',
                                   'supercategory': 'none'})
  checked = _check(dataset)
  assert _categories(checked) == {1: 'disc', 3: 'Box'}
  assert checked.id_shift == 0
  note, = checked.notes
  assert note == ("The category 0, 'disc', is left out: no object has it, and "
                  'the category 1 has the same name.')
  again = _check(dataset, _categories(checked))  # the other split
  assert [a['category_id'] for a in again.annotations['7']] == [3, 1, 1]


def test_two_classes_of_one_name_stay_two_in_both_splits():
  dataset = coco_sets.dataset()
  for category in dataset['categories']:
    category['name'] = 'disc'
  label_map = _categories(_check(dataset))
  checked = _check(dataset, {i + 5: name for i, name in label_map.items()})
  assert [a['category_id'] for a in checked.annotations['7']] == [8, 6, 6]
  # Also where a split has only one of them.
  dataset['annotations'] = dataset['annotations'][1:2]
  assert [a['category_id'] for a in _check(
      dataset, label_map).annotations['7']] == [1]


@pytest.mark.parametrize('category_id, message', [
    (-2, "'disc' has the negative id -2"), (3, 'Two categories have the id 3'),
])
def test_category_ids_without_sense(category_id, message):
  dataset = coco_sets.dataset()
  dataset['categories'][0]['id'] = category_id
  dataset['annotations'] = []
  assert message in _fails(dataset)


def test_object_of_an_unknown_category():
  dataset = coco_sets.dataset()
  dataset['annotations'][2]['category_id'] = 2
  message = _fails(dataset)
  assert "Annotation 3 of image 'scan/b'" in message and '(1, 3)' in message


def test_label_map_gives_the_ids():
  checked = _check(coco_sets.dataset(), {5: 'box', 2: 'disc', 9: 'star'})
  assert _categories(checked) == {2: 'disc', 5: 'box', 9: 'star'}
  assert [a['category_id'] for a in checked.annotations['7']] == [5, 2, 2]
  assert checked.notes == ["The class 'Box' is taken for 'box' of the label "
                           'map.']


@pytest.mark.parametrize('label_map, message', [
    ({1: 'Box', 2: 'disc', 3: 'Box'}, "gives the name 'Box' to 2 ids"),
    ({1: 'disc'}, "lacks the class 'Box'. It has: disc."),
    ({0: 'disc', 1: 'Box'}, 'has the id 0; classes start at 1'),
    ({}, 'The label map is empty'),
])
def test_label_map_that_does_not_fit(label_map, message):
  assert message in _fails(coco_sets.dataset(), label_map)


def test_label_map_need_not_have_classes_without_objects():
  dataset = coco_sets.dataset()
  dataset['categories'].append({'id': 8, 'name': 'star'})
  assert _categories(_check(dataset, {1: 'disc', 2: 'Box'})) == {
      1: 'disc', 2: 'Box'}


def test_image_listed_twice():
  dataset = coco_sets.dataset()
  dataset['images'].append(dict(dataset['images'][0]))
  checked = _check(dataset)
  assert len(checked.images) == 3
  skip, = checked.skips
  assert (skip.kind, skip.image, skip.reason) == ('image', 7, 'listed twice')


def test_two_images_of_one_id():
  dataset = coco_sets.dataset()
  dataset['images'][2]['id'] = '7'
  assert "the id 7 (the other '7'): a.jpg and c.jpg" in _fails(dataset)


def test_number_and_text_are_the_same_id():
  dataset = coco_sets.dataset()
  dataset['annotations'][0]['image_id'] = '7'
  assert len(_check(dataset).annotations['7']) == 3


def test_object_of_an_unknown_image():
  dataset = coco_sets.dataset()
  dataset['annotations'][0]['image_id'] = 70
  checked = _check(dataset)
  assert [a['id'] for a in checked.annotations['7']] == [2, 4]
  skip, = checked.skips
  assert (skip.kind, skip.image, skip.annotation) == ('object', 70, 1)
  assert 'not listed' in skip.reason


def test_object_listed_twice():
  dataset = coco_sets.dataset()
  dataset['annotations'].append(dict(dataset['annotations'][0]))
  checked = _check(dataset)
  assert len(checked.annotations['7']) == 3
  assert [(s.annotation, s.reason) for s in checked.skips] == [
      (1, 'listed twice')]


@pytest.mark.parametrize('wrong_id', [1, 0, -4, 'x', 2.5, []])
def test_annotation_ids_become_unique_numbers(wrong_id):
  """pycocotools counts an object of id 0 as not found."""
  dataset = coco_sets.dataset()
  dataset['annotations'][3]['id'] = wrong_id
  checked = _check(dataset)
  assert [a['id'] for a in checked.annotations['7']] == [1, 2, 4]
  assert '1 annotation ids were not unique' in checked.notes[0]


def test_annotations_need_no_ids():
  dataset = coco_sets.dataset()
  for annotation in dataset['annotations']:
    del annotation['id']
  checked = _check(dataset)
  assert [a['id'] for a in checked.annotations['7']] == [1, 2, 4]
  assert not checked.notes


def test_has_masks():
  dataset = coco_sets.dataset()
  assert annotation_checks.has_masks(_check(dataset).annotations)
  for annotation in dataset['annotations']:
    annotation['segmentation'] = []
  assert not annotation_checks.has_masks(_check(dataset).annotations)


def test_notes_of_the_source_come_first():
  dataset = dict(coco_sets.dataset(), notes=['from the source'])
  dataset['categories'][0]['id'] = 0
  dataset['annotations'] = []
  notes = _check(dataset).notes
  assert notes[0] == 'from the source' and len(notes) == 2


def test_what_may_be_meant_otherwise_is_told():
  dataset = coco_sets.dataset()
  assert not _check(dataset).notes
  dataset['categories'][1]['name'] = ' disc'
  for annotation, mark in zip(dataset['annotations'], (0, '1', True, None)):
    annotation['ignore'] = mark
  ignored, names = _check(dataset).notes
  assert ignored.startswith('2 of 4 objects have the mark `ignore`')
  assert "categories 1 and 3 have the same name, 'disc'" in names
