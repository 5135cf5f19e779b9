"""Converts pictures and label maps, a file each, to TFRecords.

  python -m tools.create_segmentation_tfrecord --image_dir=voc/JPEGImages \\
      --label_dir=voc/SegmentationClass --list=voc/train.txt \\
      --output=records/train --label_map=classes.csv

A label map is a PNG of the size of its picture, with the same name but for the
extension. Its values are the classes: 0, 1, 2 and so on; 255 is for pixels
without a class. Of a PNG with a palette (Pascal VOC) the values count, not the
colours. Writes
  records/train-00000-of-00032.tfrecord ...
  records/train-label_map.csv   rows `id:name`
  records/train-index.json      counts, and what was left out and why
"""

import argparse
import collections
import functools
import io
import os

import numpy as np
from PIL import Image
import tensorflow.compat.v1 as tf

from dataloader import file_patterns
from tools import annotation_checks
from tools import image_files
from tools import sharded_records
from tools import tfrecord_writer
from utils import label_map as label_maps

ConversionError = annotation_checks.ConversionError
_EXTENSIONS = ('.jpg', '.jpeg', '.png', '.bmp')

# name: of the files, without extension. image, label: paths; label is None
# where there is none.
Pair = collections.namedtuple('Pair', 'name image label')


class _LabelError(ValueError):
  """A label map that cannot be used, with the reason."""


def convert(image_dir, label_dir, prefix, names=None, label_map=None,
            ignore_label=255, num_shards=None, num_processes=None,
            overwrite=False):
  """Converts; prints what was left out and why.

  Args:
    image_dir: folder of the pictures.
    label_dir: folder of the label maps.
    prefix: path prefix of all written files.
    names: [name without extension] of the pictures to use; None: all that
      have a label map.
    label_map: {class id: name}; None: the ids that occur are the names.
    ignore_label: int, value of pixels without a class.
    num_shards: int; None: 32, or one per picture if there are fewer.
    num_processes: int; None: one per core.
    overwrite: whether to replace shards of another program.

  Returns:
    dict, the content of PREFIX-index.json; see tools.sharded_records.

  Raises:
    ConversionError: if files are missing, or no picture can be used.
  """
  if not os.path.basename(prefix):
    raise ConversionError(
        '%r is a folder. The output is what the names of the files begin with, '
        'such as %strain.' % (prefix, prefix))
  pairs = _pairs(image_dir, label_dir, names)
  num_shards = num_shards or min(tfrecord_writer.DEFAULT_NUM_SHARDS, len(pairs))
  shards = [tfrecord_writer.SHARD % (prefix, i, num_shards)
            for i in range(num_shards)]
  class_names = label_map or {i: 'class %d' % i for i in range(256)}
  build = functools.partial(
      _build, ignore_label=ignore_label,
      class_ids=set(label_map) if label_map else None)
  extra = {}
  if label_map:
    extra[prefix + '-label_map.csv'] = label_maps.text(label_map)
  index = sharded_records.write(prefix, shards, pairs, build, extra,
                                overwrite=overwrite,
                                num_processes=num_processes)
  ids = sorted(int(i) for i in index['counts'])
  shown = class_names if label_map else {i: class_names[i] for i in ids}
  print(sharded_records.report(index, shown, 'pixels'))
  highest = max(label_map or ids, default=0)
  print('Set architecture.num_classes: %d (classes are 0 to %d).'
        % (highest + 1, highest))
  return index


def _pairs(image_dir, label_dir, names):
  """[Pair] in the order of the names."""
  images, labels = [_by_stem(folder, extensions) for folder, extensions in (
      (image_dir, _EXTENSIONS), (label_dir, ('.png',)))]
  if names is None:
    names = sorted(set(images) & set(labels))
    if not names:
      raise ConversionError(
          'No picture in %s has a label map of the same name in %s, such as '
          'a.jpg and a.png.' % (image_dir, label_dir))
    without = len(images) - len(names)
    if without:
      print('%d pictures in %s have no label map and are not used.'
            % (without, image_dir))
  missing = [name for name in names if name not in images]
  if missing:
    raise ConversionError('%d names have no picture in %s, such as %s.' % (
        len(missing), image_dir, missing[0]))
  return [Pair(name, images[name], labels.get(name)) for name in names]


def _by_stem(folder, extensions):
  """{name without extension: path} of the files in a folder."""
  paths = [path for path in file_patterns.glob(os.path.join(folder, '*'))
           if path.lower().endswith(extensions)]
  if not paths:
    raise ConversionError('There is no %s file in %s.' % (
        ' or '.join(extensions), folder))
  return {os.path.splitext(os.path.basename(path))[0]: path for path in paths}


def _build(pair, ignore_label, class_ids):
  """sharded_records.Outcome of a picture with its label map."""
  try:
    with tf.gfile.Open(pair.image, 'rb') as f:
      encoded = image_files.check_image(f.read())
    if pair.label is None:
      raise _LabelError('it has no label map')
    classes = _read_classes(pair.label)
  except (image_files.ImageError, _LabelError, OSError) as e:
    return sharded_records.Outcome(None, pair.name, str(e), {})
  size = (encoded.height, encoded.width)
  if classes.shape != size:
    return sharded_records.Outcome(
        None, pair.name, 'the label map has another size than the picture', {})
  ids, counts = np.unique(classes[classes != ignore_label], return_counts=True)
  unknown = set(ids.tolist()) - class_ids if class_ids else ()
  if unknown:
    return sharded_records.Outcome(
        None, pair.name, 'class %d is not in the label map' % min(unknown), {})
  example = _example(pair, encoded, classes)
  return sharded_records.Outcome(
      example.SerializeToString(deterministic=True), pair.name, None,
      dict(zip(ids.tolist(), counts.tolist())))


def _read_classes(path):
  """uint8 [h, w] of a label map."""
  with tf.gfile.Open(path, 'rb') as f:
    try:
      image = Image.open(io.BytesIO(f.read()))
      image.load()
    except Exception as e:  # pylint: disable=broad-except
      # Pillow raises many types for broken files.
      raise _LabelError('the label map cannot be read: %s'
                        % str(e).split(' <')[0])
  # Mode P has a palette, whose indices are the classes.
  classes = np.asarray(image)
  if image.mode not in ('1', 'L', 'P', 'I', 'I;16'):
    raise _LabelError('the label map has colours (Pillow mode %s); its values '
                      'must be the classes' % image.mode)
  if classes.max() > 255:
    raise _LabelError('the label map has values above 255')
  return classes.astype(np.uint8)


def _example(pair, encoded, classes):
  """The record of a picture; the keys are public."""
  stream = io.BytesIO()
  Image.fromarray(classes).save(stream, 'PNG')
  return tf.train.Example(features=tf.train.Features(feature={
      'image/encoded': _bytes(encoded.encoded),
      'image/format': _bytes(encoded.format.encode()),
      'image/filename': _bytes(os.path.basename(pair.image).encode('utf-8')),
      'image/source_id': _bytes(pair.name.encode('utf-8')),
      'image/height': _int(encoded.height),
      'image/width': _int(encoded.width),
      'image/segmentation/class/format': _bytes(b'png'),
      'image/segmentation/class/encoded': _bytes(stream.getvalue())}))


def _int(value):
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _bytes(value):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def _read_names(path):
  """Names of a list, one a line, with or without extension."""
  with tf.gfile.Open(path) as f:
    names = f.read().split()
  if not names:
    raise ConversionError('%s is empty.' % path)
  return [os.path.splitext(name)[0] if name.lower().endswith(_EXTENSIONS)
          else name for name in names]


def main():
  parser = argparse.ArgumentParser(
      description='Converts pictures and label maps, a file each.')
  parser.add_argument('--image_dir', required=True,
                      help='folder of the pictures')
  parser.add_argument('--label_dir', required=True, help='folder of the label '
                      'maps: PNG files whose values are the classes')
  parser.add_argument('--output', required=True, help='what the paths of all '
                      'written files begin with, such as records/train')
  parser.add_argument('--list', help='file with the names of the pictures to '
                      'use, one a line; default: all with a label map')
  parser.add_argument('--label_map', help='file of rows `id:name`, from 0 on')
  parser.add_argument('--ignore_label', type=int, default=255,
                      help='value of pixels without a class; default: 255')
  parser.add_argument('--num_shards', type=int, help='default: 32, or one for '
                      'each picture if there are fewer')
  parser.add_argument('--num_processes', type=int, help='default: one per core')
  parser.add_argument('--overwrite', action='store_true',
                      help='replace shards of another program')
  args = parser.parse_args()
  try:
    convert(
        args.image_dir, args.label_dir, args.output,
        _read_names(args.list) if args.list else None,
        label_maps.read_label_map(args.label_map) if args.label_map else None,
        args.ignore_label, args.num_shards, args.num_processes, args.overwrite)
  except (ValueError, OSError, tf.errors.OpError) as e:
    raise SystemExit('Error: %s' % e)


if __name__ == '__main__':
  main()
