"""The order of regions and detections, by hand: worst first must not pass."""

import numpy as np
import pytest

from tests.modeling import reference_rows

_SCORES = np.array([[.9, .8, .8 - 1e-6, .3]])


def _rows(*numbers):
  return np.array([[[number, number] for number in numbers]], float)


def _check(*numbers):
  order, missing = reference_rows.pair(_rows(*numbers), _rows(1, 2, 3, 4), .1)
  reference_rows.check_order(order, missing, _SCORES, 1e-5)
  return order[0].tolist(), missing[0].tolist()


def test_the_order_of_ties_is_free():
  assert _check(1, 2, 3, 4) == ([0, 1, 2, 3], [False] * 4)
  assert _check(1, 3.05, 2, 4) == ([0, 2, 1, 3], [False] * 4)


@pytest.mark.parametrize('numbers', [(4, 3, 2, 1), (2, 1, 3, 4), (1, 2, 4, 3)])
def test_no_other_order_passes(numbers):
  with pytest.raises(AssertionError, match='are in places'):
    _check(*numbers)


def test_missing_rows_are_told():
  assert _check(1, 2, 3, 7) == ([0, 1, 2, 3], [False] * 3 + [True])
  # A row stands for one row only.
  assert _check(1, 2, 2, 4)[1] == [False, False, True, False]


def test_rows_behind_those_in_order_stay():
  values = np.arange(4)[np.newaxis]
  assert reference_rows.take(values, np.array([[1, 0]])).tolist() == [
      [1, 0, 2, 3]]
