"""One rule for numbers, ids and marks that a file may write as text or float.

Tables become JSON with "7", 7.0 or 7 for the same value. What every reader
makes of them is decided here: a number is an int, a float, or text of a
decimal number; true and false are no numbers; NaN and infinities are no values.
"""

import math
import re
from typing import Any

from utils import types

_NUMBER = re.compile(r'\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?'
                     r'\s*\Z')
# int() alone would also read '1_000', ' 1' and '+1'.
_WHOLE = re.compile(r'-?[0-9]{1,40}\Z')
_FRACTION = re.compile(r'\.0+\Z')  # of a whole number
# From here on a float does not tell one whole number from the next.
_EXACT = 2**53


def _plain(value):
  """The Python value of a NumPy scalar; text of bytes."""
  if hasattr(value, 'item') and not getattr(value, 'shape', ()):
    value = value.item()
  return value.decode('utf-8') if isinstance(value, bytes) else value


def shown(value: Any) -> str:
  """A value in a message, cut where it is long."""
  text = repr(value)
  return text if len(text) <= 80 else text[:77] + '...'


def number(value: Any) -> float:
  """A finite number.

  Args:
    value: int, float or text of a decimal number.

  Returns:
    float.

  Raises:
    ValueError: if it is none.
  """
  if type(value) is float and math.isfinite(value):
    return value
  value = _plain(value)
  if isinstance(value, str) and _NUMBER.match(value):
    value = float(value)
  if isinstance(value, bool) or not isinstance(value, (int, float)):
    raise ValueError('%s is not a number' % shown(value))
  try:
    value = float(value)
  except OverflowError:
    value = math.inf
  if not math.isfinite(value):
    raise ValueError('%s is not a finite number' % shown(value))
  return value


def whole_number(value: Any) -> int:
  """A whole number.

  Args:
    value: int, float without a fraction, or text of one of them.

  Returns:
    int.

  Raises:
    ValueError: if it is none.
  """
  if type(value) is int:
    return value
  value = _plain(value)
  if isinstance(value, str):
    value = _FRACTION.sub('', value.strip())
  value = canonical_id(value)
  if isinstance(value, bool) or not isinstance(value, int):
    raise ValueError('%s is not a whole number' % shown(value))
  return value


def flag(value: Any) -> int:
  """A mark that is 0 or 1.

  Args:
    value: bool, or a number in any form that `number` reads.

  Returns:
    int, 0 or 1.

  Raises:
    ValueError: if it is neither.
  """
  value = _plain(value)
  if isinstance(value, bool):
    return int(value)
  try:
    mark = number(value)
  except ValueError:
    mark = None
  if mark not in (0., 1.):
    raise ValueError('%s is not 0 or 1' % shown(value))
  return int(mark)


def identifier(value: Any) -> types.Id:
  """An id: text, or a whole number.

  Args:
    value: int, float without a fraction, or text that is not empty.

  Returns:
    int or str, text as it is written.

  Raises:
    ValueError: if it is none.
  """
  if type(value) is int:
    return value
  value = _plain(value)
  if isinstance(value, str) and value.strip():
    return value
  if isinstance(value, float):
    value = canonical_id(value)
  if isinstance(value, bool) or not isinstance(value, int):
    raise ValueError('%s is not a whole number or text' % shown(value))
  return value


def canonical_id(value: Any) -> Any:
  """The form under which two spellings of one id are equal.

  Records carry numeric ids as integers where the annotation file may have
  text such as '000042'; JSON written from arrays has 42.0.

  Args:
    value: int, float, str, bytes or NumPy scalar.

  Returns:
    int where the id is a whole number, else what it is.
  """
  value = _plain(value)
  if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
    return int(value)
  if isinstance(value, str) and _WHOLE.match(value):
    return int(value)
  return value
