"""What a conversion reports: totals, what was left out, what to set."""

import collections
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from tools.datasets import annotation_checks
from tools.datasets import object_checks
from tools.datasets import record_builder
from utils import object_sizes
from utils import types

_NUM_EXAMPLES = 3  # Entries printed for each reason; the index has them all.
_NUM_CLASSES = 20  # classes that are listed
# `max_num_instances` of every parser unless it is set, and the number of
# detections of an image that the COCO metric looks at.
_LIMIT = 100
_MANY_CUT = .2  # share of the boxes; at most a few are in usual data
_MANY_CROWDS = .5  # share of the objects; in COCO it is below 0.02


_ADVICE = {
    object_checks.BEYOND:
        'Use --clip_boxes to cut boxes at the border of the image instead of '
        'leaving these objects out.',
    object_checks.NO_MASK:
        'Use --noinclude_masks to keep the boxes of objects without a mask.',
    record_builder.SIZE_MISMATCH:
        'Use --trust_files if the annotations belong to the images as they '
        'are.',
}


def report(index: Dict[str, Any]) -> str:
  """The lines to print after a conversion.

  Args:
    index: content of the index file.

  Returns:
    str.
  """
  lines = ['Wrote %s with %s of %s%s to %s.' % (
      count(index['num_records'], 'record'),
      count(index['num_objects'], 'object'),
      count(len(index['label_map']), 'class', 'es'),
      _masks_in(index),
      count(len(index['shards']), 'shard'))]
  if index['num_images_without_objects']:
    lines.append('%s without objects; they train as background.' % count(
        index['num_images_without_objects'], 'image'))
  lines.extend(_class_lines(index))
  lines.extend(_size_lines(index))
  lines.extend(index['notes'])
  lines.extend(_skip_lines(index['skipped']))
  lines.extend(_settings(index))
  return '\n'.join(lines)


def count(number: int, noun: str, plural: str = 's') -> str:
  """'1 shard', '2 shards'; `plural` is what more than one of them add."""
  return '%d %s%s' % (number, noun, '' if number == 1 else plural)


def _masks_in(index):
  """What is written beside the objects."""
  if not index['include_masks']:
    return ''
  return ' and their masks%s' % (
      ', also cut to their objects,' if index['cut_masks'] else '')


def count_by_size(objects: Iterable[Dict[str, Any]]) -> Dict[str, int]:
  """{'small', 'medium', 'large': number of objects, crowds not counted}."""
  return object_sizes.count([o['area'] for o in objects if not o['iscrowd']])


def _class_lines(index):
  """Objects of each class, the most frequent first, and empty classes."""
  counts = sorted(index['num_objects_by_class'].items(),
                  key=lambda item: (-item[1], item[0]))
  names = index['label_map']
  lines = []
  if index['num_objects']:
    lines.append('Objects of each class: %s.' % _some(
        ['%s %d' % (names[i], count) for i, count in counts if count],
        _NUM_CLASSES))
    empty = [names[i] for i, count in counts if not count]
    if empty:
      verb, owner = (('has', 'its') if len(empty) == 1 else ('have', 'their'))
      lines.append('%s %s no object here, so %s AP is undefined: %s.' % (
          count(len(empty), 'class', 'es'), verb, owner,
          _some(empty, _NUM_CLASSES)))
  return lines


def _some(texts, limit):
  """The texts, separated by commas; how many follow after `limit`."""
  if len(texts) > limit:
    texts = texts[:limit] + ['and %d more' % (len(texts) - limit)]
  return ', '.join(texts)


def _size_lines(index):
  """Sizes without an object, for which metrics are undefined."""
  if not index['num_objects']:
    return []
  return ['No object is %s (%s), so AP%s is undefined (-1).' % (
      name, text, name[0]) for name, _, _, text in object_sizes.SIZES
          if not index['num_objects_by_size'][name]]


def _skip_lines(skipped):
  """One line for each kind and reason."""
  by_reason = collections.OrderedDict()
  for skip in skipped:
    by_reason.setdefault((skip['kind'], skip['reason']), []).append(skip)
  lines = []
  for (kind, reason), skips in by_reason.items():
    lines.append('Left out %s (%s): %s' % (count(len(skips), kind), reason,
                                           _examples(skips)))
  reasons = {s['reason'] for s in skipped}
  lines.extend(_ADVICE[r] for r in _ADVICE if r in reasons)
  return lines


def _examples(skips):
  """The first of some entries of the index."""
  examples = '; '.join(_name(s) for s in skips[:_NUM_EXAMPLES])
  if len(skips) > _NUM_EXAMPLES:
    examples += '; ... (all of them in the index file)'
  return examples


def _name(skip):
  name = 'image %s' % skip['image']
  if skip['annotation'] is not None:
    name += ', annotation %s' % skip['annotation']
  return '%s (%s)' % (name, skip['detail']) if skip['detail'] else name


def _settings(index):
  """The configuration keys that follow from the data."""
  ids = [int(i) for i in index['label_map']]
  if not ids:
    return []
  lines = ['Set architecture.num_classes: %d (the highest class id is %d; 0 is '
           'the background).' % (max(ids) + 1, max(ids))]
  if annotation_checks.are_sparse(ids):
    lines.append(
        'A model has outputs for all numbers up to %d, and only %d of them are '
        'classes: --class_ids=renumber numbers them from 1 on.' % (
            max(ids), len(ids)))
  if index['max_num_objects'] > _LIMIT:
    lines.append(
        'Up to %d objects in one image (%d images have more than %d): set '
        'max_num_instances of the parser section and '
        'postprocess.max_total_size to at least %d. COCO metrics count the '
        'best %d detections of an image, so here even perfect detections '
        'score below 1.' % (
            index['max_num_objects'], index['num_images_over_100_objects'],
            _LIMIT, index['max_num_objects'], _LIMIT))
  return lines


def teaching_doubts(
    objects_by_image: Sequence[Sequence[Dict[str, Any]]]) -> List[str]:
  """Why a detector would learn little from the objects of a set.

  Args:
    objects_by_image: [[annotation]] of the images that were written.

  Returns:
    [str].
  """
  objects = [o for of_image in objects_by_image for o in of_image]
  if not objects:
    return ['No image has an object: a detector learns nothing from them.']
  doubts = []
  num_crowds = sum(o['iscrowd'] for o in objects)
  if num_crowds > _MANY_CROWDS * len(objects):
    doubts.append(
        '%s of %d objects are crowds (iscrowd 1: a group in one box). They are '
        'neither trained on nor scored. If they are ordinary objects, set '
        'iscrowd to 0 in the annotations and convert again.' % (
            'All' if num_crowds == len(objects) else num_crowds, len(objects)))
  num_repeated = sum(
      count - 1 for of_image in objects_by_image
      for count in collections.Counter(
          (o['category_id'],) + tuple(o['bbox']) for o in of_image).values())
  if num_repeated:
    doubts.append('%d of %d objects have the class and the box of another one '
                  'in their image.' % (num_repeated, len(objects)))
  return doubts


def cut_boxes(cut: Sequence[Any], num_objects: int) -> List[str]:
  """A sentence about boxes that were cut at the border of their images.

  Args:
    cut: [Skip] of their objects, which are not left out.
    num_objects: of all that were written.

  Returns:
    [str], empty or one line.
  """
  if not cut:
    return []
  doubt = '' if len(cut) <= _MANY_CUT * num_objects else (
      ' So many of them suggest that the annotations are of images of another '
      'size, or their boxes of another form.')
  return ['%d of %d boxes reached beyond their image and were cut at its '
          'border: %s.%s' % (len(cut), num_objects,
                             _examples([s._asdict() for s in cut]), doubt)]


def corner_suspicion(skips: Iterable[Any],
                     annotations: Mapping[types.Id, Sequence[Dict[str, Any]]],
                     sizes: Mapping[types.Id, Tuple[int, int]]) -> List[str]:
  """A warning when boxes look like corners instead of x, y, width, height.

  Args:
    skips: [Skip] of a data set.
    annotations: {image id: [annotation]}.
    sizes: {image id: (height, width)}.

  Returns:
    [str], empty or one line.
  """
  beyond = {(str(s.image), s.annotation) for s in skips
            if s.reason == object_checks.BEYOND}
  num_corners = 0
  for image_id, size in sizes.items():
    for annotation in annotations[image_id]:
      num_corners += (image_id, annotation['id']) in beyond and (
          _looks_like_corners(annotation['bbox'], *size))
  if num_corners < 3 or num_corners < .5 * len(beyond):
    return []
  return ['%d of the %d boxes that reach beyond their image would fit as '
          '[x0, y0, x1, y1]. COCO boxes are [x, y, width, height]: check how '
          'the annotations were made.' % (num_corners, len(beyond))]


def _looks_like_corners(box, height, width):
  """Whether [x, y, width, height] only fits when read as [x0, y0, x1, y1]."""
  x, y, w, h = [float(v) for v in box]
  return w > x >= 0 and h > y >= 0 and w <= width and h <= height and (
      x + w > width or y + h > height)
