"""Converts tables of boxes, CSV files, to TFRecords.

  python -m tools.create_csv_tfrecord --annotations=boxes.csv \\
      --images=images --output=records/train
  python -m tools.create_csv_tfrecord --images=train --output=records/train \\
      --annotations=train-annotations-bbox.csv \\
      --class_descriptions=class-descriptions-boxable.csv

The first line names the columns. Two forms are known by them:
  filename,width,height,class,xmin,ymin,xmax,ymax   pixels; the corners are
      the edges of the box, counted from 0. width and height may be missing.
  ImageID,LabelName,XMin,XMax,YMin,YMax,...         Open Images: shares of the
      image; IsGroupOf becomes a crowd, other columns are not used.
Their order does not matter. A line without class and corners is an image
without objects; --all_images adds the images that no line names. Classes are
numbered from 1 in the order of their names; --label_map gives other numbers.
Writes the same files as create_coco_tfrecord.
"""

import csv
import io
import os
from typing import Any, Dict, List, Optional, Tuple

from absl import flags

from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_folders
from tools.datasets import image_names
from tools.datasets import source_set
from utils import text_files
from utils import types
from utils import values

ConversionError = source_set.ConversionError
_PLAIN = ('filename', 'class', 'xmin', 'ymin', 'xmax', 'ymax')
_OPEN_IMAGES = ('imageid', 'labelname', 'xmin', 'xmax', 'ymin', 'ymax')
_CORNERS = ('xmin', 'ymin', 'xmax', 'ymax')
_DELIMITERS = ',;\t'


def convert(annotations: str, images: str, prefix: str,
            options: coco_record_writer.Options,
            label_map: Optional[types.LabelMap] = None,
            class_descriptions: Optional[str] = None,
            all_images: bool = False) -> Dict[str, Any]:
  """Converts one table.

  Args:
    annotations: path of the table.
    images: folder of the images.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.
    label_map: {id: name} or None.
    class_descriptions: path of a table of label and name, or None.
    all_images: whether images that the table does not name are used, too.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: naming the file, line and column that cannot be used.
  """
  files, notes = source_set.walk_images(images)
  columns, rows = read_table(annotations)
  found = source_set.SourceSet()
  found.notes.extend(notes)
  if set(_OPEN_IMAGES) <= set(columns):
    names = _descriptions(class_descriptions) if class_descriptions else None
    _read_open_images(found, rows, images, files, names, options)
  elif set(_PLAIN) <= set(columns):
    _read_plain(found, rows, images)
  else:
    raise ConversionError(
        '%s: the first line names the columns %s. Needed are %s, or %s of Open '
        'Images.' % (annotations, ', '.join(columns), ', '.join(_PLAIN),
                     'ImageID, LabelName, XMin, XMax, YMin, YMax'))
  if all_images:
    named = {i['file_name'] for i in found.dataset()['images']}
    for name in files:
      if name not in named:
        found.add_image(name, name)
  return coco_record_writer.write_dataset(
      found.dataset(), prefix, source_set.loader(images), options, label_map)


def read_table(path: str) -> Tuple[List[str], List[Tuple[str, Dict[str, str]]]]:
  """The lines of a table.

  Args:
    path: the path of a CSV file; commas, semicolons and tabs separate columns.

  Returns:
    [column name in lower case], [(place for errors, {column: text})].

  Raises:
    ConversionError: naming a line of another length.
  """
  text = text_files.read(path, tf.gfile.Open)
  first = text.split('\n', 1)[0]
  delimiter = max(_DELIMITERS, key=first.count)
  reader = csv.reader(io.StringIO(text, newline=''), delimiter=delimiter)
  columns, rows = None, []
  try:
    for cells in reader:
      cells = [cell.strip() for cell in cells]
      if not any(cells):
        continue
      if columns is None:
        columns = _columns(cells, path)
        continue
      where = '%s, line %d' % (path, reader.line_num)
      if len(cells) != len(columns):
        raise ConversionError('%s has %d values for %d columns.' % (
            where, len(cells), len(columns)))
      rows.append((where, dict(zip(columns, cells))))
  except csv.Error as e:
    raise ConversionError('%s, line %d: %s.' % (path, reader.line_num, e))
  if not columns:
    raise ConversionError('%s is empty.' % path)
  return columns, rows


def _columns(cells, path):
  """Names of the columns in lower case, each of its own."""
  columns = [cell.lower() for cell in cells]
  repeated = [c for c in columns if c and columns.count(c) > 1]
  if repeated:
    raise ConversionError('%s: two columns have the name %s.' % (
        path, repeated[0]))
  return columns


def _read_plain(found, rows, folder):
  """Adds images and boxes in pixels."""
  sizes = {}
  for where, row in rows:
    if not row['filename']:
      raise ConversionError('%s: filename is empty.' % where)
  files, notes = image_names.meant_once(
      folder, [row['filename'] for _, row in rows])
  found.notes.extend(notes)
  for where, row in rows:
    name = files[row['filename']]
    size = None
    if row.get('width') and row.get('height'):
      size = source_set.size(row['height'], row['width'], where)
    if sizes.setdefault(name, size) != size:
      raise ConversionError('%s: %s is %s here and %s in an earlier line.' % (
          where, name, _describe(size), _describe(sizes[name])))
    found.add_image(name, name, size)
    corners = _corners(row, where)
    if corners:
      found.add_object(name, _class_of(row, 'class', where),
                       source_set.corners_to_box(*corners))


def _describe(size):
  return '%d x %d' % (size[1], size[0]) if size else 'without a size'


def _corners(row, where):
  """(xmin, ymin, xmax, ymax), or None where none of them stands."""
  if not any(row[key] for key in _CORNERS):
    return None
  return [source_set.number(row[key], '%s: %s' % (where, key))
          for key in _CORNERS]


def _class_of(row, key, where):
  if not row[key]:
    raise ConversionError('%s: %s is empty.' % (where, key))
  return row[key]


def _read_open_images(found, rows, folder, files, names, options):
  """Adds images and boxes that are shares of them."""
  by_stem = image_folders.by_stem(files)
  sizes = {}
  for where, row in rows:
    image_id = row['imageid']
    candidates = by_stem.get(image_id, [image_id + '.jpg'])
    if len(candidates) > 1:
      raise ConversionError('%s: the image %s may be %s or %s.' % (
          where, image_id, candidates[0], candidates[1]))
    if image_id not in sizes:
      sizes[image_id] = source_set.image_size(
          os.path.join(folder, candidates[0]), options.exif)
      found.add_image(image_id, candidates[0], sizes[image_id])
    corners = _corners(row, where)
    if not corners:
      continue
    if max(corners) > 1.5:
      raise ConversionError('%s: %g is not a share of the image, 0 to 1.' % (
          where, max(corners)))
    label = _class_of(row, 'labelname', where)
    if names is not None and label not in names:
      raise ConversionError('%s: LabelName %s is not in '
                            '--class_descriptions.' % (where, label))
    height, width = sizes[image_id] or (1, 1)
    x0, y0, x1, y1 = map(source_set.within, corners)
    found.add_object(
        image_id, names[label] if names else label,
        source_set.corners_to_box(x0 * width, y0 * height, x1 * width,
                                  y1 * height),
        is_crowd=_is_group(row, where))


def _is_group(row, where):
  """Whether a box is around a group; Open Images has -1 where it is unknown."""
  text = (row.get('isgroupof') or '0').lower()
  if text == '-1':
    return False
  try:
    return bool(values.flag({'true': 1, 'false': 0}.get(text, text)))
  except ValueError as e:
    raise ConversionError('%s: IsGroupOf: %s.' % (where, e))


def _descriptions(path):
  """{label: name} of a table without a first line of names."""
  names = {}
  for i, line in enumerate(csv.reader(text_files.read_lines(
      path, tf.gfile.Open)), 1):
    if not line or line[0].lower() == 'labelname':
      continue
    if len(line) < 2 or not line[1].strip():
      raise ConversionError('%s, line %d: a label and a name are needed.' % (
          path, i))
    names[line[0].strip()] = line[1].strip()
  return names


def define_flags(given: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues."""
  for name, meaning in (
      ('annotations', 'CSV file whose first line names the columns. Required.'),
      ('images', 'Folder of the images. Required.'),
      ('class_descriptions', 'CSV file of LabelName and name, of Open Images.'
       )):
    flags.DEFINE_string(name, None, meaning, flag_values=given)
  flags.DEFINE_bool('all_images', False, 'Also write the images that no line '
                    'names, without objects.', flag_values=given)
  conversion_flags.define(given)


def main(given: flags.FlagValues) -> None:
  """Converts as the flags say."""
  if not given.annotations or not given.images or not given.output:
    raise ConversionError('Give --annotations=FILE --images=FOLDER '
                          '--output=PREFIX.')
  convert(given.annotations, given.images, given.output,
          conversion_flags.options(given), conversion_flags.label_map(given),
          given.class_descriptions, given.all_images)


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
