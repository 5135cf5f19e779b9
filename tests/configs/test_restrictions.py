"""Restrictions written as text."""

import pytest

from configs import factory
from configs import restrictions

CONFIG = factory.default_config('retinanet')  # levels 3 to 7


@pytest.mark.parametrize('restriction', [
    'architecture.min_level <= architecture.max_level',
    'architecture.max_level>=architecture.min_level',
    'architecture.min_level < architecture.max_level',
    'architecture.min_level != architecture.max_level',
    'architecture.min_level == 3', 'anchor.anchor_size > 0.5',
    '5 > architecture.min_level'])
def test_holds(restriction):
  assert restrictions.problem(CONFIG, restriction) is None


@pytest.mark.parametrize('restriction, words', [
    ('architecture.max_level <= architecture.min_level', 'at most'),
    ('architecture.min_level >= architecture.max_level', 'at least'),
    ('architecture.min_level == architecture.max_level', 'equal to'),
    ('architecture.max_level < architecture.min_level', 'less than')])
def test_problem_names_both_keys_and_values(restriction, words):
  problem = restrictions.problem(CONFIG, restriction)
  for part in ('architecture.min_level (3)', 'architecture.max_level (7)',
               words):
    assert part in problem


def test_problem_with_a_constant():
  assert restrictions.problem(CONFIG, 'architecture.min_level > 4') == (
      'architecture.min_level (3) must be greater than 4.')


@pytest.mark.parametrize('restriction', [
    'architecture.min_level', 'architecture.min_level < 3 < 4',
    'architecture.missing == 3', '== 3'])
def test_malformed(restriction):
  with pytest.raises(ValueError):
    restrictions.problem(CONFIG, restriction)
