"""COCO annotations as every part of the program understands them.

The converters, the evaluation and the tools read annotation files through
these functions, so that a value means the same to all of them. `clean` settles
ids and sizes of the whole file; what concerns single objects (`box`, `area`,
`is_crowd`) is read one by one, because a converter may leave an object out
where an evaluation has to stop.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np

from utils import types
from utils import values


def category_id(value: Any) -> types.Id:
  """Id of a category: a whole number where it can be read as one, else text.

  Raises:
    ValueError: if it is neither.
  """
  value = values.identifier(value)
  try:
    return values.whole_number(value)
  except ValueError:
    return value


# {list: {id that each of its entries needs: what reads it}}
_IDS = {'images': {'id': values.identifier},
        'annotations': {'image_id': values.identifier,
                        'category_id': category_id},
        'categories': {'id': category_id}}
# Lists of category ids that images of LVIS have: those that are known to be
# absent, and those not all of whose objects are marked; and the features of
# records that hold them.
FEDERATED_LISTS = {
    'neg_category_ids': 'image/image_neg_category_ids',
    'not_exhaustive_category_ids': 'image/not_exhaustive_category_ids'}
# Pixels of an image; run-length codes count them with 32 bits.
_MOST_PIXELS = 2**31
_FAR = 1e7  # pixels; no image, so no box, reaches so far


def clean(content: Any, name: str,
          optional: Sequence[str] = ()) -> Dict[str, Any]:
  """Ids and sizes of a parsed annotation file in one form.

  Args:
    content: parsed JSON; not changed.
    name: what messages call it.
    optional: names of lists that may be missing; they are None then.

  Returns:
    {'images', 'annotations', 'categories': [dict]}, the entries with all of
    their keys: ids are int or str, those of images in annotations are spelt as
    in `images`; height and width are both positive ints or both None.

  Raises:
    ValueError: naming the entry and the key that cannot be used.
  """
  if not isinstance(content, dict):
    raise ValueError(
        '%s: COCO annotations are an object with the keys images, annotations '
        'and categories, not a %s. Is this a file of detections?'
        % (name, type(content).__name__))
  lists = {key: _clean_list(content, key, name, optional) for key in _IDS}
  if lists['images'] is not None:
    spelling = {}
    for number, image in enumerate(lists['images']):
      spelling.setdefault(values.canonical_id(image['id']), image['id'])
      height, width = size(image, '%s: images[%d]' % (name, number)) or (
          None, None)
      if height is not None or 'height' in image or 'width' in image:
        image.update(height=height, width=width)
    for annotation in lists['annotations'] or ():
      image_id = annotation['image_id']
      annotation['image_id'] = spelling.get(values.canonical_id(image_id),
                                            image_id)
  return lists


def _clean_list(content, key, name, optional):
  """Copies of the entries of a list, with ids in one form."""
  entries = content.get(key)
  if entries is None and key in optional:
    return None
  if not isinstance(entries, list):
    raise ValueError('%s: there is no list %r. It has the keys %s; COCO object '
                     'annotations have images, annotations and categories.' % (
                         name, key, values.shown(sorted(content, key=str))))
  return [_clean_entry(entry, _IDS[key], '%s: %s[%d]' % (name, key, number))
          for number, entry in enumerate(entries)]


def _clean_entry(entry, fields, where):
  """Copy of an entry with its ids in one form."""
  if not isinstance(entry, dict):
    raise ValueError('%s is not an object with the key %r: %s' % (
        where, next(iter(fields)), values.shown(entry)))
  entry = dict(entry)
  for field, read_id in fields.items():
    try:
      entry[field] = read_id(entry.get(field))
    except ValueError as e:
      raise ValueError('%s: %r is missing or unusable, %s: %.200s' % (
          where, field, e, entry))
  return entry


def size(image: Dict[str, Any],
         where: str = 'An image') -> Optional[Tuple[int, int]]:
  """Height and width of an image entry.

  Args:
    image: dict; sides that are missing, null, 0 or negative are not known.
    where: what the error calls it.

  Returns:
    (height, width), ints, or None where one of them is not known.

  Raises:
    ValueError: if a side is not a whole number, or too large.
  """
  sides = []
  for side in ('height', 'width'):
    try:
      sides.append(0 if image.get(side) is None else
                   values.whole_number(image[side]))
    except ValueError as e:
      raise ValueError('%s: %r is not a number of pixels, %s: %.200s' % (
          where, side, e, image))
  if min(sides) <= 0:
    return None
  if sides[0] * sides[1] >= _MOST_PIXELS:
    raise ValueError('%s: no image has %d x %d pixels (height x width): %.200s'
                     % (where, sides[0], sides[1], image))
  return sides[0], sides[1]


def box(annotation: Dict[str, Any]) -> Optional[List[float]]:
  """Box of an object as annotated.

  Args:
    annotation: dict.

  Returns:
    [x, y, width, height], floats, pixels; None where it is missing or null.

  Raises:
    ValueError: if it is not a box; says what it is.
  """
  given = annotation.get('bbox')
  if given is None:
    return None
  if not isinstance(given, (list, tuple, np.ndarray)) or len(given) != 4:
    raise ValueError('box that is not four numbers')
  try:
    numbers = [values.number(v) for v in given]
  except ValueError as e:
    raise ValueError('box that is not four %snumbers' % (
        'finite ' if 'finite' in str(e) else ''))
  if max(abs(v) for v in numbers) > _FAR:
    raise ValueError('box far beyond any image')
  return numbers


def area(annotation: Dict[str, Any]) -> Optional[float]:
  """Area of an object, pixels; None where it has to be computed.

  That is where it is missing, null, not a finite number, or not above 0.
  """
  given = annotation.get('area')
  if given is None:
    return None
  try:
    given = values.number(given)
  except ValueError:
    return None
  return given if given > 0 else None


def is_crowd(annotation: Dict[str, Any]) -> int:
  """0 or 1; 0 where the key is missing or null.

  Raises:
    ValueError: if it is something else.
  """
  given = annotation.get('iscrowd')
  return 0 if given is None else values.flag(given)


def is_difficult(annotation: Dict[str, Any]) -> int:
  """0 or 1, the mark of Pascal VOC; 0 where the key is missing or null.

  COCO does not have it, so another data set may use the key for something
  else: what is neither 0 nor 1 does not count as a mark.
  """
  try:
    return values.flag(annotation.get('difficult') or 0)
  except ValueError:
    return 0


def doubts(lists: Dict[str, Any]) -> List[str]:
  """What may be meant otherwise than it is understood.

  Args:
    lists: result of `clean`.

  Returns:
    [sentence].
  """
  return (_ignored(lists['annotations'])
          + _shared_names(lists['categories'] or ()))


def _ignored(annotations):
  """[sentence] about a mark of other data sets."""
  marked = 0
  for annotation in annotations:
    try:
      marked += values.flag(annotation.get('ignore') or 0)
    except ValueError:
      marked += 1
  if not marked:
    return []
  return ['%d of %d objects have the mark `ignore`, which is not part of the '
          'COCO format: they are trained on and scored like the others. '
          'Objects to leave out have iscrowd 1.' % (marked, len(annotations))]


def _shared_names(categories):
  """[sentence] about the first categories of one name."""
  names = {}
  for category in categories:
    name = category.get('name')
    if isinstance(name, str) and names.setdefault(
        name.strip(), category['id']) != category['id']:
      return ['The categories %r and %r have the same name, %r. They stay two '
              'classes.' % (names[name.strip()], category['id'], name.strip())]
  return []
