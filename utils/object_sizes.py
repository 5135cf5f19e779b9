"""COCO's classes of object size, by area in pixels of the image.

The area is the annotated one: of the mask where an object has one, else of the
box. The ends belong to both classes, as in pycocotools.
"""

from typing import Dict, Iterable, NamedTuple


class Size(NamedTuple):
  """A class of object size.

  Attributes:
    name: its own.
    low: the least area, pixels.
    high: the greatest area, pixels.
    text: both in words.
  """
  name: str
  low: float
  high: float
  text: str


SIZES = (Size('small', 0, 32**2, '32 x 32 pixels or less'),
         Size('medium', 32**2, 96**2, '32 x 32 to 96 x 96 pixels'),
         Size('large', 96**2, float('inf'), '96 x 96 pixels or more'))


def count(areas: Iterable[float]) -> Dict[str, int]:
  """{'small', 'medium', 'large': number of these areas}."""
  return {size.name: sum(bool(size.low <= area <= size.high) for area in areas)
          for size in SIZES}
