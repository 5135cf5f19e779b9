"""The ground truth of an evaluation, from COCO annotations.

Faults of an annotation file become messages, each once, where the evaluation
can continue, and errors where it cannot.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from evaluation import detections as detections_lib
from evaluation import ids
from utils import coco_annotations
from utils import masks as mask_utils
from utils import text_files
from utils import types

read_json = text_files.read_json


class Annotations(NamedTuple):
  """Objects of an image set, one row of the arrays for each.

  Attributes:
    image_ids: [I] ids as the file writes them; the text id of the record where
      ground truth read from records has its hash.
    image_index: {canonical image id: row of image_ids}, both for the latter.
    image_sizes: [I] (height, width), or None where the file does not tell.
    category_ids: [C] ids as the file writes them.
    category_index: {canonical category id: row of category_ids}.
    category_names: [C] str.
    images: int [N], row of image_ids.
    categories: int [N], row of category_ids.
    boxes: float64 [N, 4], (x, y, width, height), original pixels.
    areas: float64 [N], pixels.
    is_crowds: bool [N].
    is_difficult: bool [N], Pascal VOC's mark; its metrics alone look at it.
    rles: [N] RLE (None where the object has no mask), or None without masks.
    messages: [str], for people, about the file.
  """
  image_ids: List[types.Id]
  image_index: Dict[types.Id, int]
  image_sizes: List[Optional[Tuple[int, int]]]
  category_ids: List[types.Id]
  category_index: Dict[types.Id, int]
  category_names: List[str]
  images: np.ndarray
  categories: np.ndarray
  boxes: np.ndarray
  areas: np.ndarray
  is_crowds: np.ndarray
  is_difficult: np.ndarray
  rles: Optional[List[Optional[types.Rle]]]
  messages: List[str]

  def num_objects(self) -> Dict[types.Id, int]:
    """{category id: number of objects, crowds not counted}."""
    counts = np.bincount(self.categories[~self.is_crowds],
                         minlength=len(self.category_ids))
    return dict(zip(self.category_ids, counts.tolist()))

  def select(self, keep: np.ndarray) -> 'Annotations':
    """`Annotations` of some objects; `keep` is bool [N], or rows."""
    rles = self.rles
    if rles is not None:
      rles = [rles[i] for i in np.arange(len(rles))[keep]]
    return self._replace(
        images=self.images[keep], categories=self.categories[keep],
        boxes=self.boxes[keep], areas=self.areas[keep],
        is_crowds=self.is_crowds[keep], is_difficult=self.is_difficult[keep],
        rles=rles)


def load(source: Any, include_mask: bool = False,
         label_map: Optional[Mapping[Any, str]] = None,
         name: str = 'The annotations') -> Annotations:
  """Reads COCO annotations.

  Args:
    source: path of a JSON file, or its content as a dict.
    include_mask: whether the masks are needed too.
    label_map: {category id: name}, takes precedence over names in `source`.
    name: their name in messages where `source` is a dict.

  Returns:
    `Annotations`.

  Raises:
    ValueError: if a key is missing or a value cannot be used; names it.
  """
  if isinstance(source, dict):
    return _parse(source, name, include_mask, label_map)
  return _parse(read_json(source), str(source), include_mask, label_map)


def _parse(content, name, include_mask, label_map):
  """`load` of a parsed file; `name` is what the messages call it."""
  content = coco_annotations.clean(content, name, optional=('categories',))
  messages = []
  image_ids, image_index = ids.index_ids(
      [image['id'] for image in content['images']], 'image')
  sizes = {ids.canonical_id(image['id']): coco_annotations.size(image)
           for image in content['images']}
  sizes = [sizes[ids.canonical_id(i)] for i in image_ids]
  _use_source_ids(content['images'], image_ids, image_index)
  categories = content['categories']
  if categories is None:
    found = {a['category_id'] for a in content['annotations']}
    categories = [{'id': i} for i in found]
    messages.append('%s has no key categories: those of its annotations are '
                    'taken.' % name)
  category_ids, category_index = ids.index_ids(
      [category['id'] for category in categories], 'category')
  objects = _known_objects(content['annotations'], image_index,
                           category_index, name, messages)
  rles = None
  if include_mask:
    rles = _encode_masks(objects, image_index, sizes, name, messages)
  boxes = np.array([_box(a, image_index, sizes, name) for a in objects],
                   np.float64).reshape([-1, 4])
  is_crowds = _is_crowds(objects, name)
  messages.extend(_crowd_messages(is_crowds, name))
  messages.extend('%s: %s' % (name, doubt)
                  for doubt in coco_annotations.doubts(content))
  images = _rows(objects, 'image_id', image_index)
  classes = _rows(objects, 'category_id', category_index)
  messages.extend(_repeated_messages(images, classes, boxes, name))
  return Annotations(
      image_ids=image_ids, image_index=image_index, image_sizes=sizes,
      category_ids=category_ids, category_index=category_index,
      category_names=_names(category_ids, categories, label_map),
      images=images, categories=classes, boxes=boxes,
      areas=_areas(objects, boxes, rles, name, messages),
      is_crowds=is_crowds, rles=rles, messages=messages,
      is_difficult=np.array([coco_annotations.is_difficult(a) for a in objects],
                            bool))


def _use_source_ids(images, image_ids, image_index):
  """Puts text ids in the place of their hashes, in place.

  Ground truth read from records has the ids of the reader, which are numbers,
  and next to them `source_id` as in the record.
  """
  texts = {ids.canonical_id(image['id']): image['source_id']
           for image in images if isinstance(image.get('source_id'), str)}
  if len(set(texts.values())) < len(images):
    return  # the key means something else in this file
  for row, image_id in enumerate(image_ids):
    text = texts[ids.canonical_id(image_id)]
    if ids.canonical_id(text) not in image_index:
      image_ids[row] = text
      image_index[ids.canonical_id(text)] = row


def _names(category_ids, categories, label_map):
  names = {c['id']: str(c['name']) for c in categories
           if c.get('name') not in (None, '')}
  names.update(label_map or {})
  return [names.get(i, str(i)) for i in category_ids]


def _rows(objects, field, index):
  return np.array([index[ids.canonical_id(a[field])] for a in objects],
                  np.int64)


def _known_objects(objects, image_index, category_index, name, messages):
  """Drops objects of images or categories that the file does not list.

  As in pycocotools, a shortened list of images or categories limits the
  evaluation to them.
  """
  for field, index, listed in (('image_id', image_index, 'images'),
                               ('category_id', category_index, 'categories')):
    unknown = {a[field] for a in objects
               if ids.canonical_id(a[field]) not in index}
    if unknown:
      kept = [a for a in objects if a[field] not in unknown]
      messages.append(
          '%s: %d annotations are left out, their %s is not among its %s: %s.'
          % (name, len(objects) - len(kept), field, listed,
             ids.name_some(sorted(unknown, key=str))))
      objects = kept
  return objects


def _encode_masks(objects, image_index, sizes, name, messages):
  """Returns the RLE of every object, None where a polygon has no area."""
  rles, empty = [], []
  for entry in objects:
    where = _where(entry, name)
    segmentation = entry.get('segmentation')
    if segmentation is None:
      raise ValueError('%s has no segmentation, which the evaluation of masks '
                       'needs.' % where)
    size = sizes[image_index[ids.canonical_id(entry['image_id'])]]
    if size is None and not isinstance(segmentation, dict):
      raise ValueError('%s: its image has no height and width, which polygons '
                       'need.' % where)
    try:
      rle = mask_utils.segmentation_to_rle(segmentation, *(size or (0, 0)))
    except ValueError as e:
      raise ValueError('%s: %s' % (where, e))
    if rle is None:
      empty.append(entry.get('id', '?'))
    elif size and tuple(rle['size']) != size:
      raise ValueError('%s: the mask has %d x %d pixels (height x width), its '
                       'image has %d x %d.' % ((where,) + tuple(rle['size'])
                                               + size))
    rles.append(rle)
  if empty:
    messages.append(
        '%s: %d annotations have no polygon of three points or more and are '
        'left out of the evaluation of masks: id %s.'
        % (name, len(empty), ids.name_some(empty)))
  return rles


def _where(entry, name):
  return '%s: annotation %s of image %r' % (name, entry.get('id', '(no id)'),
                                            entry['image_id'])


def _box(entry, image_index, sizes, name):
  """Box of an object, around its mask when none is given."""
  try:
    box = coco_annotations.box(entry)
    if box is None and entry.get('segmentation'):
      size = sizes[image_index[ids.canonical_id(entry['image_id'])]]
      rle = mask_utils.segmentation_to_rle(entry['segmentation'],
                                           *(size or (0, 0)))
      box = mask_utils.bounding_box(rle) if rle else None
  except ValueError as e:
    raise ValueError('%s: %s: its bbox should be [x, y, width, height], it is '
                     '%.200r.' % (_where(entry, name), e, entry.get('bbox')))
  if box is None:
    raise ValueError('%s: its bbox should be [x, y, width, height], there is '
                     'none.' % _where(entry, name))
  if min(box[2:]) < 0:
    raise ValueError('%s: its bbox has a negative width or height: %r. It '
                     'should be [x, y, width, height].' % (
                         _where(entry, name), box))
  return box


def _is_crowds(objects, name):
  """bool [N]; a mark that is not 0 or 1 is an error."""
  marks = []
  for entry in objects:
    try:
      marks.append(coco_annotations.is_crowd(entry))
    except ValueError as e:
      raise ValueError('%s: its iscrowd: %s.' % (_where(entry, name), e))
  return np.array(marks, bool)


def _crowd_messages(is_crowds, name):
  """A message if most objects are crowds, for which nothing is scored."""
  if not len(is_crowds) or np.mean(is_crowds) <= .5:
    return []
  return ['%s: %d of %d objects are marked as crowds (iscrowd 1), which are '
          'not scored%s. If they are ordinary objects, set iscrowd to 0.' % (
              name, np.count_nonzero(is_crowds), len(is_crowds),
              ', so that no figure is defined' if is_crowds.all() else '')]


def _repeated_messages(images, categories, boxes, name):
  """A message if objects are listed twice: each has to be found once more."""
  repeated = detections_lib.num_repeated(images, categories, boxes)
  if not repeated:
    return []
  return ['%s: %d of %d objects have the class and the box of another one in '
          'their image. Each of them counts, so that one detection leaves the '
          'others not found.' % (name, repeated, len(boxes))]


def _areas(objects, boxes, rles, name, messages):
  """Areas as given, else of the mask, else of the box."""
  areas = np.prod(boxes[:, 2:], axis=1)
  unusable = []
  for row, entry in enumerate(objects):
    area = coco_annotations.area(entry)
    if area is not None:
      areas[row] = area
    elif rles and rles[row]:
      areas[row] = mask_utils.area(rles[row])
    if area is None and entry.get('area') is not None:
      unusable.append(entry.get('id', '?'))
  if unusable:
    messages.append(
        '%s: %d annotations have an area that is not a number above 0; that of '
        'the mask, or else of the box, is taken: id %s.' % (
            name, len(unusable), ids.name_some(unusable)))
  return areas
