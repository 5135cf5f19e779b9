"""Converts a folder of labelme files to TFRecords.

  python -m tools.create_labelme_tfrecord --annotations=marked \\
      --output=records/train

reads every .json file of the folder. Polygons, rectangles, circles and masks
become objects with masks; shapes of one label and one group_id become one
object of several parts. Lines and points are left out and counted. The image is
the file that `imagePath` names, or else the one in the .json file. Classes are
numbered from 1 in the order of their names; --label_map gives other numbers.
Writes the same files as create_coco_tfrecord.
"""

import base64
import binascii
import collections
import functools
import io
import math
import os
from typing import Any, Dict, Optional

from absl import flags
import numpy as np
from PIL import Image

from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_folders
from tools.datasets import image_names
from tools.datasets import source_set
from utils import masks as mask_utils
from utils import text_files
from utils import types
from utils import values

ConversionError = source_set.ConversionError


def convert(annotations: str, prefix: str, options: coco_record_writer.Options,
            label_map: Optional[types.LabelMap] = None,
            images: Optional[str] = None) -> Dict[str, Any]:
  """Converts a folder.

  Args:
    annotations: folder of the .json files.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.
    label_map: {id: name} or None.
    images: folder that `imagePath` is relative to; None: that of the file.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: naming the file and shape that cannot be used.
  """
  if not tf.gfile.IsDirectory(annotations):
    raise ConversionError('There is no folder %s.' % annotations)
  names, _ = image_folders.listed(annotations, ('.json',))
  if not names:
    raise ConversionError('There is no .json file in %s.' % annotations)
  found = source_set.SourceSet()
  paths = {}
  for name in names:
    path = os.path.join(annotations, name)
    content = text_files.read_json(path, tf.gfile.Open)
    if not isinstance(content, dict) or not isinstance(
        content.get('shapes'), list):
      raise ConversionError(
          '%s is not a file of labelme: it has no list `shapes`.' % path)
    image_id = os.path.splitext(name)[0]
    paths[values.canonical_id(image_id)] = path
    _add(found, image_id, content, path)
  folder = images or annotations
  dataset = found.dataset()
  dataset['images'], notes = _with_files(dataset['images'], folder)
  dataset['notes'] = dataset['notes'] + notes
  return coco_record_writer.write_dataset(
      dataset, prefix, functools.partial(_load, paths, folder), options,
      label_map)


def _with_files(images, folder):
  """Images with the names of the files that are meant, and [note].

  Programs copy imagePath from one file to the next, so of a name that two files
  have, the image that is called as the file goes before it.
  """
  by_stem = image_folders.by_stem(image_folders.listed(folder)[0])
  own = {image['id']: by_stem[image['id']][0] for image in images
         if len(by_stem.get(image['id'], ())) == 1}
  # Without imagePath, the name is the id.
  images = [dict(image, file_name=own.get(image['id'], image['file_name']))
            if image['file_name'] == image['id'] else image for image in images]
  counts = collections.Counter(image['file_name'] for image in images)
  chosen, others = [], []
  for image in images:
    name = own.get(image['id'], image['file_name'])
    if counts[image['file_name']] > 1 and name != image['file_name']:
      others.append('%s.json names %s, and %s is used' % (
          image['id'], image['file_name'], name))
      image = dict(image, file_name=name)
    chosen.append(image)
  chosen, notes = image_names.find(folder, chosen)
  if others:
    notes.append('%d files name an image that another file names: %s%s.' % (
        len(others), '; '.join(others[:3]), '; ...' if len(others) > 3 else ''))
  return chosen, notes


def _add(found, image_id, content, path):
  """Adds the image and the objects of a file."""
  size = source_set.size(content.get('imageHeight'), content.get('imageWidth'),
                         path)
  # Where it is, or whether it is in this file, shows when it is loaded.
  found.add_image(image_id, _image_name(content) or image_id, size)
  groups = collections.OrderedDict()
  for i, shape in enumerate(content['shapes']):
    where = '%s: shapes[%d]' % (path, i)
    if not isinstance(shape, dict) or not isinstance(
        shape.get('label'), str) or not shape['label'].strip():
      raise ConversionError('%s has no label.' % where)
    group = shape.get('group_id')
    key = (shape['label'].strip(), i if group is None else 'group %s' % group)
    groups.setdefault(key, []).append((where, shape))
  for (label, _), shapes in groups.items():
    _add_object(found, image_id, label, shapes, size)


def _add_object(found, image_id, label, shapes, size):
  """Adds one object of one or more shapes."""
  polygons, masks = [], []
  for where, shape in shapes:
    kind = shape.get('shape_type') or 'polygon'
    if kind == 'mask':
      masks.append(_mask(shape, where, size))
    elif isinstance(kind, str) and kind in _POLYGONS:
      polygons.append(_POLYGONS[kind](_points(shape, where), where))
    else:
      found.skip(image_id, 'shape without an area', '%s is a %s' % (
          where, kind))
  if masks:
    mask = np.maximum.reduce(masks)
    if polygons:
      mask = np.maximum(mask, mask_utils.decode(
          mask_utils.segmentation_to_rle(polygons, *mask.shape)))
    rle = mask_utils.encode(mask)
    found.add_object(image_id, label, mask_utils.bounding_box(rle), rle)
  elif polygons:
    found.add_object(image_id, label, segmentation=polygons)


def _points(shape, where):
  """[(x, y)] of a shape."""
  points = shape.get('points')
  if not isinstance(points, list) or not points:
    raise ConversionError('%s has no points.' % where)
  result = []
  for i, point in enumerate(points):
    place = '%s: points[%d]' % (where, i)
    if not isinstance(point, list) or len(point) != 2:
      raise ConversionError('%s: %.80r is not [x, y].' % (place, point))
    result.append(tuple(source_set.number(v, place) for v in point))
  return result


def _polygon(points, where):
  if len(points) < 3:
    raise ConversionError('%s: a polygon has 3 points or more, not %d.' % (
        where, len(points)))
  return [v for point in points for v in point]


def _rectangle(points, where):
  if len(points) == 4:  # As newer versions write it.
    return _polygon(points, where)
  if len(points) != 2:
    raise ConversionError('%s: a rectangle has 2 corners, not %d.' % (
        where, len(points)))
  (x0, y0), (x1, y1) = points
  x0, x1, y0, y1 = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
  return [x0, y0, x1, y0, x1, y1, x0, y1]


def _circle(points, where):
  """Points: the center and one of the border."""
  if len(points) != 2:
    raise ConversionError('%s: a circle has 2 points, not %d.' % (
        where, len(points)))
  (x, y), (border_x, border_y) = points
  radius = math.hypot(border_x - x, border_y - y)
  return source_set.ellipse(x, y, radius, radius)


_POLYGONS = {'polygon': _polygon, 'rectangle': _rectangle, 'circle': _circle}


def _mask(shape, where, size):
  """uint8 [height, width] of the image, from the part inside of the corners."""
  (x0, y0), *_ = _points(shape, where)
  try:
    part = np.asarray(Image.open(io.BytesIO(base64.b64decode(
        shape.get('mask') or ''))))
  except Exception:  # pylint: disable=broad-except
    # Pillow raises many types for broken files.
    raise ConversionError('%s: mask is not an image.' % where)
  if not size:
    raise ConversionError('%s: a mask needs imageHeight and imageWidth.'
                          % where)
  mask = np.zeros(size, np.uint8)
  y0, x0 = int(round(y0)), int(round(x0))
  room = mask[max(y0, 0):y0 + part.shape[0], max(x0, 0):x0 + part.shape[1]]
  if room.shape != part.shape[:2]:
    raise ConversionError('%s: the mask reaches beyond the image.' % where)
  room[:] = part.reshape(part.shape[:2] + (-1,)).any(-1)
  return mask


def _image_name(content):
  """`imagePath`; '' if there is none."""
  return str(content.get('imagePath') or '')


def _load(paths, image_folder, image):
  """Bytes of the image of a .json file; paths: {id: path}."""
  path = paths[values.canonical_id(image['id'])]
  if image_names.is_file(image_folder, image['file_name']):
    return image_names.read(image_folder, image['file_name'])
  content = text_files.read_json(path, tf.gfile.Open)
  if not content.get('imageData'):
    raise OSError('%s: there is no file %r (imagePath) in %s, and no imageData.'
                  % (path, _image_name(content), image_folder))
  try:
    return base64.b64decode(content['imageData'])
  except (binascii.Error, TypeError, ValueError):
    raise OSError('%s: imageData is not base64.' % path)


def define_flags(given: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues."""
  flags.DEFINE_string('annotations', None, 'Folder of the .json files of '
                      'labelme. Required.', flag_values=given)
  flags.DEFINE_string('images', None, 'Folder that imagePath is relative to. '
                      'Default: that of the .json files.', flag_values=given)
  conversion_flags.define(given)


def main(given: flags.FlagValues) -> None:
  """Converts as the flags say."""
  if not given.annotations or not given.output:
    raise ConversionError('Give --annotations=FOLDER --output=PREFIX.')
  convert(given.annotations, given.output, conversion_flags.options(given),
          conversion_flags.label_map(given), given.images)


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
