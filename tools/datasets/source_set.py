"""What converters collect before anything is checked: a COCO-style dictionary.

A converter reads its own format and hands over images, objects and class names;
`coco_record_writer.write_dataset` checks them and writes the records, the same
for all formats.
"""

import collections
import functools
import math
import posixpath
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from PIL import Image

from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from tools.datasets import image_folders
from tools.datasets import image_names
from utils import coco_annotations
from utils import orientation as orientations
from utils import types
from utils import values

ConversionError = annotation_checks.ConversionError
_EXCHANGES_SIDES = (5, 6, 7, 8)  # orientations
_CIRCLE_POINTS = 64
_ROUNDING = 1e-4  # of shares of the image that were written as text


class SourceSet:
  """Images and objects as they are read, with what was left out and why."""

  def __init__(self) -> None:
    self._images = collections.OrderedDict()
    self._annotations = []
    self._class_ids = collections.OrderedDict()
    self._skips = []
    self.notes = []

  @property
  def num_objects(self) -> int:
    return len(self._annotations)

  def set_classes(self, names: Sequence[str]) -> None:
    """Numbers the classes from 1 in this order, also those without objects."""
    self._class_ids = collections.OrderedDict(
        (name, i + 1) for i, name in enumerate(names))

  def add_image(self, image_id: types.Id, file_name: str,
                size: Optional[Tuple[int, int]] = None) -> None:
    """Adds an image.

    Args:
      image_id: str or int.
      file_name: path within the folder of images.
      size: (height, width) as annotated, or None where they are not stated.

    Raises:
      ConversionError: if another file has this id.
    """
    known = self._images.get(image_id)
    if known and known['file_name'] != file_name:
      raise ConversionError('Two images have the id %r: %s and %s.' % (
          image_id, known['file_name'], file_name))
    height, width = size or (None, None)
    self._images[image_id] = {'id': image_id, 'file_name': file_name,
                              'height': height, 'width': width}

  def add_object(self, image_id: types.Id, name: str,
                 box: Optional[Sequence[float]] = None,
                 segmentation: Any = None, is_crowd: bool = False) -> None:
    """Adds an object.

    Args:
      image_id: id of an image that was added.
      name: name of its class.
      box: [x, y, width, height], pixels; None: that around the polygons.
      segmentation: polygons [[x, y, ...]] or RLE, or None.
      is_crowd: whether it is a region of several.
    """
    entry = {'id': len(self._annotations) + 1, 'image_id': image_id,
             'category_id': name, 'iscrowd': int(is_crowd),
             'bbox': box if box is not None else box_around(segmentation)}
    if segmentation is not None:
      entry['segmentation'] = segmentation
    self._annotations.append(entry)

  def skip(self, image_id: types.Id, reason: str, detail: str) -> None:
    """Notes an object that is left out."""
    self._skips.append(annotation_checks.Skip('object', image_id, None, reason,
                                              detail))

  def dataset(self) -> Dict[str, Any]:
    """The dictionary; classes without a number are in order of the names."""
    if not self._class_ids:
      self.set_classes(sorted({a['category_id'] for a in self._annotations}))
    return {
        'images': list(self._images.values()),
        'annotations': [dict(a, category_id=self._class_ids[a['category_id']])
                        for a in self._annotations],
        'categories': [{'id': i, 'name': name}
                       for name, i in self._class_ids.items()],
        'skips': self._skips, 'notes': self.notes}


def box_around(polygons: Sequence[Sequence[float]]) -> List[float]:
  """[x, y, width, height] around polygons [[x, y, ...]]."""
  xs = [x for p in polygons for x in p[0::2]]
  ys = [y for p in polygons for y in p[1::2]]
  return [min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys)]


def corners_to_box(x0: float, y0: float, x1: float, y1: float) -> List[float]:
  """[x, y, width, height] of corners, unchanged: inverted ones are refused."""
  return [x0, y0, x1 - x0, y1 - y0]


def within(share: float) -> float:
  """A share of the image, put on the border where only digits are missing."""
  if -_ROUNDING <= share < 0:
    return 0.
  return 1. if 1 < share <= 1 + _ROUNDING else share


def ellipse(center_x: float, center_y: float, radius_x: float,
            radius_y: float) -> List[float]:
  """A polygon [x, y, ...] along an ellipse."""
  return [value for k in range(_CIRCLE_POINTS) for value in (
      center_x + radius_x * math.cos(2 * math.pi * k / _CIRCLE_POINTS),
      center_y + radius_y * math.sin(2 * math.pi * k / _CIRCLE_POINTS))]


def number(text: Any, where: str) -> float:
  """A finite number.

  Args:
    text: str or number.
    where: file, line and key, for the error.

  Returns:
    float.

  Raises:
    ConversionError: saying where no number stands.
  """
  try:
    return values.number(text)
  except ValueError as e:
    raise ConversionError('%s: %s.' % (where, e))


def size(height: Any, width: Any, where: str) -> Optional[Tuple[int, int]]:
  """(height, width) as annotated.

  Args:
    height: number or text of one; None, '' or 0 where it is not known.
    width: as height.
    where: file and place, for the error.

  Returns:
    Two ints, or None where one of them is not known.

  Raises:
    ConversionError: if one of them is not a number of pixels.
  """
  try:
    return coco_annotations.size(
        {'height': height or None, 'width': width or None}, where)
  except ValueError as e:
    raise ConversionError(str(e))


def image_size(path: str,
               exif: str = orientations.UPRIGHT) -> Optional[Tuple[int, int]]:
  """(height, width) of a file, for annotations that are shares of it.

  Args:
    path: the path of the file.
    exif: one of orientations.CHOICES; upright: the size as viewers show the
      image.

  Returns:
    Two ints, or None if the file is missing or cannot be read: then the record
    builder will leave it out and say why.
  """
  try:
    with tf.gfile.Open(path, 'rb') as f:
      image = Image.open(f)
      width, height = image.size
      turns = (exif == orientations.UPRIGHT and
               orientations.of_image(image) in _EXCHANGES_SIDES)
  except Exception:  # pylint: disable=broad-except
    # Pillow raises many types for broken files.
    return None
  return (width, height) if turns else (height, width)


def walk_images(
    folder: str, labels: Tuple[str, ...] = ()) -> Tuple[List[str], List[str]]:
  """The images in a folder and the folders in it.

  Args:
    folder: path.
    labels: see image_folders.listed.

  Returns:
    [path within the folder], with '/', in order; [note].

  Raises:
    ConversionError: if there is no such folder.
  """
  if not tf.gfile.IsDirectory(folder):
    raise ConversionError('There is no folder %s of images.' % folder)
  paths, notes = [], []
  for current, inside in image_folders.visible(folder):
    names, more = image_folders.listed(current, labels=labels)
    paths.extend(posixpath.join(inside, name) for name in names)
    notes.extend(more)
  return sorted(paths), notes


def loader(folder: str) -> Callable[[Dict[str, Any]], bytes]:
  """(image entry) -> bytes, of files in a folder."""
  return functools.partial(_load, folder)


def _load(folder, image):
  return image_names.read(folder, image['file_name'])
