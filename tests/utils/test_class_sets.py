"""Tests of utils/class_sets.py."""

import pytest

from utils import class_sets


def test_named_sets_divide_the_classes_of_coco():
  voc, nonvoc = class_sets.ids('voc'), class_sets.ids('nonvoc')
  assert len(voc) == 20 and len(nonvoc) == 60
  assert not set(voc) & set(nonvoc)
  assert set(voc) | set(nonvoc) < set(range(1, 91))
  assert {1, 9, 21, 72} < set(voc) and {8, 10, 11, 90} < set(nonvoc)


def test_lists_and_all():
  assert class_sets.ids('all') is None
  assert class_sets.ids([3, 1]) == (3, 1)


def test_unknown_name():
  with pytest.raises(ValueError, match="'novel'; it can be all, nonvoc, voc"):
    class_sets.ids('novel')
