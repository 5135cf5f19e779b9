"""Masks of a data set, each cut out of its box and brought to one size."""

from typing import Iterator, Sequence, Tuple

import cv2
import numpy as np

from dataloader import file_patterns
from dataloader import record_files
from evaluation import annotations as annotations_lib
from utils import coco_annotations
from utils import masks as mask_utils


def of_records(file_pattern: str,
               size: int) -> Iterator[Tuple[int, np.ndarray]]:
  """Yields the masks of TFRecord files.

  Args:
    file_pattern: see file_patterns.expand.
    size: int, S.

  Yields:
    (class id, float32 [S, S], 0..1). Crowds, and objects without a mask, are
    left out.

  Raises:
    ValueError: if no file matches, or a mask has another size than the
      image before it; names the record.
  """
  from dataloader import examples
  files = file_patterns.expand(file_pattern, '--input_file_pattern')
  for path, number, serialized in record_files.iterate(files):
    try:
      features = examples.features_of(serialized)
    except examples.ExampleError as e:
      raise ValueError('%s: record %d (counting from 0) %s' % (path, number, e))
    classes = features['image/object/class/label'].int64_list.value
    pngs = features['image/object/mask'].bytes_list.value
    crowds = (features['image/object/is_crowd'].int64_list.value
              or [0] * len(classes))
    boxes = zip(*[features['image/object/bbox/' + side].float_list.value
                  for side in ('ymin', 'xmin', 'ymax', 'xmax')])
    for class_id, box, is_crowd, png in zip(classes, boxes, crowds, pngs):
      if is_crowd or not png:
        continue
      mask = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
      if mask is None:
        raise ValueError('%s: record %d (counting from 0) has a mask that is '
                         'not a PNG.' % (path, number))
      yield int(class_id), normalize(mask, box, size)


def of_coco(path: str, size: int) -> Iterator[Tuple[int, np.ndarray]]:
  """Yields the masks of a COCO annotation file.

  Args:
    path: the path of the file.
    size: int, S.

  Yields:
    (class id, float32 [S, S], 0..1). Crowds, and objects without a mask, are
    left out.

  Raises:
    ValueError: if the file is wrong.
  """
  content = coco_annotations.clean(annotations_lib.read_json(path), path,
                                   optional=('categories',))
  sizes = {i['id']: coco_annotations.size(i) for i in content['images']}
  for number, entry in enumerate(content['annotations']):
    try:
      shape = _shape(entry, sizes.get(entry['image_id']), size)
    except ValueError as e:
      raise ValueError('%s: annotations[%d]: %s' % (path, number, e))
    if shape is not None:
      yield entry['category_id'], shape


def _shape(entry, image_size, size):
  """`normalize` of an annotation; None of a crowd and where no mask is."""
  if coco_annotations.is_crowd(entry) or not entry.get('segmentation'):
    return None
  if image_size is None:
    raise ValueError('its image is not listed with height and width')
  height, width = image_size
  rle = mask_utils.segmentation_to_rle(entry['segmentation'], height, width)
  if rle is None or not mask_utils.area(rle):
    return None
  x, y, w, h = coco_annotations.box(entry) or mask_utils.bounding_box(rle)
  box = (y / height, x / width, (y + h) / height, (x + w) / width)
  return normalize(mask_utils.decode(rle), box, size)


def normalize(mask: np.ndarray, box: Sequence[float], size: int) -> np.ndarray:
  """The part of a mask in a box, as the parsers of models cut it.

  Args:
    mask: [H, W], above 0 is inside.
    box: (ymin, xmin, ymax, xmax), 0..1 of the image.
    size: int, S.

  Returns:
    float32 [S, S], 0..1, sampled bilinearly; the first and the last row lie on
    the borders of the box.
  """
  height, width = mask.shape
  rows = np.linspace(box[0], box[2], size) * (height - 1)
  columns = np.linspace(box[1], box[3], size) * (width - 1)
  values = (np.asarray(mask) > 0).astype(np.float32)
  return _weights(rows, height).dot(values).dot(_weights(columns, width).T)


def _weights(positions, length):
  """How much each of `length` pixels counts at every position: [S, length]."""
  positions = np.clip(positions, 0, length - 1)
  distances = np.abs(positions[:, np.newaxis] - np.arange(length))
  return np.maximum(1. - distances, 0.).astype(np.float32)
