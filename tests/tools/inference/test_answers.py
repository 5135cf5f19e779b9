"""Tests of tools/inference/answers.py."""

import numpy as np
import pytest

from serving import networks
from serving import results
from tools.inference import answers

_NAMES = {1: 'owl', 2: 'owl, barn', 3: 'fox', 7: '12'}
_OF_IMAGE = dict(image_size=(4, 10), class_names=_NAMES)


@pytest.mark.parametrize('texts, expected', [
    (['fox'], [3]), (['owl, barn'], [2]), (['owl,fox'], [1, 3]),
    (['3', '1'], [1, 3]), (['12'], [7]), (['fox, 1 '], [1, 3]), ([], [])])
def test_classes_by_name_and_id(texts, expected):
  assert answers.class_ids(texts, _NAMES) == expected


@pytest.mark.parametrize('text, words', [
    ('fax', 'Did you mean fox'), ('zzz', 'There are: owl'),
    ('4', "'4' is not"), ('', 'is not a class')])
def test_what_is_not_a_class(text, words):
  with pytest.raises(answers.ClassError, match=words):
    answers.class_ids([text], _NAMES)


def test_classes_without_names():
  assert answers.class_ids(['2,5'], {}, 6) == [2, 5]
  with pytest.raises(answers.ClassError, match='ids up to 5'):
    answers.class_ids(['6'], {}, 6)
  with pytest.raises(answers.ClassError, match='no names'):
    answers.class_ids(['fox'], {})


def test_rows_of_detections():
  result = results.DetectionResult([[1, 2.5, 3, 7]], [.75], [3], **_OF_IMAGE)
  row, = answers.rows(result, networks.DETECTION, 'a.jpg')
  assert dict(zip(answers.COLUMNS[networks.DETECTION], row)) == {
      'image': 'a.jpg', 'class_id': 3, 'class': 'fox', 'score': '0.7500',
      'x': '2.50', 'y': '1.00', 'width': '4.50', 'height': '2.00',
      'image_width': 10, 'image_height': 4}
  assert answers.items(result, networks.DETECTION) == [(3, 'fox', .75)]


def test_rows_of_classes():
  result = results.ClassificationResult([0, .25, 0, .75], 2, **_OF_IMAGE)
  rows = answers.rows(result, networks.CLASSIFICATION, 5)
  assert rows == [(5, 3, 'fox', '0.7500', 10, 4),
                  (5, 1, 'owl', '0.2500', 10, 4)]
  assert len(rows[0]) == len(answers.COLUMNS[networks.CLASSIFICATION])


def test_rows_of_segments():
  label_map = np.zeros([4, 10], np.int32)
  label_map[:, :3] = 3
  result = results.SegmentationResult(label_map, **_OF_IMAGE)
  rows = answers.rows(result, networks.SEGMENTATION, 'a')
  assert rows == [('a', 0, '0', '0.7000', 28, 10, 4),
                  ('a', 3, 'fox', '0.3000', 12, 10, 4)]
  assert len(rows[0]) == len(answers.COLUMNS[networks.SEGMENTATION])
  assert answers.items(result, networks.SEGMENTATION)[1] == (3, 'fox', .3)
