"""Conversions of values: only what loses nothing."""

from typing import Any, Optional, Tuple, Union

import pytest

from configs import values


@pytest.mark.parametrize('value, kind, expected', [
    (3, float, 3.), ('4e-5', float, 4e-5), ('.5', float, .5),
    (1e5, int, 100000), ('1e5', int, 100000),
    (str(2**60 + 1), int, 2**60 + 1), (1, bool, True), (False, bool, False),
    ('x', str, 'x'), (None, Optional[float], None), (2, Optional[float], 2.),
    ([1, 2.], Tuple[int, int], (1, 2)), ([], Tuple[float, ...], ()),
    ([1, '2e0'], Tuple[float, ...], (1., 2.)),
    (['a'], Union[str, Tuple[str, ...]], ('a',)),
    ([[1, [2]], None], Any, ((1, (2,)), None)),
])
def test_converts(value, kind, expected):
  result = values.coerce(value, kind)
  assert result == expected
  assert type(result) is type(expected)


@pytest.mark.parametrize('value, kind', [
    (1.5, int), (True, int), (True, float), ('abc', int), ('abc', float),
    ('nan', float), (float('nan'), float), ('inf', int), (2, bool),
    ('true', bool), (3, str), (None, str), (None, int), ([1], int),
    (5, Tuple[int, int]), ([1, 2, 3], Tuple[int, int]),
    ([1.5, 2], Tuple[int, ...]), ('ab', Tuple[str, ...]), ({}, Any),
    ({'a': 1}, float), ('x', Optional[float]),
])
def test_refuses(value, kind):
  with pytest.raises(values.WrongType):
    values.coerce(value, kind)


def test_words():
  assert values.describe_type(
      Optional[Tuple[int, int]]) == 'a list of 2 integers or null'
  assert values.describe_type(
      Union[str, Tuple[str, ...]]) == 'text or a list of texts'
  assert values.describe_value([1, 2]) == 'the list [1, 2]'
  assert values.describe_value(True) == 'true'
