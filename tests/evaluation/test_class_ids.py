"""Tests of evaluation/class_ids.py."""

import pytest

from evaluation import class_ids


def _categories(**names):
  return [{'id': int(i[1:]), 'name': name} for i, name in names.items()]


@pytest.mark.parametrize('class_names', [
    {1: 'cat', 2: 'dog'}, {1: 'Cat '}, {1: '1', 2: '2'}, {}, {2: 'dog'}])
def test_equal_ids(class_names):
  """Of names that agree, or that tell nothing."""
  assert class_ids.match(class_names, _categories(_1='cat', _2='dog')) == (
      None, [])


def test_ids_from_zero():
  category_map, (message,) = class_ids.match(
      {1: 'cat', 2: 'Dog'}, _categories(_0='cat', _1='dog', _2='bird'),
      'a.json')
  assert [category_map.category(i) for i in (1, 2, 3)] == [0, 1, 2]
  assert 'a.json' in message and 'cat: 1 is 0; Dog: 2 is 1' in message
  assert category_map.names({1: 'one', 3: 'three'}) == {0: 'one', 2: 'three'}
  assert category_map.names(None) is None


def test_any_other_order():
  category_map, _ = class_ids.match(
      {1: 'a', 2: 'b', 3: 'c'}, _categories(_90='a', _7='b', _3='c'))
  assert [category_map.category(i) for i in (1, 2, 3, 4)] == [
      90, 7, 3, class_ids.UNKNOWN]


def test_names_that_occur_twice_at_their_own_ids():
  assert class_ids.match({1: 'cat', 2: 'cat'},
                         _categories(_1='cat', _2='cat')) == (None, [])


@pytest.mark.parametrize('class_names, categories', [
    ({1: 'cat', 2: 'bus'}, _categories(_0='cat', _1='dog')),
    ({1: 'cat'}, _categories(_0='cat', _3='cat')),
    ({1: 'cat'}, [{'id': 'c', 'name': 'cat'}]),
    ({1: '1'}, _categories(_0='cat', _1='dog')),
    ({1: 'katze'}, _categories(_0='cat', _1='dog')),
    ({1: '1'}, [{'id': 0}, {'id': 1}])])
def test_what_cannot_be_matched_is_refused(class_names, categories):
  with pytest.raises(ValueError, match='a.json: the category ids .*annotations '
                     'that the converter wrote'):
    class_ids.match(class_names, categories, 'a.json')


def test_a_background_is_no_class():
  assert class_ids.match({1: '1'}, _categories(_0='__background__', _1='cat')
                         ) == (None, [])


def test_names_of_another_language_are_told():
  category_map, (message,) = class_ids.match({1: 'Katze'},
                                             _categories(_1='cat'))
  assert category_map is None
  assert "Class 1 is 'Katze' in the records" in message
