"""Checks of the annotated objects of one image of known size."""

from typing import Any, Dict, List, Sequence, Tuple

from tools.datasets import annotation_checks
from utils import coco_annotations
from utils import masks as mask_utils
from utils import types

# Reasons that the report has an advice for.
BEYOND = 'box beyond the border of the image'
NO_MASK = 'no mask'
_ROUNDING = .1  # pixels, of numbers that were written as text


class _Unusable(Exception):
  """What is wrong with an object."""


def check_objects(
    annotations: Sequence[Dict[str, Any]], image_id: types.Id, height: int,
    width: int, include_masks: bool,
    clip_boxes: bool) -> Tuple[List[Dict[str, Any]], List[Any], List[str]]:
  """The objects of one image that can be trained on.

  Args:
    annotations: [annotation] of the image; not changed.
    image_id: for the report.
    height: the height of the image, pixels.
    width: the width of the image, pixels.
    include_masks: whether an object needs a mask; its RLE is then in
      'segmentation', which is missing otherwise.
    clip_boxes: False leaves out boxes that reach beyond the image, as
      upstream's converter does; True cuts them at its border.

  Returns:
    [annotation] with complete 'bbox', 'area' (pixels) and 'iscrowd', [Skip],
    [note for people].
  """
  kept, skips, notes = [], [], []
  for annotation in annotations:
    try:
      kept.append(_complete(annotation, height, width, include_masks,
                            clip_boxes))
    except _Unusable as e:
      skips.append(annotation_checks.Skip(
          'object', image_id, annotation['id'], str(e),
          'box %s' % (annotation.get('bbox'),)))
      continue
    if not include_masks and _is_line(annotation.get('segmentation')):
      notes.append('polygon of less than three points, only the box is used')
  return kept, skips, notes


def cut_boxes(annotations: Sequence[Dict[str, Any]],
              kept: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
  """The annotations of which the box was cut at the border of the image.

  Args:
    annotations: [annotation] as given.
    kept: those of them that `check_objects` returned.

  Returns:
    [annotation] as given; less than a rounding error does not count.
  """
  boxes = {annotation['id']: annotation['bbox'] for annotation in kept}
  return [a for a in annotations if a['id'] in boxes and a.get('bbox')
          and max(abs(old - new) for old, new in zip(
              _box(a), boxes[a['id']])) > _ROUNDING]


def _complete(annotation, height, width, include_masks, clip_boxes):
  """The annotation with everything that a record needs."""
  complete = {k: v for k, v in annotation.items() if k != 'segmentation'}
  segmentation, box = annotation.get('segmentation'), _box(annotation)
  if box is None and not segmentation:
    raise _Unusable('neither box nor mask')
  rle = None
  if include_masks or box is None:
    rle = _read_mask(segmentation, height, width)
  if box is None:
    box = mask_utils.bounding_box(rle)
  complete['bbox'] = _check_box(box, height, width, clip_boxes)
  complete['area'] = _area(annotation, complete['bbox'], rle)
  complete['iscrowd'] = _is_crowd(annotation)
  if include_masks:
    complete['segmentation'] = rle
  return complete


def _is_line(segmentation):
  """Whether it has polygons, but none that encloses something."""
  polygons = mask_utils.as_polygons(segmentation)
  return bool(polygons) and isinstance(polygons, list) and all(
      isinstance(p, list) for p in polygons) and (
          not mask_utils.valid_polygons(polygons))


def _read_mask(segmentation, height, width):
  """RLE of a mask of the image."""
  if not segmentation:
    raise _Unusable(NO_MASK)
  try:
    rle = mask_utils.segmentation_to_rle(segmentation, height, width)
  except ValueError as e:
    raise _Unusable('mask that cannot be read: %s' % e)
  if rle is None:
    raise _Unusable('polygon of less than three points')
  if rle['size'] != [height, width]:
    raise _Unusable('mask of another size than the image')
  if not mask_utils.area(rle):
    raise _Unusable('empty mask')
  return rle


def _box(annotation):
  """[x, y, width, height] as annotated, or None."""
  try:
    return coco_annotations.box(annotation)
  except ValueError as e:
    raise _Unusable(str(e))


def _check_box(box, height, width, clip_boxes):
  """[x, y, width, height] with an area and within the image."""
  x, y, w, h = box
  if w <= 0 or h <= 0:
    raise _Unusable('box without an area')
  if x >= 0 and y >= 0 and x + w <= width and y + h <= height:
    return box
  if not clip_boxes:
    raise _Unusable(BEYOND)
  x1, y1 = min(x + w, width), min(y + h, height)
  x, y = max(x, 0.), max(y, 0.)
  if x1 <= x or y1 <= y:
    raise _Unusable('box outside of the image')
  return [x, y, x1 - x, y1 - y]


def _area(annotation, box, rle):
  """A usable area, pixels: as annotated, else of the mask, else of the box."""
  area = coco_annotations.area(annotation)
  if area is not None:
    return area
  return mask_utils.area(rle) if rle else box[2] * box[3]


def _is_crowd(annotation):
  """0 or 1."""
  try:
    return coco_annotations.is_crowd(annotation)
  except ValueError:
    raise _Unusable('iscrowd is not 0 or 1')
