"""Converts LVIS annotations and the images of COCO to TFRecords.

  python -m tools.create_lvis_tfrecord --annotations=lvis_v1_val.json \\
      --images=coco/ --output=records/val

writes records/val-00000-of-00032.tfrecord and so on, records/val-label_map.csv,
records/val-annotations.json (what evaluation compares with) and
records/val-index.json (counts, ids, what was left out and why). The records
hold, in addition to those of COCO, which categories are known to be absent
from an image and which are not annotated exhaustively. Masks are included.

Images are found below --images by the last two parts of their coco_url, such as
val2017/000000397133.jpg, or else by the last part alone. Boxes are clipped to
the image.
"""

import functools
import os
from typing import Any, Dict, Optional

from absl import flags

from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_names
from utils import coco_annotations
from utils import text_files
from utils import types

ConversionError = coco_record_writer.ConversionError
_SPLITS = ('train', 'val')


def convert(annotations: str, images: str, prefix: str,
            options: coco_record_writer.Options,
            label_map: Optional[types.LabelMap] = None) -> Dict[str, Any]:
  """Converts one set.

  Args:
    annotations: path of the annotations.
    images: folder of the images.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options; boxes are always cut at the border.
    label_map: {id: name} or None.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: if there is nothing to convert, or it is not of LVIS.
  """
  if not tf.gfile.IsDirectory(images):
    raise ConversionError('There is no folder %s of images.' % images)
  content = text_files.read_json(annotations, tf.gfile.Open)
  if not isinstance(content, dict) or not content.get('images'):
    raise ConversionError('%s has no list of images; annotations of LVIS have '
                          'images, annotations and categories.' % annotations)
  named, notes = image_names.find(images, [
      _entry(image, annotations) for image in content['images']])
  dataset = {'images': named, 'notes': notes,
             'annotations': content.get('annotations'),
             'categories': content.get('categories')}
  return coco_record_writer.write_dataset(
      dataset, prefix, functools.partial(_load_image, images),
      options._replace(clip_boxes=True), label_map)


def _entry(image, path):
  """An image entry with a file name, checked for the lists of LVIS."""
  if not isinstance(image, dict):
    raise ConversionError('%s: an image is not an object: %.200r'
                          % (path, image))
  for key in coco_annotations.FEDERATED_LISTS:
    if not isinstance(image.get(key), list):
      raise ConversionError(
          '%s: image %r has no list %s. Annotations of other data sets are '
          'converted by tools.create_coco_tfrecord.' % (
              path, image.get('id'), key))
  if isinstance(image.get('coco_url'), str) and image['coco_url']:
    return dict(image, file_name='/'.join(image['coco_url'].split('/')[-2:]))
  return image


def _load_image(folder, image):
  """Bytes of the file of an image."""
  with tf.gfile.Open(os.path.join(folder, image['file_name']), 'rb') as f:
    return f.read()


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues; the second names are upstream's."""
  for name, meaning in (
      ('annotations', 'Annotations of LVIS, such as lvis_v1_val.json. '
       'Required.'),
      ('images', 'Folder of the images, or of the folders train2017 and so on. '
       'Required.'),
      ('json_path', 'Same as --annotations.'),
      ('image_dir', 'Same as --images.'),
      ('dest_dir', 'Folder; with --split, the same as '
       '--output=dest_dir/split.')):
    flags.DEFINE_string(name, None, meaning, flag_values=values)
  flags.DEFINE_enum('split', 'val', _SPLITS, 'What the names of the files in '
                    '--dest_dir begin with.', flag_values=values)
  flags.DEFINE_bool('include_mask', None, 'Same as --include_masks.',
                    flag_values=values)
  conversion_flags.define(values)


def _one_of(first, second, names):
  """The value that is given of two names of a flag."""
  if first is not None and second is not None and first != second:
    raise ConversionError('Different values are given for --%s and --%s.'
                          % names)
  return second if first is None else first


def main(values: flags.FlagValues) -> None:
  """Converts as the flags say."""
  annotations = _one_of(values.annotations, values.json_path,
                        ('annotations', 'json_path'))
  images = _one_of(values.images, values.image_dir, ('images', 'image_dir'))
  joined = values.dest_dir and os.path.join(values.dest_dir, values.split)
  prefix = _one_of(values.output, joined, ('output', 'dest_dir'))
  if not annotations or not images or not prefix:
    raise ConversionError(
        'Give --annotations=FILE --images=FOLDER --output=PREFIX.')
  options = conversion_flags.options(values)
  convert(annotations, images, prefix, options._replace(
      include_masks=_one_of(options.include_masks, values.include_mask,
                            ('include_masks', 'include_mask'))),
          conversion_flags.label_map(values))


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
