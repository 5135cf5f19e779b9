"""Restrictions: comparisons between keys, written as text.

`architecture.min_level <= architecture.max_level`: dotted keys or constants on
either side of ==, !=, <, >, <= or >=.
"""

import operator
from typing import Optional

import yaml

from configs import base

# The longer operators first: '<' is also found in '<='.
OPERATORS = (('<=', operator.le, 'at most'),
             ('>=', operator.ge, 'at least'),
             ('==', operator.eq, 'equal to'),
             ('!=', operator.ne, 'different from'),
             ('<', operator.lt, 'less than'),
             ('>', operator.gt, 'greater than'))


def problem(config: base.Config, restriction: str) -> Optional[str]:
  """What breaks a restriction, or None where it holds.

  Args:
    config: the whole configuration.
    restriction: such as 'a.b <= c.d' or 'a.b > 0'.

  Returns:
    A sentence that names both keys and both values, or None.

  Raises:
    ValueError: if the restriction itself is malformed.
  """
  found = [entry for entry in OPERATORS if entry[0] in restriction]
  if not found:
    raise ValueError('No operator in the restriction %r.' % restriction)
  symbol, holds, words = found[0]
  sides = [s.strip() for s in restriction.split(symbol)]
  if len(sides) != 2 or not all(sides):
    raise ValueError('The restriction %r does not compare two values.'
                     % restriction)
  (left, left_text), (right, right_text) = (_side(config, s) for s in sides)
  if holds(left, right):
    return None
  return '%s must be %s %s.' % (left_text, words, right_text)


def _side(config, text):
  """The value of one side, and its name with the value."""
  try:
    value = base.lookup(config, text)
  except AttributeError:
    value = yaml.safe_load(text)
    if isinstance(value, str):
      raise ValueError('%r in a restriction is neither a key nor a number.'
                       % text)
    return value, repr(value)
  return value, '%s (%r)' % (text, value)
