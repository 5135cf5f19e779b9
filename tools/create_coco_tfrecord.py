"""Converts COCO annotations and their pictures to TFRecords.

  python -m tools.create_coco_tfrecord --annotations=instances_val.json \\
      --images=val/ --output=records/val

writes records/val-00000-of-00032.tfrecord and so on, records/val-label_map.csv,
records/val-annotations.json (what evaluation compares with) and
records/val-index.json (counts, ids, what was left out and why). Masks are
included when the annotations have them.
"""

import functools
import json
import os

from absl import flags
import tensorflow.compat.v1 as tf

from tools import conversion_flags
from tools import tfrecord_writer

ConversionError = tfrecord_writer.ConversionError

FLAGS = flags.FLAGS

flags.DEFINE_string('annotations', None, 'COCO file with objects.')
flags.DEFINE_string('images', None, 'Folder of the pictures.')
flags.DEFINE_string('image_info_file', '', 'COCO file whose list of images is '
                    'used, such as that of a test set without objects.')
flags.DEFINE_string('caption_annotations_file', '', 'COCO file with captions.')
flags.DEFINE_string('object_annotations_file', '', 'Same as --annotations.')
flags.DEFINE_string('image_dir', '', 'Same as --images.')
flags.DEFINE_string('output_file_prefix', '', 'Same as --output.')
conversion_flags.define()


def convert(annotations, images, prefix, options, image_info_file='',
            caption_annotations_file='', label_map=None):
  """Converts one set.

  Args:
    annotations: path of the object annotations, or '' for none.
    images: folder of the pictures.
    prefix: of the written files.
    options: tfrecord_writer.Options.
    image_info_file: path of a file whose images are used instead.
    caption_annotations_file: path of captions to add.
    label_map: {id: name} or None.

  Returns:
    The index; see tfrecord_writer.write_dataset.

  Raises:
    ConversionError: if there is nothing to convert, or it is ambiguous.
  """
  paths = [p for p in (image_info_file, annotations, caption_annotations_file)
           if p]
  if not paths:
    raise ConversionError('Give --annotations=FILE.')
  contents = {path: _load(path) for path in paths}
  dataset = {'images': contents[paths[0]].get('images'),
             'annotations': [], 'categories': []}
  if annotations:
    dataset.update({k: contents[annotations].get(k)
                    for k in ('annotations', 'categories')})
  if caption_annotations_file:
    dataset['images'] = _with_captions(
        dataset['images'], contents[caption_annotations_file])
  return tfrecord_writer.write_dataset(
      dataset, prefix, functools.partial(_load_image, images), options,
      label_map)


def _load(path):
  """Content of a JSON file."""
  with tf.gfile.Open(path, 'r') as f:
    try:
      content = json.load(f)
    except ValueError as e:
      raise ConversionError('%s is not JSON: %s' % (path, e))
  if not isinstance(content, dict):
    raise ConversionError(
        '%s holds a list, as a file of detections does. Annotations are a '
        'dictionary with images, annotations and categories.' % path)
  return content


def _with_captions(images, content):
  """Images with their captions."""
  captions = {}
  for annotation in content['annotations']:
    if 'caption' not in annotation:
      raise ConversionError(
          '--caption_annotations_file has no captions. Files with objects '
          'belong to --annotations.')
    captions.setdefault(annotation['image_id'], []).append(
        annotation['caption'])
  return [dict(i, captions=captions.get(i['id'], [])) for i in images]


def _load_image(folder, image):
  with tf.gfile.Open(os.path.join(folder, image['file_name']), 'rb') as f:
    return f.read()


def _one_of(*names):
  """Value of a flag that has two names."""
  values = {FLAGS[name].value for name in names if FLAGS[name].value}
  if len(values) > 1:
    raise ConversionError(
        'Different values are given for %s.' % ' and '.join(
            '--' + name for name in names))
  return values.pop() if values else ''


def main(unused_argv):
  prefix = _one_of('output', 'output_file_prefix')
  images = _one_of('images', 'image_dir')
  if not prefix or not images:
    raise ConversionError(
        'Give --annotations=FILE --images=FOLDER --output=PREFIX.')
  convert(_one_of('annotations', 'object_annotations_file'), images, prefix,
          conversion_flags.options(), FLAGS.image_info_file,
          FLAGS.caption_annotations_file, conversion_flags.label_map())


if __name__ == '__main__':
  conversion_flags.run(main)
