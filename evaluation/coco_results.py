"""COCO results: the list of detections that files hold and servers take."""

import collections
from typing import (
  Any,
  Collection,
  Dict,
  List,
  Mapping,
  Sequence,
  Tuple,
)

import numpy as np

from evaluation import annotations as annotations_lib
from evaluation import detections as detections_lib
from evaluation import ids
from utils import masks as mask_utils
from utils import types
from utils import values

_THIN = .02  # of the side of an image: a pixel of a network's input of 50
_FEW = .01  # of the entries


def from_results(
    results: Sequence[Dict[str, Any]], annotations: annotations_lib.Annotations,
    include_mask: bool = False, ignore_unknown_categories: bool = False,
    name: str = 'The detections'
) -> Tuple[detections_lib.Detections, List[str]]:
  """Reads a list of COCO results.

  Args:
    results: [dict] with image_id, category_id, score, and bbox or
      segmentation.
    annotations: `annotations.Annotations` that the ids refer to.
    include_mask: whether the masks are needed.
    ignore_unknown_categories: drops detections of categories that the
      annotations do not have, instead of raising.
    name: the name of the list, for messages.

  Returns:
    (`detections.Detections`, [message]).

  Raises:
    ValueError: naming the entry and key that is wrong, or the ids that the
      annotations do not have.
  """
  if not isinstance(results, list):
    raise ValueError(
        '%s: COCO results are a list of objects with image_id, category_id, '
        'score and bbox or segmentation, not a %s.'
        % (name, type(results).__name__))
  for number, entry in enumerate(results):
    _check_entry(entry, '%s: entry %d' % (name, number), include_mask)
  _check_known(results, 'image_id', annotations.image_ids,
               annotations.image_index, name)
  messages = []
  if ignore_unknown_categories:
    known = [r for r in results if ids.canonical_id(r['category_id'])
             in annotations.category_index]
    messages = unknown_category_messages(
        [r['category_id'] for r in results], annotations.category_index)
    results = known
  else:
    _check_known(results, 'category_id', annotations.category_ids,
                 annotations.category_index, name)
  images = [annotations.image_index[ids.canonical_id(r['image_id'])]
            for r in results]
  categories = [annotations.category_index[ids.canonical_id(r['category_id'])]
                for r in results]
  sizes = [annotations.image_sizes[i] for i in images]
  rles = None
  if include_mask:
    rles = [_rle(r, size) for r, size in zip(results, sizes)]
    num_empty = sum(not mask_utils.area(rle) for rle in rles)
    if num_empty:
      messages.append('%s: %d of %d masks have no pixel inside of their image.'
                      % (name, num_empty, len(rles)))
  boxes = [_box(r, size) for r, size in zip(results, sizes)]
  columns = detections_lib.Detections(
      np.array(images, np.int64), np.array(categories, np.int64),
      np.array(boxes, np.float64).reshape([-1, 4]),
      np.array([float(r['score']) for r in results], np.float64), rles)
  keep = detections_lib.finite(columns)
  if not keep.all():
    messages.append('%s: %d entries have a box or score that is not a finite '
                    'number and are left out.' % (name, (~keep).sum()))
    columns = detections_lib.select(columns, keep)
  return columns, messages + _doubts(columns, annotations.image_sizes, name)


def _doubts(columns, image_sizes, name):
  """[message] about detections that can hardly be meant as they are."""
  messages = []
  negative = np.any(columns.boxes[:, 2:] < 0, axis=1)
  num_negative = np.count_nonzero(negative)
  # The corners of a detector's box are its first and last pixel, so a few that
  # are thinner than a pixel of its input, at the border, come out negative.
  sides = np.array([image_sizes[i] or (1. / _THIN,) * 2
                    for i in columns.images[negative]]).reshape([-1, 2])
  are_thin = np.all(columns.boxes[negative, 2:] > -_THIN * sides[:, ::-1])
  if not are_thin or num_negative > _FEW * len(negative):
    messages.append(
        '%s: %d entries have a box of negative width or height, which nothing '
        'matches. Boxes are [x, y, width, height].' % (name, num_negative))
  num_repeated = detections_lib.num_repeated(
      columns.images, columns.categories, columns.boxes, columns.scores)
  if num_repeated:
    messages.append(
        '%s: %d of %d entries repeat another one, with its score. Each counts '
        'as one more detection that is wrong.' % (
            name, num_repeated, len(columns.boxes)))
  return messages


def unknown_category_messages(
    category_ids: Collection[types.Id],
    category_index: Mapping[types.Id, int]) -> List[str]:
  """Names the category ids that the annotations do not have.

  Args:
    category_ids: the ids of the detections.
    category_index: {canonical id: ...} of the annotations.

  Returns:
    [message], empty or one.
  """
  counts = collections.Counter(category_ids)
  unknown = [i for i in counts if ids.canonical_id(i) not in category_index]
  if not unknown:
    return []
  return ['%d of %d detections are left out, the annotations do not have their '
          'category: %s.' % (sum(counts[i] for i in unknown),
                             len(category_ids),
                             ids.name_some(sorted(unknown, key=str)))]


def _check_entry(entry, where, include_mask):
  """Raises ValueError for what cannot be evaluated."""
  if not isinstance(entry, dict):
    raise ValueError('%s is not an object: %.200r' % (where, entry))
  needed = ['image_id', 'category_id', 'score']
  if include_mask or not entry.get('bbox'):
    needed.append('segmentation' if include_mask else 'bbox or segmentation')
  for key in needed:
    # An empty box is none; an empty list of polygons is an empty mask.
    if all(entry.get(k) is None or k == 'bbox' and entry[k] == []
           for k in key.split(' or ')):
      raise ValueError('%s has no %s: %.200s' % (where, key, entry))
  box = entry.get('bbox')
  if box and (not isinstance(box, (list, tuple)) or len(box) != 4
              or not all(_is_number(v) for v in box)):
    raise ValueError('%s: its bbox should be [x, y, width, height], it is %s.'
                     % (where, values.shown(box)))
  if not _is_number(entry['score']):
    raise ValueError('%s: its score should be a number, it is %s.'
                     % (where, values.shown(entry['score'])))
  for key in ('image_id', 'category_id'):
    try:
      values.identifier(entry[key])
    except ValueError as e:
      raise ValueError('%s: its %s: %s.' % (where, key, e))


def _is_number(value):
  """Whether it can be read as a number; NaN is counted and left out later."""
  if isinstance(value, float):
    return True
  try:
    values.number(value)
  except ValueError:
    return False
  return True


def _check_known(results, field, known, index, name):
  """Raises ValueError, naming ids that are not in `index`."""
  unknown = [r[field] for r in results
             if ids.canonical_id(r[field]) not in index]
  if not unknown:
    return
  raise ValueError(
      '%s: %d of %d entries have a %s that the annotations do not have: %s. '
      'The annotations have %d%s.'
      % (name, len(unknown), len(results), field,
         ids.name_some(sorted(set(unknown), key=str)), len(known),
         ', such as ' + ids.name_some(known) if known else ''))


def _rle(entry, size):
  """RLE of a result; a polygon without area is a mask without pixels."""
  where = 'The detection on image %r' % entry['image_id']
  try:
    rle = mask_utils.segmentation_to_rle(entry['segmentation'],
                                         *(size or (0, 0)))
  except ValueError as e:
    raise ValueError('%s: %s' % (where, e))
  if rle is None:
    rle = mask_utils.encode(np.zeros(size or (0, 0)))
  if size and tuple(rle['size']) != size:
    raise ValueError('%s: its mask has %d x %d pixels (height x width), the '
                     'image has %d x %d.'
                     % ((where,) + tuple(rle['size']) + size))
  return rle


def _box(entry, size):
  if entry.get('bbox'):
    return [float(v) for v in entry['bbox']]
  return mask_utils.bounding_box(_rle(entry, size))


def to_results(detections: detections_lib.Detections,
               image_ids: Sequence[types.Id]) -> List[Dict[str, Any]]:
  """COCO results list of detections, ready for JSON.

  Args:
    detections: `detections.Detections`; `categories` are ids.
    image_ids: [I] ids that `images` are places of.

  Returns:
    [dict].
  """
  results = [
      {'image_id': image_ids[image], 'category_id': category, 'bbox': box,
       'score': score}
      for image, category, box, score in zip(
          *(column.tolist() for column in detections[:4]))]
  for entry, rle in zip(results, detections.rles or []):
    entry['segmentation'] = rle
  return results
