"""Checks of a COCO-style annotation dictionary before it becomes records.

{'images': [{'id', 'file_name', 'height', 'width'}], 'annotations': [{'id',
'image_id', 'category_id', 'bbox' [x, y, width, height], 'area', 'iscrowd',
'segmentation'}], 'categories': [{'id', 'name'}]}. Every converter makes such a
dictionary first, so what is wrong with data is found and reported once, here.
"""

import collections
import math
from typing import (
  Any,
  Collection,
  Dict,
  List,
  Mapping,
  NamedTuple,
  Optional,
  Sequence,
)

from utils import coco_annotations
from utils import types
from utils import values


class Skip(NamedTuple):
  """What was left out.

  Attributes:
    kind: 'image' or 'object'.
    image: id as in the source.
    annotation: its id, or None.
    reason: a few words, the same for all of a kind.
    detail: the problem of this entry.
  """
  kind: str
  image: types.Id
  annotation: Optional[types.Id]
  reason: str
  detail: str


class Checked(NamedTuple):
  """Annotations that can be used.

  Attributes:
    images: as in the source, cleaned.
    annotations: by image id.
    categories: as in the source, cleaned.
    id_shift: int, the number that was added to every category id.
    skips: [Skip], the entries that were left out.
    notes: [sentence] for the user.
  """
  images: List[Dict[str, Any]]
  annotations: Dict[types.Id, List[Dict[str, Any]]]
  categories: List[Dict[str, Any]]
  id_shift: int
  skips: List[Skip]
  notes: List[str]


# What becomes of class ids: nothing, numbers from 1 on, or these where the ids
# are sparse.
KEEP, RENUMBER, AUTO = 'keep', 'renumber', 'auto'
CLASS_IDS = (KEEP, RENUMBER, AUTO)
_FEW_GAPS = 100  # ids without a class that do no harm
_LARGEST_CLASS = 2**31 - 1  # what class ids of labels are, int32


class ConversionError(ValueError):
  """Annotations that cannot be converted, with what to do about it."""


def are_sparse(ids: Collection[int]) -> bool:
  """Whether most numbers up to the highest class id are no classes.

  In COCO, 80 of 90 are; a model has outputs for all of them.
  """
  return max(ids, default=0) > 2 * len(ids) + _FEW_GAPS


def check_dataset(dataset: Dict[str, Any],
                  label_map: Optional[types.LabelMap] = None,
                  class_ids: str = KEEP) -> Checked:
  """Checks ids and references; what concerns single images comes later.

  Args:
    dataset: COCO-style dictionary; not changed. It may have 'notes', a list
      of lines for the report, and 'skips', a list of Skip of what it lacks.
    label_map: {id: name} that the records shall use, or None for the ids of
      the annotations.
    class_ids: one of CLASS_IDS, without a label map.

  Returns:
    Checked.

  Raises:
    ConversionError: naming the entry that makes the annotations ambiguous.
  """
  skips, notes = list(dataset.get('skips', [])), list(dataset.get('notes', []))
  dataset = _clean(dataset)
  dataset['categories'] = _without_repeated(dataset, label_map, notes)
  notes.extend(coco_annotations.doubts(dataset))
  images = _unique_images(dataset['images'], skips)
  categories, new_ids, id_shift = _category_ids(
      dataset, label_map, class_ids, notes)
  images = [_with_new_ids(image, new_ids) for image in images]
  annotations = _annotations_by_image(dataset['annotations'], images, new_ids,
                                      skips, notes)
  return Checked(images, annotations, categories, id_shift, skips, notes)


def _clean(dataset):
  """The lists with ids and sizes in one form, names as text.

  Raises:
    ConversionError: naming the first entry that lacks something.
  """
  try:
    dataset = coco_annotations.clean(dataset, 'The annotations')
  except ValueError as e:
    raise ConversionError(str(e))
  for number, image in enumerate(dataset['images']):
    name = image.get('file_name')
    if not isinstance(name, str) or not name.strip() or '\0' in name:
      raise ConversionError("images[%d]: 'file_name' is missing or not text: "
                            '%.200s' % (number, image))
  for number, category in enumerate(dataset['categories']):
    where = 'categories[%d]' % number
    _check_category_id(category['id'], "%s: 'id'" % where, category)
    category['name'] = _category_name(category.get('name'), where, category)
  for number, annotation in enumerate(dataset['annotations']):
    _check_category_id(annotation['category_id'],
                       "annotations[%d]: 'category_id'" % number, annotation)
  return dataset


def _check_category_id(category_id, where, entry):
  """Records hold the ids of classes as numbers."""
  if not isinstance(category_id, int):
    raise ConversionError('%s is not a whole number: %.200s' % (where, entry))
  if abs(category_id) > _LARGEST_CLASS:
    raise ConversionError('%s is larger than %d: %.200s' % (
        where, _LARGEST_CLASS, entry))


def _category_name(name, where, entry):
  """Name of a class as text of one line, as a label map can hold it."""
  # isfinite() overflows at integers that no float can hold.
  is_whole = isinstance(name, int) and not isinstance(name, bool)
  if is_whole or isinstance(name, float) and math.isfinite(name):
    name = str(name)  # The digits of a data set of digits.
  if not isinstance(name, str) or not name.strip():
    raise ConversionError("%s: 'name' is missing, empty or not text: %.200s"
                          % (where, entry))
  name = name.strip()
  if len(name.splitlines()) != 1:
    raise ConversionError(
        "%s: 'name' spans lines, which a label map cannot hold: %r. Give the "
        'class a name of one line.' % (where, name))
  return name


def _unique_images(images, skips):
  """The images, each once."""
  unique = collections.OrderedDict()
  for image in images:
    known = unique.setdefault(values.canonical_id(image['id']), image)
    if known is image:
      continue
    if known['file_name'] != image['file_name']:
      raise ConversionError(
          'Two images have the id %r%s: %s and %s. Give every image its own '
          'id.' % (known['id'], '' if known['id'] == image['id'] else
                   ' (the other %r)' % image['id'], known['file_name'],
                   image['file_name']))
    skips.append(Skip('image', image['id'], None, 'listed twice',
                      image['file_name']))
  return list(unique.values())


def _without_repeated(dataset, label_map, notes):
  """The categories but for those that only repeat the name of another one.

  Roboflow puts the name of the project in front of the classes, as a category
  without objects, and a project is often called as its only class is.
  """
  used = {a['category_id'] for a in dataset['annotations']}
  ids_by_name = collections.defaultdict(list)
  for category in dataset['categories']:
    ids_by_name[category['name']].append(category['id'])
  in_map = collections.Counter((label_map or {}).values())
  kept = []
  for category in dataset['categories']:
    others = [i for i in ids_by_name[category['name']] if i in used]
    if category['id'] in used or not others or in_map[category['name']] > 1:
      kept.append(category)
    else:
      notes.append('The category %d, %r, is left out: no object has it, and '
                   'the category %d has the same name.' % (
                       category['id'], category['name'], others[0]))
  return kept


def _category_ids(dataset, label_map, class_ids, notes):
  """Final categories, {id in the source: final id} and the shift between."""
  categories = {}
  for category in dataset['categories']:
    category_id = category['id']
    if category_id in categories:
      raise ConversionError('Two categories have the id %d: %s and %s.' % (
          category_id, categories[category_id], category['name']))
    categories[category_id] = category['name']
  if label_map is not None:
    used = {a['category_id'] for a in dataset['annotations']}
    return _ids_by_name(categories, used, label_map, notes)
  if categories and min(categories) < 0:
    raise ConversionError('The category %r has the negative id %d.' % (
        categories[min(categories)], min(categories)))
  id_shift = 0
  if categories.get(0, '').strip('_').lower() == 'background':
    notes.append('The category 0, %r, is left out: it is what no object is.'
                 % categories.pop(0))
  if class_ids == RENUMBER or class_ids == AUTO and are_sparse(categories):
    new_ids = {old: i for i, old in enumerate(sorted(categories), 1)}
    if any(old != new for old, new in new_ids.items()):
      notes.append('The classes are numbered from 1 to %d here, in the order '
                   'of their ids (%d to %d).' % (
                       len(categories), min(categories), max(categories)))
    return [dict(c, id=new_ids[c['id']]) for c in dataset['categories']
            if c['id'] in new_ids], new_ids, 0
  if 0 in categories:
    # Class 0 is the background: an object of class 0 would never be learnt.
    id_shift = 1
    notes.append(
        'Category ids start at 0 (%r), which stands for the background here: '
        'every id is raised by 1, in the records, the label map and the '
        'written annotations alike.' % categories[0])
  new_ids = {old: old + id_shift for old in categories}
  kept = [dict(c, id=new_ids[c['id']]) for c in dataset['categories']
          if c['id'] in new_ids]
  return kept, new_ids, id_shift


def _ids_by_name(categories, used, label_map, notes):
  """As `_category_ids`, the ids taken from a label map by name.

  Args:
    categories: {id: name} in the source.
    used: those ids that objects have; other classes need not be in the map.
    label_map: {id: name}.
    notes: [str], extended.
  """
  if not label_map:
    raise ConversionError('The label map is empty.')
  if min(label_map) < 1:
    raise ConversionError('The label map has the id %d; classes start at 1, '
                          '0 is the background.' % min(label_map))
  exact = {name: i for i, name in label_map.items()}
  repeated = _ids_of_repeated(categories, label_map)
  folded = {name.lower(): i for i, name in label_map.items()}
  new_ids = {}
  for old, name in categories.items():
    if name not in exact and name.lower() in folded:
      notes.append('The class %r is taken for %r of the label map.' % (
          name, label_map[folded[name.lower()]]))
    new_id = repeated.get(old, exact.get(name, folded.get(name.lower())))
    if new_id is not None:
      new_ids[old] = new_id
    elif old in used:
      raise ConversionError('The label map lacks the class %r. It has: %s.' % (
          name, ', '.join(sorted(exact))))
  return [{'id': i, 'name': label_map[i]} for i in sorted(label_map)], (
      new_ids), 0


def _ids_of_repeated(categories, label_map):
  """{id in the source: final id} of names that several ids of the map have.

  Raises:
    ConversionError: if the source has another number of them.
  """
  result = {}
  for name, number in collections.Counter(label_map.values()).items():
    if number == 1:
      continue
    olds = sorted(i for i, other in categories.items() if other == name)
    news = sorted(i for i, other in label_map.items() if other == name)
    if len(olds) not in (0, number):
      raise ConversionError(
          'The label map gives the name %r to %d ids, and %d of the categories '
          '%s it. Give every class a name of its own.' % (
              name, number, len(olds), 'has' if len(olds) == 1 else 'have'))
    result.update(zip(olds, news))
  return result


def _with_new_ids(image, new_ids):
  """An image entry whose lists of categories, if any, have the final ids."""
  changed = {}
  for key in coco_annotations.FEDERATED_LISTS:
    if isinstance(image.get(key), list):
      try:
        listed = [coco_annotations.category_id(i) for i in image[key]]
      except ValueError as e:
        raise ConversionError('Image %r: its %s: %s.' % (image['id'], key, e))
      # An id without a category is left out.
      changed[key] = [new_ids[i] for i in listed if i in new_ids]
  return dict(image, **changed) if changed else image


def _annotations_by_image(annotations, images, new_ids, skips, notes):
  """{image id: [annotation with final category id and unique id]}."""
  by_image = collections.OrderedDict((str(i['id']), []) for i in images)
  used = {}
  given_ids = [_annotation_id(a) for a in annotations]
  next_id = 1 + max(given_ids or [0])
  num_renumbered = 0
  for annotation, usable_id in zip(annotations, given_ids):
    image_id, annotation_id = annotation['image_id'], annotation.get('id')
    if str(image_id) not in by_image:
      skips.append(Skip('object', image_id, annotation_id,
                        'its image is not listed', ''))
      continue
    if annotation['category_id'] not in new_ids:
      raise ConversionError(
          'Annotation %r of image %r has the category id %r, which is not '
          'among the categories (%s).' % (
              annotation_id, image_id, annotation['category_id'],
              ', '.join(str(i) for i in sorted(new_ids))))
    if usable_id and used.get(usable_id) == annotation:
      skips.append(Skip('object', image_id, usable_id, 'listed twice', ''))
      continue
    if not usable_id or usable_id in used:
      num_renumbered += annotation_id is not None
      annotation_id, next_id = next_id, next_id + 1
    else:
      annotation_id = usable_id
    used[annotation_id] = annotation
    by_image[str(image_id)].append(
        dict(annotation, id=annotation_id,
             category_id=new_ids[annotation['category_id']]))
  if num_renumbered:
    # pycocotools takes an object of id 0 for not found.
    notes.append('%d annotation ids were not unique numbers above 0 (an id '
                 'belongs to one object of the whole set): they were '
                 'renumbered.' % num_renumbered)
  return by_image


def _annotation_id(annotation):
  """A number above 0; 0 where it is none."""
  try:
    return max(values.whole_number(annotation.get('id')), 0)
  except ValueError:
    return 0


def has_masks(
    annotations_by_image: Mapping[types.Id, Sequence[Dict[str, Any]]]) -> bool:
  """Whether any annotation has a segmentation."""
  return any(a.get('segmentation') for annotations
             in annotations_by_image.values() for a in annotations)
