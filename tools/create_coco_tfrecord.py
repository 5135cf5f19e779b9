"""Converts COCO annotations and their images to TFRecords.

  python -m tools.create_coco_tfrecord --annotations=instances_val.json \\
      --images=val/ --output=records/val

writes records/val-00000-of-00032.tfrecord and so on, records/val-label_map.csv,
records/val-annotations.json (what evaluation compares with) and
records/val-index.json (counts, ids, what was left out and why). Masks are
included when the annotations have them.
"""

import functools
from typing import Any, Dict, Optional

from absl import flags

from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_names
from utils import text_files
from utils import types
from utils import values

ConversionError = coco_record_writer.ConversionError

def convert(annotations: Optional[str], images: str, prefix: str,
            options: coco_record_writer.Options,
            image_info_file: Optional[str] = None,
            caption_annotations_file: Optional[str] = None,
            label_map: Optional[types.LabelMap] = None) -> Dict[str, Any]:
  """Converts one set.

  Args:
    annotations: path of the object annotations, or None.
    images: folder of the images.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.
    image_info_file: path of a file whose images are used instead, or None.
    caption_annotations_file: path of captions to add, or None.
    label_map: {id: name} or None.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: if there is nothing to convert, or it is ambiguous.
  """
  paths = [p for p in (image_info_file, annotations, caption_annotations_file)
           if p]
  if not paths:
    raise ConversionError('Give --annotations=FILE.')
  if not tf.gfile.IsDirectory(images):
    raise ConversionError('There is no folder %s of images.' % images)
  contents = {path: _load(path) for path in paths}
  dataset = {'images': contents[paths[0]].get('images'),
             'annotations': [], 'categories': []}
  if annotations:
    dataset.update({k: contents[annotations].get(k)
                    for k in ('annotations', 'categories')})
  if caption_annotations_file:
    dataset['images'] = _with_captions(
        dataset['images'], contents[caption_annotations_file],
        caption_annotations_file)
  dataset['images'], dataset['notes'] = image_names.find(images,
                                                         dataset['images'])
  return coco_record_writer.write_dataset(
      dataset, prefix, functools.partial(_load_image, images), options,
      label_map)


def _load(path):
  """Content of a JSON file."""
  content = text_files.read_json(path, tf.gfile.Open)
  if not isinstance(content, dict):
    raise ConversionError(
        '%s holds a list, as a file of detections does. Annotations are a '
        'dictionary with images, annotations and categories.' % path)
  return content


def _with_captions(images, content, path):
  """Images with their captions; entries that are no images stay as they are."""
  captions = {}
  for annotation in content.get('annotations') or [{}]:
    try:
      image_id, caption = annotation['image_id'], annotation['caption'].strip()
    except (KeyError, TypeError, AttributeError):
      raise ConversionError(
          '%s (--caption_annotations_file) has annotations without a caption. '
          'A file with objects belongs to --annotations.' % path)
    captions.setdefault(_caption_key(image_id), []).append(caption)
  return [dict(i, captions=captions.get(_caption_key(i.get('id')), []))
          if isinstance(i, dict) else i for i in images or []]


def _caption_key(image_id):
  """An id in the form in which spellings are equal; text of what is none."""
  return str(values.canonical_id(image_id))


def _load_image(folder, image):
  return image_names.read(folder, image['file_name'])


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues; the second names are upstream's."""
  for name, meaning in (
      ('annotations', 'COCO file with objects, such as '
       'instances_train2017.json.'),
      ('images', 'Folder of the images. Required.'),
      ('image_info_file', 'COCO file whose list of images is used, such as '
       'that of a test set without objects.'),
      ('caption_annotations_file', 'COCO file with captions to add.'),
      ('object_annotations_file', 'Same as --annotations.'),
      ('image_dir', 'Same as --images.'),
      ('output_file_prefix', 'Same as --output.')):
    flags.DEFINE_string(name, None, meaning, flag_values=values)
  conversion_flags.define(values)


def _one_of(values, *names):
  """Value of a flag that has two names."""
  given = {values[name].value for name in names if values[name].value}
  if len(given) > 1:
    raise ConversionError(
        'Different values are given for %s.' % ' and '.join(
            '--' + name for name in names))
  return given.pop() if given else None


def main(values: flags.FlagValues) -> None:
  """Converts as the flags say."""
  prefix = _one_of(values, 'output', 'output_file_prefix')
  images = _one_of(values, 'images', 'image_dir')
  if not prefix or not images:
    raise ConversionError(
        'Give --annotations=FILE --images=FOLDER --output=PREFIX.')
  convert(_one_of(values, 'annotations', 'object_annotations_file'), images,
          prefix, conversion_flags.options(values), values.image_info_file,
          values.caption_annotations_file, conversion_flags.label_map(values))


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
