"""Tests of evaluation/ids.py."""

import numpy as np
import pytest

from evaluation import ids


@pytest.mark.parametrize('value, expected', [
    (42, 42), ('42', 42), ('000042', 42), (42., 42), (b'42', 42),
    ('-1', -1), ('42.0', '42.0'),
    (np.int64(42), 42), (np.str_('a'), 'a'), ('1_000', '1_000'),
    (' 42', ' 42'), ('photo_1', 'photo_1'), (b'photo', 'photo'), ('', '')])
def test_canonical_id(value, expected):
  result = ids.canonical_id(value)
  assert result == expected
  assert type(result) is type(expected)


def test_index_keeps_the_spelling_and_sorts_numbers_first():
  values, index = ids.index_ids(['b', '10', 9, 'a'], 'image')
  assert values == [9, '10', 'a', 'b']
  assert index == {9: 0, 10: 1, 'a': 2, 'b': 3}


def test_same_id_twice_is_named():
  with pytest.raises(ValueError, match="image id 7 occurs twice"):
    ids.index_ids([7, '007'], 'image')


def test_name_some():
  assert ids.name_some([1, 'a']) == "1, 'a'"
  assert ids.name_some(range(8)) == '0, 1, 2, 3, 4 and 3 more'
