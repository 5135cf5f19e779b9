"""Which category of an annotation file a class of the records is.

Class 0 of a model is the background, so converters raise ids that begin at 0.
Annotations that people wrote themselves still have the old ids, under the same
names: names decide.
"""

import collections
from typing import (
  Any,
  Dict,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
  Tuple,
)

from evaluation import ids
from utils import types

UNKNOWN = -2**62  # what a class becomes that no category belongs to


class CategoryMap(NamedTuple):
  """From classes of the model to ids of the annotations.

  Attributes:
    by_class: {class id: category id}, of the classes whose names are known.
    shift: what is added to any other class id; None: they are UNKNOWN.
  """
  by_class: Dict[int, types.Id]
  shift: Optional[int]

  def category(self, class_id: int) -> types.Id:
    """int -> int."""
    if class_id in self.by_class:
      return self.by_class[class_id]
    return UNKNOWN if self.shift is None else class_id + self.shift

  def names(
      self,
      label_map: Optional[types.LabelMap]) -> Optional[Dict[types.Id, str]]:
    """{category id: name} of {class id: name}, or None of None."""
    if label_map is None:
      return None
    return {self.category(i): name for i, name in label_map.items()}


def _fold(name):
  return ' '.join(str(name).split()).casefold()


def match(
    class_names: Mapping[int, str], categories: Sequence[Dict[str, Any]],
    name: str = 'The annotations') -> Tuple[Optional[CategoryMap], List[str]]:
  """Compares the classes of records with the categories of annotations.

  Args:
    class_names: {class id of the records: name}; a name that is the id itself,
      or '', tells nothing.
    categories: [{'id', 'name'}] of the annotations, ids as
      utils.coco_annotations gives them.
    name: the name of the annotations, for messages.

  Returns:
    CategoryMap, or None where the ids are the same; [message for people].

  Raises:
    ValueError: if the ids differ and names do not tell which is which.
  """
  told = {i: text for i, text in class_names.items()
          if text and text != str(i)}
  by_name = collections.defaultdict(list)
  for category in categories:
    if category.get('name') not in (None, ''):
      by_name[_fold(category['name'])].append(category['id'])
  found = {i: by_name[_fold(text)] for i, text in told.items()
           if by_name.get(_fold(text))}
  if not found:
    return None, _without_names(class_names, told, categories, by_name, name)
  if all(i in matches for i, matches in found.items()):
    return None, []
  _check_complete(told, found, categories, name)
  by_class = {i: matches[0] for i, matches in found.items()}
  shifts = {category - i for i, category in by_class.items()}
  shift = shifts.pop() if len(shifts) == 1 else None
  pairs = ['%s: %d is %d' % (told[i], i, by_class[i]) for i in sorted(by_class)]
  return CategoryMap(by_class, shift), [
      'The classes of the records have other ids than the categories of %s. '
      'They are matched by name, and results have the ids of the annotations '
      '(%s%s).' % (name, '; '.join(pairs[:ids.MAX_NAMED]),
                   '; ...' if len(pairs) > ids.MAX_NAMED else '')]


def _check_complete(told, found, categories, name):
  """Raises ValueError where names do not lead from each class to a category."""
  lost = [text for i, text in sorted(told.items()) if i not in found]
  twice = [told[i] for i, matches in sorted(found.items()) if len(matches) > 1]
  if lost or twice or not all(
      isinstance(i, int) for matches in found.values() for i in matches):
    raise ValueError(
        '%s: the category ids are not those of the records, and the names do '
        'not tell which is which: the records have %s, the annotations %s. '
        'Use the annotations that the converter wrote (PREFIX-annotations.json)'
        ', or leave eval.val_json_file empty.' % (
            name, ids.name_some('%d %s' % item for item in sorted(
                told.items())),
            ids.name_some('%s %s' % (c['id'], c.get('name', ''))
                          for c in categories)))


def _without_names(class_names, told, categories, by_name, name):
  """[message] where only ids can be compared; 0 cannot be right."""
  zero = next((c for c in categories if c['id'] == 0), None)
  if class_names and zero is not None and _fold(
      zero.get('name', '')).strip('_') != 'background':
    raise ValueError(
        '%s: the category ids begin at 0 (%r), which is the background of a '
        'model, so the records have other ids; there are no names to match '
        'them by. Use the annotations that the converter wrote '
        '(PREFIX-annotations.json), or set eval.label_map to its label map.'
        % (name, zero.get('name', '')))
  if told and by_name:
    first = min(told)
    return ['No class of the records has the name of a category of %s: ids are '
            'compared alone. Class %d is %r in the records.' % (
                name, first, told[first])]
  return []
