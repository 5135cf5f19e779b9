"""Tests of utils/values.py."""

import numpy as np
import pytest

from utils import values

_NAN, _INF = float('nan'), float('inf')
_NO_VALUES = [None, True, False, [], [1], {}, 'x', '', '1_0', '0x1', _NAN, _INF,
              'nan', 'inf', '1e999', 10**400, '1 2']


@pytest.mark.parametrize('given, expected', [
    (1, 1.), (-2.5, -2.5), ('3', 3.), (' 4.5 ', 4.5), ('-.5', -.5),
    ('1e2', 100.), ('7.', 7.), (np.float32(.5), .5), (np.int64(3), 3.)])
def test_numbers(given, expected):
  number = values.number(given)
  assert number == expected and isinstance(number, float)


@pytest.mark.parametrize('given', _NO_VALUES)
def test_what_is_no_number(given):
  with pytest.raises(ValueError, match='is not a (finite )?number'):
    values.number(given)


@pytest.mark.parametrize('given, expected', [
    (3, 3), (3., 3), ('3', 3), ('3.0', 3), ('-3', -3), ('007', 7),
    (np.int32(4), 4), (10**30, 10**30)])
def test_whole_numbers(given, expected):
  number = values.whole_number(given)
  assert number == expected and isinstance(number, int)


@pytest.mark.parametrize('given', _NO_VALUES[:-2] + [1.5, '1.5', 2.**53])
def test_what_is_no_whole_number(given):
  """A float of 2 ** 53 may have been the number beside it."""
  with pytest.raises(ValueError, match='is not a whole number'):
    values.whole_number(given)


@pytest.mark.parametrize('given, expected', [
    (0, 0), (1, 1), (0., 0), (1., 1), ('0', 0), ('1', 1), ('1.0', 1),
    (True, 1), (False, 0), (np.bool_(True), 1)])
def test_marks(given, expected):
  assert values.flag(given) == expected


@pytest.mark.parametrize('given', [
    None, 2, -1, .5, 'yes', 'true', '', [], {}, _NAN, '2', 10**400])
def test_what_is_no_mark(given):
  with pytest.raises(ValueError, match='is not 0 or 1'):
    values.flag(given)


@pytest.mark.parametrize('given, expected', [
    (3, 3), (3., 3), ('3', '3'), ('a b', 'a b'), (-1, -1), (b'x', 'x')])
def test_identifiers(given, expected):
  identifier = values.identifier(given)
  assert identifier == expected and isinstance(identifier, type(expected))


@pytest.mark.parametrize('given', [None, '', ' ', True, 1.5, _NAN, [], {},
                                   1e300])
def test_what_is_no_identifier(given):
  with pytest.raises(ValueError, match='is not a whole number or text'):
    values.identifier(given)


def test_messages_stay_short():
  assert len(values.shown(list(range(1000)))) == 80
