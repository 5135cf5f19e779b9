"""Arrays of a file and which of them were used, so that none is forgotten."""

import re
from typing import Dict, List, NamedTuple, Tuple

import numpy as np


class LayoutError(ValueError):
  """A file that is not of the layout."""


class LeftOut(NamedTuple):
  """What is not imported.

  Attributes:
    names: [str], names in the file.
    reason: a clause.
  """
  names: List[str]
  reason: str


class Accounts:
  """Hands arrays out, and knows in the end what is left.

  Attributes:
    left_out: [LeftOut].
    filled: [(variable, reason)] of what the file does not have.
  """

  def __init__(self, arrays: Dict[str, np.ndarray], layout: str) -> None:
    """Takes the arrays of a file.

    Args:
      arrays: {name: array}.
      layout: its name, for errors.
    """
    self._arrays, self._layout = arrays, layout
    self._used = set()
    self.left_out: List[LeftOut] = []
    self.filled: List[Tuple[str, str]] = []

  def has(self, name: str) -> bool:
    return name in self._arrays

  def rank(self, name: str) -> int:
    return self._arrays[name].ndim

  @property
  def names(self) -> List[str]:
    return sorted(self._arrays)

  def take(self, name: str, rank: int) -> np.ndarray:
    """An array as float32.

    Args:
      name: in the file.
      rank: its number of dimensions.

    Raises:
      LayoutError: if it is missing, or is something else.
    """
    if name not in self._arrays:
      raise LayoutError(
          'The file lacks %s, which the layout %s has; it has %d others, such '
          'as %s.' % (name, self._layout, len(self._arrays),
                      ', '.join(self.names[:4])))
    array = self._arrays[name]
    if array.ndim != rank or array.dtype.kind not in 'f':
      raise LayoutError('%s has the shape %s and the type %s; the layout %s '
                         'has floats of %d dimensions there.' % (
                             name, list(array.shape), array.dtype,
                             self._layout, rank))
    if not np.isfinite(array).all():
      raise LayoutError('%s holds values that are not numbers.' % name)
    self._used.add(name)
    return array.astype(np.float32)

  def leave_out(self, pattern: str, reason: str) -> None:
    """Says why arrays are not imported.

    Args:
      pattern: regular expression of whole names; some may not be there.
      reason: a clause.
    """
    names = [name for name in self.names
             if name not in self._used and re.fullmatch(pattern, name)]
    if names:
      self._used.update(names)
      self.left_out.append(LeftOut(names, reason))

  def fill(self, variable: str, reason: str) -> None:
    """Notes a variable that the file has no array for."""
    self.filled.append((variable, reason))

  def close(self) -> None:
    """Raises LayoutError if an array was neither used nor left out."""
    rest = [name for name in self.names if name not in self._used]
    if rest:
      raise LayoutError(
          '%d tensors of the file are unknown to the layout %s, such as %s: it '
          'is of another model.' % (len(rest), self._layout,
                                    ', '.join(rest[:4])))
