"""Converts "CVAT for images 1.1", an XML file, to TFRecords.

  python -m tools.create_cvat_tfrecord --annotations=annotations.xml \\
      --images=images --output=records/train

Boxes, polygons, ellipses and masks become objects; other shapes are left out
and counted. Attributes are not used. Classes are numbered from 1 in the order
in which the task lists its labels, so that all exports of a task agree;
--label_map gives other numbers. Writes the same files as create_coco_tfrecord.
"""

import math
from typing import Any, Dict, Optional

from absl import flags
import numpy as np

from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_names
from tools.datasets import source_set
from utils import masks as mask_utils
from utils import text_files
from utils import types

ConversionError = source_set.ConversionError


def convert(annotations: str, images: str, prefix: str,
            options: coco_record_writer.Options,
            label_map: Optional[types.LabelMap] = None) -> Dict[str, Any]:
  """Converts an export.

  Args:
    annotations: path of the XML file.
    images: folder of the images.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.
    label_map: {id: name} or None.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: naming the image and shape that cannot be used.
  """
  if not tf.gfile.IsDirectory(images):
    raise ConversionError('There is no folder %s of images.' % images)
  root = _parse(annotations)
  found = source_set.SourceSet()
  labels = _labels(root)
  if labels:
    found.set_classes(labels)
  num_attributes = 0
  names = [element.get('name') for element in root.findall('image')]
  if not all(names):
    raise ConversionError('%s: an <image> has no name.' % annotations)
  files, notes = image_names.meant(images, names)
  found.notes.extend(notes)
  for name, element in zip(names, root.findall('image')):
    where = '%s: image %r' % (annotations, name)
    size = source_set.size(element.get('height'), element.get('width'), where)
    image_id = element.get('id') or name
    found.add_image(image_id, files.get(name, name), size)
    for i, shape in enumerate(element):
      if shape.tag != 'tag':  # which is about the whole image
        num_attributes += len(shape.findall('attribute'))
        _add(found, image_id, shape, '%s, %s %d' % (where, shape.tag, i), size,
             labels)
  if num_attributes:
    found.notes.append('%d attributes of objects are not used.'
                       % num_attributes)
  return coco_record_writer.write_dataset(
      found.dataset(), prefix, source_set.loader(images), options, label_map)


def _parse(path):
  """Root element of an export."""
  root = text_files.read_xml(path, tf.gfile.Open)
  if root.tag != 'annotations' or root.find('track') is not None:
    raise ConversionError(
        '%s is not "CVAT for images 1.1" (%s). Export the task in that format.'
        % (path, 'it has tracks of a video' if root.tag == 'annotations'
           else 'its root is <%s>' % root.tag))
  if root.find('image') is None:
    raise ConversionError('%s has no <image>.' % path)
  return root


def _labels(root):
  """Names of the labels of the task or project; [] where it has no list."""
  names = []
  for element in root.iter('label'):
    name = (element.findtext('name') or '').strip()
    if name and name not in names:
      names.append(name)
  return names


def _add(found, image_id, shape, where, size, labels):
  """Adds an object."""
  if shape.tag not in _SHAPES:
    found.skip(image_id, 'shape without an area', '%s is a %s' % (
        where, shape.tag))
    return
  label = (shape.get('label') or '').strip()
  if not label or (labels and label not in labels):
    raise ConversionError('%s has the label %r, which the task does not list.'
                          % (where, label))
  box, segmentation = _SHAPES[shape.tag](shape, where, size)
  found.add_object(image_id, label, box, segmentation)


def _number(element, key, where):
  return source_set.number(element.get(key), '%s: %s' % (where, key))


def _box(shape, where, size):
  """A box, or that around a rotated one."""
  del size
  x0, y0, x1, y1 = [_number(shape, key, where)
                    for key in ('xtl', 'ytl', 'xbr', 'ybr')]
  if not shape.get('rotation'):
    return source_set.corners_to_box(x0, y0, x1, y1), None
  corners = _rotated([x0, y0, x1, y0, x1, y1, x0, y1],
                     ((x0 + x1) / 2, (y0 + y1) / 2), shape, where)
  return source_set.box_around([corners]), None


def _rotated(points, center, shape, where):
  """A polygon, rotated clockwise by the degrees of the shape."""
  if not shape.get('rotation'):
    return points
  angle = math.radians(_number(shape, 'rotation', where))
  cos, sin = math.cos(angle), math.sin(angle)
  result = []
  for x, y in zip(points[0::2], points[1::2]):
    x, y = x - center[0], y - center[1]
    result += [center[0] + x * cos - y * sin, center[1] + x * sin + y * cos]
  return result


def _polygon(shape, where, size):
  del size
  points = []
  for text in (shape.get('points') or '').split(';'):
    values = text.split(',')
    if len(values) != 2:
      raise ConversionError('%s: points: %.80r is not x,y.' % (where, text))
    points.extend(source_set.number(v, where + ': points') for v in values)
  if len(points) < 6:
    raise ConversionError('%s: a polygon has 3 points or more.' % where)
  return None, [points]


def _ellipse(shape, where, size):
  del size
  x, y, radius_x, radius_y = [_number(shape, key, where)
                              for key in ('cx', 'cy', 'rx', 'ry')]
  return None, [_rotated(source_set.ellipse(x, y, radius_x, radius_y), (x, y),
                         shape, where)]


def _mask(shape, where, size):
  """Runs along the rows of the box of the mask, the first one outside of it."""
  if size is None:
    raise ConversionError('%s: a mask needs the size of the image.' % where)
  left, top, width, height = [int(_number(shape, key, where)) for key in (
      'left', 'top', 'width', 'height')]
  runs = [int(source_set.number(v, where + ': rle'))
          for v in (shape.get('rle') or '').split(',')]
  if min(runs) < 0 or sum(runs) != width * height:
    raise ConversionError('%s: the runs of rle are %d pixels, the mask has %d.'
                          % (where, sum(runs), width * height))
  if (min(left, top) < 0 or top + height > size[0] or left + width > size[1]):
    raise ConversionError('%s: the mask reaches beyond the image.' % where)
  mask = np.zeros(size, np.uint8)
  mask[top:top + height, left:left + width] = np.repeat(
      np.arange(len(runs)) % 2, runs).reshape(height, width)
  rle = mask_utils.encode(mask)
  return mask_utils.bounding_box(rle), rle


_SHAPES = {'box': _box, 'polygon': _polygon, 'ellipse': _ellipse,
           'mask': _mask}


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues."""
  flags.DEFINE_string('annotations', None, 'XML file. Required.',
                      flag_values=values)
  flags.DEFINE_string('images', None, 'Folder of the images. Required.',
                      flag_values=values)
  conversion_flags.define(values)


def main(values: flags.FlagValues) -> None:
  """Converts as the flags say."""
  if not values.annotations or not values.images or not values.output:
    raise ConversionError('Give --annotations=FILE --images=FOLDER '
                          '--output=PREFIX.')
  convert(values.annotations, values.images, values.output,
          conversion_flags.options(values), conversion_flags.label_map(values))


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
