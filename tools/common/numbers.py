"""Types of argparse flags: numbers within limits, with errors in words."""

import argparse
import math
from typing import Callable


def whole(smallest: int = 1, or_none: bool = False) -> Callable[[str], int]:
  """Whole numbers of at least `smallest`.

  Args:
    smallest: the least number that makes sense.
    or_none: whether 0 does, too.

  Returns:
    Function text -> int, which raises argparse.ArgumentTypeError.
  """
  def number(text):
    try:
      value = int(text)
    except ValueError:
      value = None
    if or_none and value == 0:
      return value
    if value is None or value < smallest:
      raise argparse.ArgumentTypeError(
          '%r is not a whole number of at least %d%s' % (
              text, smallest, ', nor 0' if or_none else ''))
    return value
  return number


def positive(text: str) -> float:
  """A finite number above 0; raises argparse.ArgumentTypeError."""
  value = _number(text)
  if not 0 < value < math.inf:
    raise argparse.ArgumentTypeError('%r is not a number above 0' % text)
  return value


def share(text: str) -> float:
  """A number from 0 to 1; raises argparse.ArgumentTypeError."""
  value = _number(text)
  if not 0 <= value <= 1:
    raise argparse.ArgumentTypeError('%r is not a number from 0 to 1' % text)
  return value


def _number(text):
  try:
    return float(text)
  except ValueError:
    return math.nan
