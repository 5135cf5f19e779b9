"""Tests of tools/datasets/conversion_report.py."""

import pytest

from tests.tools import coco_sets
from tools.datasets import annotation_checks
from tools.datasets import conversion_report
from tools.datasets import object_checks
from tools.datasets import record_builder


def _index(**changes):
  """Index of 3 images with 5 objects of 2 classes."""
  return dict({
      'num_records': 3, 'num_objects': 5, 'max_num_objects': 4,
      'num_images_without_objects': 0, 'num_images_over_100_objects': 0,
      'num_objects_by_class': {1: 4, 3: 1},
      'num_objects_by_size': {'small': 1, 'medium': 2, 'large': 2},
      'include_masks': False, 'cut_masks': False,
      'label_map': {1: 'disc', 3: 'box'}, 'notes': [], 'shards': [{}, {}],
      'skipped': []}, **changes)


def _skip(reason, kind='object', image=7, annotation=9, detail='box [1]'):
  return annotation_checks.Skip(kind, image, annotation, reason,
                                detail)._asdict()


def test_nothing_special():
  assert conversion_report.report(_index()).split('\n') == [
      'Wrote 3 records with 5 objects of 2 classes to 2 shards.',
      'Objects of each class: disc 4, box 1.',
      'Set architecture.num_classes: 4 (the highest class id is 3; 0 is the '
      'background).']


@pytest.mark.parametrize('cut_masks, words', [
    (False, ''), (True, ', also cut to their objects,')])
def test_one_of_each_with_masks(cut_masks, words):
  first = conversion_report.report(_index(
      num_records=1, num_objects=1, label_map={1: 'disc'}, shards=[{}],
      num_objects_by_class={1: 1}, include_masks=True,
      cut_masks=cut_masks)).split('\n')[0]
  assert first == ('Wrote 1 record with 1 object of 1 class and their masks%s '
                   'to 1 shard.' % words)


@pytest.mark.parametrize('changes, line', [
    ({'num_images_without_objects': 2}, '2 images without objects; they train '
     'as background.'),
    ({'num_objects_by_class': {1: 5, 3: 0}}, '1 class has no object here, so '
     'its AP is undefined: box.'),
    ({'num_objects_by_size': {'small': 3, 'medium': 2, 'large': 0}},
     'No object is large (96 x 96 pixels or more), so APl is undefined (-1).'),
    ({'num_objects_by_size': {'small': 0, 'medium': 2, 'large': 3}},
     'No object is small (32 x 32 pixels or less), so APs is undefined (-1).'),
    ({'notes': ['ids were raised']}, 'ids were raised'),
])
def test_line_for_what_is_special(changes, line):
  assert line in conversion_report.report(_index(**changes)).split('\n')


def test_crowded_images_say_what_to_set():
  report = conversion_report.report(_index(max_num_objects=369,
                                           num_images_over_100_objects=13))
  assert 'Up to 369 objects in one image (13 images have more than 100)' in (
      report)
  assert ('max_num_instances of the parser section and '
          'postprocess.max_total_size to at least 369') in report
  assert 'perfect detections score below 1' in report


def test_many_classes_are_cut():
  names = {i: 'class%d' % i for i in range(1, 31)}
  report = conversion_report.report(_index(
      label_map=names, num_objects_by_class={i: i for i in names}))
  assert 'class30 30, class29 29' in report and 'class10 10' not in report
  assert 'and 10 more' in report


def test_no_classes():
  """A set of images to predict on."""
  assert conversion_report.report(_index(
      num_objects=0, label_map={}, num_objects_by_class={}, max_num_objects=0,
      num_objects_by_size={'small': 0, 'medium': 0, 'large': 0})) == (
          'Wrote 3 records with 0 objects of 0 classes to 2 shards.')


def test_what_was_left_out_by_reason():
  skipped = [_skip('empty mask', image=i) for i in range(5)]
  skipped.insert(2, _skip('listed twice', 'image', 'b', None, ''))
  lines = conversion_report.report(_index(skipped=skipped)).split('\n')
  assert lines[2:4] == [
      'Left out 5 objects (empty mask): image 0, annotation 9 (box [1]); '
      'image 1, annotation 9 (box [1]); image 2, annotation 9 (box [1]); ... '
      '(all of them in the index file)',
      'Left out 1 image (listed twice): image b']


@pytest.mark.parametrize('reason, flag', [
    (object_checks.BEYOND, '--clip_boxes'),
    (object_checks.NO_MASK, '--noinclude_masks'),
    (record_builder.SIZE_MISMATCH, '--trust_files'),
    ('empty mask', None)])
def test_advice(reason, flag):
  report = conversion_report.report(_index(skipped=[_skip(reason)]))
  assert [f for f in ('--clip_boxes', '--noinclude_masks', '--trust_files')
          if f in report] == ([flag] if flag else [])


def test_sizes_as_coco_counts_them():
  """A boundary belongs to both sides; crowds are not counted."""
  objects = [{'area': area, 'iscrowd': 0}
             for area in (5., 1023.9, 1024., 5000., 9216., 9216.1)]
  objects.append({'area': 1., 'iscrowd': 1})
  assert conversion_report.count_by_size(objects) == {
      'small': 3, 'medium': 3, 'large': 2}


def _suspicion(boxes):
  """corner_suspicion of boxes in an image of 40 x 50."""
  annotations = {'7': [coco_sets.rectangle(i, 7, 1, (0, 0, 1, 1), bbox=box)
                       for i, box in enumerate(boxes)]}
  kept, skips, _ = object_checks.check_objects(annotations['7'], 7, 40, 50,
                                               False, False)
  assert len(kept) + len(skips) == len(boxes)
  return conversion_report.corner_suspicion(skips, annotations,
                                            {'7': (40, 50)})


def test_boxes_as_corners_are_suspected():
  message, = _suspicion([[20, 10, 45, 30], [30, 5, 50, 40], [5, 25, 20, 38],
                         [1, 1, 4, 4]])
  assert message.startswith('3 of the 3 boxes that reach beyond their image '
                            'would fit as [x0, y0, x1, y1].')


@pytest.mark.parametrize('boxes', [
    [[20, 10, 45, 30], [30, 5, 50, 40]],            # too few to tell
    [[20, 10, 10, 31], [40, 5, 11, 5]] * 3,         # a pixel too large
    [[1, 2, 30, 20]] * 5, []])
def test_ordinary_boxes_are_not_suspected(boxes):
  assert _suspicion(boxes) == []
