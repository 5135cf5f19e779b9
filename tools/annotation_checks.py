"""Checks of a COCO-style annotation dictionary before it becomes records.

{'images': [{'id', 'file_name', 'height', 'width'}], 'annotations': [{'id',
'image_id', 'category_id', 'bbox' [x, y, width, height], 'area', 'iscrowd',
'segmentation'}], 'categories': [{'id', 'name'}]}. Every converter makes such a
dictionary first, so what is wrong with data is found and reported once, here.
"""

import collections
import math

from utils import masks as mask_utils

# What was left out. kind: 'image' or 'object'. image: id as in the source.
# annotation: its id or None. detail: str.
Skip = collections.namedtuple('Skip', 'kind image annotation reason detail')

# images, categories: as in the source, cleaned. annotations: {image id:
# [annotation]}. id_shift: what was added to every category id. skips: [Skip].
# notes: [str] for people.
Checked = collections.namedtuple(
    'Checked', 'images annotations categories id_shift skips notes')


class ConversionError(ValueError):
  """Annotations that cannot be converted, with what to do about it."""


def check_dataset(dataset, label_map=None):
  """Checks ids and references; what concerns single pictures comes later.

  Args:
    dataset: COCO-style dictionary; not changed. It may have 'notes', a list
      of lines for the report.
    label_map: {id: name} that the records shall use, or None for the ids of
      the annotations.

  Returns:
    Checked.

  Raises:
    ConversionError: naming the entry that makes the annotations ambiguous.
  """
  for key in ('images', 'annotations', 'categories'):
    if not isinstance(dataset.get(key), list):
      raise ConversionError(
          'The annotations have no list %r. COCO object annotations have '
          'images, annotations and categories; caption files do not.' % key)
  skips, notes = [], list(dataset.get('notes', []))
  images = _unique_images(dataset['images'], skips)
  categories, new_ids, id_shift = _category_ids(dataset, label_map, notes)
  annotations = _annotations_by_image(dataset['annotations'], images, new_ids,
                                      skips, notes)
  return Checked(images, annotations, categories, id_shift, skips, notes)


def _unique_images(images, skips):
  """The images, each once."""
  unique = collections.OrderedDict()
  for image in images:
    known = unique.setdefault(str(image['id']), image)
    if known is image:
      continue
    if known['file_name'] != image['file_name']:
      raise ConversionError(
          'Two images have the id %r: %s and %s. Give every image its own id.'
          % (image['id'], known['file_name'], image['file_name']))
    skips.append(Skip('image', image['id'], None, 'listed twice',
                      image['file_name']))
  return list(unique.values())


def _category_ids(dataset, label_map, notes):
  """Final categories, {id in the source: final id} and the shift between."""
  categories = {}
  for category in dataset['categories']:
    category_id = category['id']
    if isinstance(category_id, bool) or not isinstance(category_id, int):
      raise ConversionError('The category %r has the id %r; ids are integers.'
                            % (category.get('name'), category_id))
    if category_id in categories:
      raise ConversionError('Two categories have the id %d: %s and %s.' % (
          category_id, categories[category_id], category['name']))
    categories[category_id] = category['name']
  if label_map:
    return _ids_by_name(categories, label_map, notes)
  if categories and min(categories) < 0:
    raise ConversionError('The category %r has the negative id %d.' % (
        categories[min(categories)], min(categories)))
  id_shift = 0
  if 0 in categories:
    # Class 0 is the background: an object of class 0 would never be learnt.
    id_shift = 1
    notes.append(
        'Category ids start at 0 (%r), which stands for the background here: '
        'every id is raised by 1, in the records, the label map and the '
        'written annotations alike.' % categories[0])
  new_ids = {old: old + id_shift for old in categories}
  return [dict(c, id=new_ids[c['id']]) for c in dataset['categories']], (
      new_ids), id_shift


def _ids_by_name(categories, label_map, notes):
  """As `_category_ids`, the ids taken from a label map by name."""
  if min(label_map) < 1:
    raise ConversionError('The label map has the id %d; classes start at 1, '
                          '0 is the background.' % min(label_map))
  exact = {name: i for i, name in label_map.items()}
  folded = {name.lower(): i for i, name in label_map.items()}
  new_ids = {}
  for old, name in categories.items():
    if name not in exact and name.lower() in folded:
      notes.append('The class %r is taken for %r of the label map.' % (
          name, label_map[folded[name.lower()]]))
    new_ids[old] = exact.get(name, folded.get(name.lower()))
    if new_ids[old] is None:
      raise ConversionError('The label map lacks the class %r. It has: %s.' % (
          name, ', '.join(sorted(exact))))
  return [{'id': i, 'name': label_map[i]} for i in sorted(label_map)], (
      new_ids), 0


def _annotations_by_image(annotations, images, new_ids, skips, notes):
  """{image id: [annotation with final category id and unique id]}."""
  by_image = collections.OrderedDict((str(i['id']), []) for i in images)
  used = {}
  next_id = 1 + max([a['id'] for a in annotations
                     if isinstance(a.get('id'), int)] or [0])
  num_renumbered = 0
  for annotation in annotations:
    image_id, annotation_id = annotation['image_id'], annotation.get('id')
    if str(image_id) not in by_image:
      skips.append(Skip('object', image_id, annotation_id,
                        'its image is not among the images', ''))
      continue
    if annotation['category_id'] not in new_ids:
      raise ConversionError(
          'Annotation %r of image %r has the category id %r, which is not '
          'among the categories (%s).' % (
              annotation_id, image_id, annotation['category_id'],
              ', '.join(str(i) for i in sorted(new_ids))))
    if used.get(annotation_id) == annotation:
      skips.append(Skip('object', image_id, annotation_id, 'listed twice', ''))
      continue
    if annotation_id in used or not isinstance(annotation_id, int):
      num_renumbered += annotation_id is not None
      annotation_id, next_id = next_id, next_id + 1
    used[annotation_id] = annotation
    by_image[str(image_id)].append(
        dict(annotation, id=annotation_id,
             category_id=new_ids[annotation['category_id']]))
  if num_renumbered:
    notes.append('%d annotation ids were not unique integers (an id belongs '
                 'to one object of the whole set): they were renumbered.'
                 % num_renumbered)
  return by_image


def has_masks(annotations_by_image):
  """Whether any annotation has a segmentation."""
  return any(a.get('segmentation') for annotations
             in annotations_by_image.values() for a in annotations)


def check_objects(annotations, image_id, height, width, include_masks,
                  clip_boxes):
  """The objects of one picture that can be trained on.

  Args:
    annotations: [annotation] of the picture; not changed.
    image_id: for the report.
    height: of the picture, pixels.
    width: of the picture, pixels.
    include_masks: whether an object needs a mask; its RLE is then in
      'segmentation'.
    clip_boxes: False leaves out boxes that reach beyond the picture, as
      upstream's converter does; True cuts them at its border.

  Returns:
    [annotation] with complete 'bbox', 'area' (pixels) and 'iscrowd', [Skip].
  """
  kept, skips = [], []
  for annotation in annotations:
    annotation = dict(annotation, iscrowd=int(annotation.get('iscrowd') or 0))
    reason = _complete_mask(annotation, height, width, include_masks)
    reason = reason or _complete_box(annotation, height, width, clip_boxes)
    if reason:
      skips.append(Skip('object', image_id, annotation['id'], reason,
                        'box %s' % (annotation.get('bbox'),)))
      continue
    _complete_area(annotation)
    kept.append(annotation)
  return kept, skips


def _complete_mask(annotation, height, width, include_masks):
  """Puts the RLE into the annotation; returns what is wrong, or None."""
  segmentation = annotation.pop('segmentation', None)
  if not include_masks:
    return None
  if not segmentation:
    return 'it has no mask'
  if isinstance(segmentation, list) and not isinstance(segmentation[0], list):
    segmentation = [segmentation]  # One polygon without the list around it.
  try:
    rle = mask_utils.segmentation_to_rle(segmentation, height, width)
  except (ValueError, TypeError) as e:
    return 'its mask cannot be read (%s)' % e
  if rle is None:
    return 'its polygon has less than three points'
  if rle['size'] != [height, width]:
    return 'its mask is for another picture size'
  if not mask_utils.area(rle):
    return 'its mask is empty'
  annotation['segmentation'] = rle
  return None


def _complete_box(annotation, height, width, clip_boxes):
  """Checks or completes the box; returns what is wrong, or None."""
  if 'bbox' not in annotation and 'segmentation' in annotation:
    annotation['bbox'] = mask_utils.bounding_box(annotation['segmentation'])
  try:
    x, y, w, h = box = [float(v) for v in annotation['bbox']]
  except (KeyError, TypeError, ValueError):
    return 'its box is not four numbers'
  if not all(math.isfinite(v) for v in box):
    return 'its box is not four finite numbers'
  if w <= 0 or h <= 0:
    return 'its box has no area'
  if x < 0 or y < 0 or x + w > width or y + h > height:
    if not clip_boxes:
      return BEYOND
    x1, y1 = min(x + w, width), min(y + h, height)
    x, y = max(x, 0.), max(y, 0.)
    if x1 <= x or y1 <= y:
      return 'its box is outside of the picture'
    box = [x, y, x1 - x, y1 - y]
  annotation['bbox'] = box
  return None


BEYOND = 'its box reaches beyond the picture'


def _complete_area(annotation):
  """A usable area: as annotated, else of the mask, else of the box."""
  area = float(annotation.get('area') or 0)
  if area <= 0 and 'segmentation' in annotation:
    area = mask_utils.area(annotation['segmentation'])
  elif area <= 0:
    area = annotation['bbox'][2] * annotation['bbox'][3]
  annotation['area'] = area


def looks_like_corners(box, height, width):
  """Whether [x, y, width, height] only fits when read as [x0, y0, x1, y1]."""
  x, y, w, h = box
  return w > x >= 0 and h > y >= 0 and w <= width and h <= height and (
      x + w > width or y + h > height)
