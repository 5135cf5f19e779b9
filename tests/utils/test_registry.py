"""Choices by name, and names that are not there."""

import pytest

from utils import registry


def test_entries_and_names():
  assert registry.pick({'b': 1, 'a': 2}, 'a', 'key') == 2
  assert registry.pick(('b', 'a'), 'a', 'key') == 'a'


@pytest.mark.parametrize('table, names', [
    ({'b': 1, 'a': 2}, 'a, b'), (('b', 'a'), 'b, a')])
def test_a_wrong_name_lists_the_right_ones(table, names):
  with pytest.raises(ValueError) as e:
    registry.pick(table, 'c', 'some.key')
  assert str(e.value) == "some.key is 'c'; it can be %s." % names
