"""Types of configuration values: what a key accepts, and safe conversions.

A value is converted only where nothing can be lost: 3 to 3.0 where a float is
expected, 1e5 to 100000 where an integer is, and '4e-5' to the number it spells.
"""

import math
import typing
from typing import Any


class WrongType(Exception):
  """A value that does not fit; the caller says for which key."""


def coerce(value: Any, kind: Any) -> Any:
  """Converts a value as read from YAML to a type annotation.

  Args:
    value: a scalar, None or (nested) list or tuple.
    kind: bool, int, float, str, typing.Any, or Optional, Union and Tuple of
      these.

  Returns:
    The value as that type; every list has become a tuple.

  Raises:
    WrongType: if it does not fit without loss.
  """
  if kind is typing.Any:
    return _freeze(value)
  origin = getattr(kind, '__origin__', None)
  if origin is typing.Union:
    return _coerce_union(value, kind)
  if origin is tuple:
    return _coerce_tuple(value, kind.__args__)
  return _COERCIONS[kind](value)


def _coerce_union(value, kind):
  for alternative in kind.__args__:
    try:
      if alternative is type(None):
        if value is None:
          return None
      else:
        return coerce(value, alternative)
    except WrongType:
      pass
  raise WrongType()


def _coerce_tuple(value, kinds):
  if not isinstance(value, (list, tuple)):
    raise WrongType()
  if kinds[-1] is Ellipsis:
    kinds = kinds[:1] * len(value)
  if len(kinds) != len(value):
    raise WrongType()
  return tuple(coerce(v, k) for v, k in zip(value, kinds))


def _coerce_bool(value):
  if isinstance(value, bool):
    return value
  if isinstance(value, int) and value in (0, 1):
    return bool(value)
  raise WrongType()


def _coerce_float(value):
  if isinstance(value, bool) or not isinstance(value, (int, float, str)):
    raise WrongType()
  try:
    number = float(value)
  except (ValueError, OverflowError):
    raise WrongType()
  if math.isnan(number):
    raise WrongType()
  return number


def _coerce_int(value):
  if isinstance(value, int) and not isinstance(value, bool):
    return value
  if isinstance(value, str):
    try:
      return int(value)  # Not through float, which would round beyond 2**53.
    except ValueError:
      pass
  number = _coerce_float(value)
  if not number.is_integer():
    raise WrongType()
  return int(number)


def _coerce_str(value):
  if not isinstance(value, str):
    raise WrongType()
  return value


def _freeze(value):
  if isinstance(value, (list, tuple)):
    return tuple(_freeze(v) for v in value)
  if isinstance(value, dict):
    raise WrongType()
  return value


_COERCIONS = {bool: _coerce_bool, int: _coerce_int, float: _coerce_float,
              str: _coerce_str}
_NAMES = {bool: 'true or false', int: 'an integer', float: 'a number',
          str: 'text', typing.Any: 'a value', type(None): 'null'}
_PLURALS = {bool: 'of true and false', int: 'integers', float: 'numbers',
            str: 'texts', typing.Any: 'values'}


def describe_type(kind: Any) -> str:
  """The type in words, such as 'a list of 2 integers or null'."""
  origin = getattr(kind, '__origin__', None)
  if origin is typing.Union:
    return ' or '.join(describe_type(k) for k in kind.__args__)
  if origin is tuple:
    if kind.__args__[-1] is Ellipsis:
      return 'a list of %s' % _PLURALS.get(kind.__args__[0], 'lists')
    return 'a list of %d %s' % (len(kind.__args__), _PLURALS[kind.__args__[0]])
  return _NAMES[kind]


def describe_value(value: Any) -> str:
  """The value in words, such as "the text 'abc'"."""
  if value is None:
    return 'null'
  if isinstance(value, bool):
    return 'true' if value else 'false'
  if isinstance(value, dict):
    return 'a block of keys (%s)' % ', '.join(str(k) for k in value)
  if isinstance(value, str):
    return 'the text %r' % value
  if isinstance(value, (list, tuple)):
    return 'the list %s' % list(value)
  if isinstance(value, (int, float)):
    return 'the number %r' % value
  return '%r' % (value,)
