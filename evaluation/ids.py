"""Ids of images and categories, which files write as numbers or as text."""

from typing import Any, Dict, Iterable, List, Tuple

from utils import types
from utils import values

canonical_id = values.canonical_id

MAX_NAMED = 5  # ids named in a message; further ones are counted


def index_ids(values: Iterable[Any],
              what: str) -> Tuple[List[types.Id], Dict[types.Id, int]]:
  """Numbers ids in the order in which pycocotools goes through them.

  Args:
    values: the ids as the file writes them.
    what: 'image' or 'category', for the error.

  Returns:
    ([id as written], {canonical id: its place in the list}).

  Raises:
    ValueError: if two are the same.
  """
  by_canonical = {}
  for value in values:
    key = canonical_id(value)
    if key in by_canonical:
      raise ValueError('The %s id %r occurs twice (as %r and %r).' %
                       (what, key, by_canonical[key], value))
    by_canonical[key] = value
  # Numbers first, in order; then text.
  ordered = sorted(by_canonical, key=lambda k: (isinstance(k, str), k))
  return ([by_canonical[k] for k in ordered],
          {k: i for i, k in enumerate(ordered)})


def name_some(values: Iterable[Any]) -> str:
  """'3, 7, 9, 12, 15 and 4 more' for messages."""
  values = list(values)
  text = ', '.join(repr(v) for v in values[:MAX_NAMED])
  more = len(values) - MAX_NAMED
  return text + (' and %d more' % more if more > 0 else '')
