"""Choices by name."""

from collections import abc
from typing import Any, Collection, Type


def pick(table: Collection[Any], name: Any, what: str,
         error: Type[ValueError] = ValueError) -> Any:
  """The entry of a table.

  Args:
    table: a mapping, or a collection of names.
    name: the name of the entry.
    what: what has this name, for people: 'architecture.backbone'.
    error: class of the error, a ValueError.

  Returns:
    table[name]; of a collection that is not a mapping, the name.

  Raises:
    error: if the name is not there; it lists those that are.
  """
  if name not in table:
    names = sorted(table) if isinstance(table, abc.Mapping) else list(table)
    raise error('%s is %r; it can be %s.' % (what, name, ', '.join(names)))
  return table[name] if isinstance(table, abc.Mapping) else name
