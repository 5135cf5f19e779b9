"""Choices by name."""


def pick(table, name, what):
  """The entry of a table.

  Args:
    table: a mapping, or a collection of names.
    name: the name of the entry.
    what: what has this name, for people: 'architecture.backbone'.

  Returns:
    table[name]; of a collection that is not a mapping, the name.

  Raises:
    ValueError: if the name is not there; it lists those that are.
  """
  if name not in table:
    names = sorted(table) if hasattr(table, 'keys') else list(table)
    raise ValueError('%s is %r; it can be %s.' % (what, name, ', '.join(names)))
  return table[name] if hasattr(table, 'keys') else name
