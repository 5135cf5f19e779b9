"""Converts a Pascal VOC data set to TFRecords.

  python -m tools.create_voc_tfrecord --data_dir=VOC2012 --split=train \\
      --output=records/train

reads Annotations/*.xml, JPEGImages/ and ImageSets/Main/train.txt and writes
records/train-00000-of-00032.tfrecord and so on, records/train-label_map.csv,
records/train-annotations.json (what evaluation compares with) and
records/train-index.json (counts, ids, what was left out and why). Classes are
numbered from 1 in alphabetical order of all annotations, so that every split
gets the same numbers; --label_map gives others. Annotations and images may be
in subfolders. The corners of a box are taken as its edges, unchanged, although
VOC counts pixels from 1.
"""

import functools
import os
from typing import Any, Dict, NamedTuple, Optional

from absl import flags

from dataloader import file_patterns
from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_names
from tools.datasets import source_set
from tools.datasets import voc_images
from utils import text_files
from utils import types
from utils import values as values_lib

ConversionError = coco_record_writer.ConversionError


class Source(NamedTuple):
  """Where a split is.

  Attributes:
    annotations: folder of the .xml files.
    images: folder of the images.
    list: the path of the file with the names of the images that count; None:
      all.
  """
  annotations: str
  images: str
  list: Optional[str]


def source_of(data_dir: str, split: Optional[str]) -> Source:
  """Source in the folders of a VOC set.

  Args:
    data_dir: see --data_dir.
    split: name of a list, or None for all annotations.

  Raises:
    ConversionError: naming the lists there are, if it is none of them.
  """
  annotations = os.path.join(data_dir, 'Annotations')
  # Without any, it is not the folder of a VOC set.
  voc_images.annotation_files(annotations)
  folder = os.path.join(data_dir, 'ImageSets', 'Main')
  path = os.path.join(folder, split + '.txt') if split else None
  if path and not tf.gfile.Exists(path):
    raise ConversionError('There is no %s. The splits are: %s.' % (
        path, ', '.join(name[:-len('.txt')] for name in file_patterns.names_in(
            folder, '.txt')) or 'none'))
  return Source(annotations, os.path.join(data_dir, 'JPEGImages'), path)


def convert(data_dir: str, split: Optional[str], prefix: str,
            options: coco_record_writer.Options,
            label_map: Optional[types.LabelMap] = None,
            difficult: str = 'keep') -> Dict[str, Any]:
  """Converts one split of a VOC set; see source_of and convert_source."""
  return convert_source(source_of(data_dir, split), prefix, options, label_map,
                        difficult)


def convert_source(source: Source, prefix: str,
                   options: coco_record_writer.Options,
                   label_map: Optional[types.LabelMap] = None,
                   difficult: str = 'keep') -> Dict[str, Any]:
  """Converts the annotations of a folder, or those of a list.

  Args:
    source: Source.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.
    label_map: {id: name} or None.
    difficult: 'keep', 'crowd' or 'skip'.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: if a folder or list is missing or a file is unusable.
  """
  paths = voc_images.annotation_files(source.annotations)
  all_names, notes = sorted(paths), []
  names = (voc_images.listed(source.list, source.annotations, paths, notes)
           if source.list else all_names)
  # All of them are read, so that class ids do not depend on the split.
  roots = {name: text_files.read_xml(paths[name], tf.gfile.Open)
           for name in all_names}
  class_ids = _class_ids(roots, notes)
  files = voc_images.find(source.images, {
      name: _text(root, 'filename') for name, root in roots.items()})
  notes.extend(files.notes(names))
  dataset: Dict[str, Any] = {
      'images': [], 'annotations': [], 'notes': notes, 'categories': [
          {'id': i, 'name': name} for name, i in sorted(class_ids.items())],
      'skips': files.skips(names)}
  num_difficult = 0
  for name in names:
    if name not in files.used:
      continue
    dataset['images'].append(_image(name, roots[name], files.used[name]))
    for element in roots[name].findall('object'):
      is_difficult = _is_difficult(element, name)
      num_difficult += is_difficult
      if is_difficult and difficult == 'skip':
        continue
      dataset['annotations'].append({
          'id': len(dataset['annotations']) + 1, 'image_id': name,
          'category_id': class_ids[_text(element, 'name')],
          'bbox': _box(element),
          'iscrowd': int(is_difficult and difficult == 'crowd')})
      if is_difficult:  # for the metrics of the challenge
        dataset['annotations'][-1]['difficult'] = 1
  if num_difficult:
    notes.append('%d objects are marked difficult: --difficult=%s.' % (
        num_difficult, difficult))
  return coco_record_writer.write_dataset(
      dataset, prefix, functools.partial(_load_image, source.images),
      options, label_map)


def _class_ids(roots, notes):
  """{class name as spelt: id}, numbered from 1 in alphabetical order."""
  names = sorted({_text(element, 'name') for root in roots.values()
                  for element in root.findall('object')})
  if '' in names:
    nameless = [name for name, root in sorted(roots.items())
                if '' in [_text(e, 'name') for e in root.findall('object')]]
    raise ConversionError('An object in %s.xml has no name.' % nameless[0])
  by_lower_case = {}
  for name in names:
    by_lower_case.setdefault(name.lower(), []).append(name)
  for spellings in by_lower_case.values():
    if len(spellings) > 1:
      notes.append('%s are different classes here. If they are one, give a '
                   '--label_map with one of them.' % ' and '.join(
                       repr(s) for s in spellings))
  return {name: i + 1 for i, name in enumerate(names)}


def _image(name, root, file_name):
  """Entry of the image; <path> names a file of the authors' computer."""
  if root.tag.lower() != 'annotation' and root.find('object') is None:
    raise ConversionError(
        '%s.xml is not an annotation of Pascal VOC: its root is <%s>, and it '
        'has no <object>.' % (name, root.tag))
  height, width = source_set.size(
      _text(root, 'size/height'), _text(root, 'size/width'),
      'The <size> in %s.xml' % name) or (None, None)
  return {'id': name, 'file_name': file_name, 'height': height, 'width': width}


def _is_difficult(element, name):
  """Whether an object is marked difficult."""
  text = _text(element, 'difficult')
  try:
    # Some programs leave it open.
    return bool(text and text.lower() != 'unspecified'
                and values_lib.flag(text))
  except ValueError as e:
    raise ConversionError('<difficult> in %s.xml: %s.' % (name, e))


def _box(element):
  """[x, y, width, height], or what is there when it is not four numbers."""
  corners = [_text(element, 'bndbox/' + key)
             for key in ('xmin', 'ymin', 'xmax', 'ymax')]
  try:
    x0, y0, x1, y1 = [values_lib.number(c) for c in corners]
  except ValueError:
    return corners
  return [x0, y0, x1 - x0, y1 - y0]


def _text(element, path):
  """Text below an element, '' when there is none."""
  return (element.findtext(path) or '').strip()


def _load_image(folder, image):
  """Bytes of the file of an image."""
  return image_names.read(folder, image['file_name'])


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues."""
  flags.DEFINE_string('data_dir', None, 'Folder with Annotations, JPEGImages '
                      'and ImageSets.', flag_values=values)
  flags.DEFINE_string('annotations', None, 'Folder of the .xml files, and '
                      '--images, instead of --data_dir.', flag_values=values)
  flags.DEFINE_string('images', None, 'Folder of the images.',
                      flag_values=values)
  flags.DEFINE_string('list', None, 'File with the name of an image in each '
                      'line, with --annotations. Default: all of them.',
                      flag_values=values)
  flags.DEFINE_string('split', None, 'Name of a list in ImageSets/Main, such '
                      'as train. Default: all annotations.',
                      flag_values=values)
  flags.DEFINE_enum(
      'difficult', 'keep', ['keep', 'crowd', 'skip'],
      'What becomes of objects marked difficult: ordinary objects, crowds (not '
      'trained on and not counted in evaluation, as in the VOC challenge) or '
      'nothing.', flag_values=values)
  conversion_flags.define(values)


def main(values: flags.FlagValues) -> None:
  """Converts as the flags say."""
  by_folders = bool(values.annotations and values.images and not values.split)
  if not values.output or bool(values.data_dir) == by_folders:
    raise ConversionError('Give --data_dir=FOLDER --split=NAME, or '
                          '--annotations=FOLDER --images=FOLDER; and '
                          '--output=PREFIX.')
  source = (Source(values.annotations, values.images, values.list)
            if by_folders else source_of(values.data_dir, values.split))
  convert_source(source, values.output, conversion_flags.options(values),
                 conversion_flags.label_map(values), values.difficult)


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
