"""Converts images and label maps, a file each, to TFRecords.

  python -m tools.create_segmentation_tfrecord --image_dir=voc/JPEGImages \\
      --label_dir=voc/SegmentationClass --list=voc/train.txt \\
      --output=records/train --label_map=classes.csv

A label map is a PNG of the size of its image, with the same name but for the
extension. Its values are the classes: 0, 1, 2 and so on; 255 is for pixels
without a class. In a PNG with a palette (Pascal VOC) the values count, not the
colours. --values=255:1 maps the value 255 to class 1, for masks of 0 and 255.
Images are stored upright, their label maps along with them. Writes
  records/train-00000-of-00032.tfrecord ...
  records/train-label_map.csv   rows `id:name`
  records/train-index.json      counts, and what was left out and why
"""

import argparse
import functools
import hashlib
import io
import os
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence

import numpy as np
from PIL import Image

from ops import tensorflow_later as tf
from tools.common import numbers
from tools.common import reasons
from tools.datasets import annotation_checks
from tools.datasets import coco_record_writer
from tools.datasets import image_files
from tools.datasets import image_folders
from tools.datasets import image_record_writer
from tools.datasets import label_images
from tools.datasets import label_notes
from tools.datasets import written_order
from utils import label_map as label_maps
from utils import orientation as orientations
from utils import text_files
from utils import types

ConversionError = annotation_checks.ConversionError
_DEFAULT_IGNORE_LABEL = 255


class Pair(NamedTuple):
  """An image and its label map.

  Attributes:
    name: name of the files, without extension.
    image: path.
    label: path, or None where there is none.
  """
  name: str
  image: str
  label: Optional[str]


class Reading(NamedTuple):
  """How label maps are read.

  Attributes:
    ignore_label: class id of pixels that do not count.
    values: {value: class}, of values that are not their class.
    exif: one of orientation.CHOICES, what label maps of turned images mean.
  """
  ignore_label: int = _DEFAULT_IGNORE_LABEL
  values: Mapping[int, int] = {}
  exif: str = orientations.UPRIGHT


def convert(
    image_dir: str, label_dir: str, prefix: str,
    names: Optional[Sequence[str]] = None,
    label_map: Optional[types.LabelMap] = None, reading: Reading = Reading(),
    num_shards: Optional[int] = None, num_processes: Optional[int] = None,
    overwrite: bool = False,
    shuffle_seed: Optional[int] = written_order.DEFAULT_SEED) -> Dict[str, Any]:
  """Converts; prints what was left out and why.

  Args:
    image_dir: folder of the images.
    label_dir: folder of the label maps.
    prefix: path prefix of all written files.
    names: [name], with or without extension, of the images to use; None: all
      that have a label map.
    label_map: {class id: name}; None: the ids that occur are the names.
    reading: Reading.
    num_shards: int; None: see written_order.num_shards.
    num_processes: int; None: one per core.
    overwrite: whether to replace shards of another program.
    shuffle_seed: seed of the order of the records; None: that of the
      names.

  Returns:
    dict, the content of PREFIX-index.json; see
    tools.datasets.image_record_writer.

  Raises:
    ConversionError: if files are missing, or no image can be used.
  """
  if not os.path.basename(prefix):
    raise ConversionError(
        '%r is a folder. The output is what the names of the files begin with, '
        'such as %strain.' % (prefix, prefix))
  pairs = _pairs(image_dir, label_dir, names)
  num_shards = num_shards or written_order.num_shards(len(pairs))
  shards = [coco_record_writer.SHARD % (prefix, i, num_shards)
            for i in range(num_shards)]
  class_names = label_map or {i: 'class %d' % i for i in range(256)}
  build = functools.partial(
      _build, reading=reading,
      class_ids=set(label_map) if label_map else None)
  extra = {}
  if label_map:
    extra[prefix + '-label_map.csv'] = label_maps.text(label_map)
  index = image_record_writer.write(prefix, shards, pairs, build, extra,
                                    overwrite=overwrite,
                                    num_processes=num_processes,
                                    shuffle_seed=shuffle_seed)
  ids = sorted(int(i) for i in index['counts'])
  shown = class_names if label_map else {i: class_names[i] for i in ids}
  print(image_record_writer.report(index, shown, 'pixels'))
  for line in label_notes.lines(index, ids, reading.ignore_label,
                                bool(label_map)):
    print(line)
  highest = max(label_map or ids, default=0)
  print('Set architecture.num_classes: %d (classes are 0 to %d).'
        % (highest + 1, highest))
  return index


def _pairs(image_dir, label_dir, names):
  """[Pair] in the order of the names; says what is not used."""
  folders = image_folders.PairedFolders(image_dir, label_dir,
                                        label_images.EXTENSIONS)
  for note in folders.notes:
    print(note)
  if names is None:
    stems = folders.stems()
    names = [name for name in stems if folders.label(name)]
    if not names:
      raise ConversionError(
          'No image in %s has a label map of the same name in %s, such as '
          'a.jpg and a.png. Label maps are lossless: %s.' % (
              image_dir, label_dir, ', '.join(label_images.EXTENSIONS)))
    if len(stems) > len(names):
      print('%d images in %s have no label map and are not used.'
            % (len(stems) - len(names), image_dir))
  names = [_known_name(name, folders) for name in names]
  missing = [name for name in names if not folders.image(name)]
  if missing:
    raise ConversionError('%d names have no image in %s, such as %s.' % (
        len(missing), image_dir, missing[0]))
  return [Pair(image_folders.stem(folders.image(name)), folders.image(name),
               folders.label(name)) for name in names]


def _known_name(line, folders):
  """The name in a line of a list, which may have a second column."""
  # Names may have blanks, though.
  return line if folders.image(line) else line.split()[0]


def _build(pair, reading, class_ids):
  """image_record_writer.Outcome of an image with its label map."""
  def left_out(reason):
    return image_record_writer.Outcome(None, pair.name, reason, {})
  try:
    numbers = label_images.read(pair.label) if pair.label else None
    with tf.gfile.Open(pair.image, 'rb') as f:
      encoded = image_files.check_image(
          f.read(), None if numbers is None else numbers.shape, reading.exif)
    if numbers is None:
      return left_out('it has no label map')
    classes = label_images.as_classes(numbers, reading.values)
  except (image_files.ImageError, label_images.LabelError, OSError,
          tf.errors.OpError) as e:
    return left_out(str(e))
  classes = orientations.turn(classes, encoded.turn)
  if classes.shape != (encoded.height, encoded.width):
    return left_out('the label map has another size than the image')
  ids, counts = np.unique(classes, return_counts=True)
  counts = dict(zip(ids.tolist(), counts.tolist()))
  measures = label_notes.measures(counts, reading.ignore_label)
  counts.pop(reading.ignore_label, None)
  unknown = set(counts) - class_ids if class_ids else ()
  if unknown:
    return left_out('class %d is not in the label map' % min(unknown))
  return image_record_writer.Outcome(
      _example(pair, encoded, classes).SerializeToString(deterministic=True),
      pair.name, None, counts, encoded.notes,
      hashlib.sha256(encoded.encoded).digest(), measures)


def _example(pair, encoded, classes):
  """The record of an image; the keys are public."""
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
  names = [line for line in text_files.read_lines(path, tf.gfile.Open) if line]
  if not names:
    raise ConversionError('%s is empty.' % path)
  return names


def _read_values(text):
  """{value: class} of a text such as `255:1,128:2`."""
  try:
    pairs = [[int(number) for number in pair.split(':')]
             for pair in text.split(',')] if text else []
    values = {value: class_id for value, class_id in pairs}
  except ValueError:
    raise ConversionError('--values=%s is not of the form `value:class`, such '
                          'as 255:1.' % text)
  if any(not 0 <= n <= 255 for pair in values.items() for n in pair):
    raise ConversionError('--values=%s: values and classes are 0 to 255.'
                          % text)
  return values


def main() -> None:
  parser = argparse.ArgumentParser(
      description='Converts images and label maps, a file each.')
  parser.add_argument('--image_dir', required=True,
                      help='folder of the images')
  parser.add_argument('--label_dir', required=True,
                      help='folder of the label maps: PNG files whose values '
                           'are the classes')
  parser.add_argument('--output', required=True,
                      help='what the paths of all written files begin with, '
                           'such as records/train')
  parser.add_argument('--list', help='file with the names of the images to '
                      'use, one a line; default: all with a label map')
  parser.add_argument('--label_map', help='file of rows `id:name`, from 0 on')
  parser.add_argument('--ignore_label', type=int,
                      default=_DEFAULT_IGNORE_LABEL,
                      help='class of pixels that have none; default: '
                      '%(default)d')
  parser.add_argument('--values', default='',
                      help='classes for values that are not class ids '
                           'themselves, such as 255:1 for masks of 0 and 255')
  parser.add_argument(
      '--exif', choices=orientations.CHOICES, default=orientations.UPRIGHT,
      help='what label maps refer to where a camera turned the image and their '
           'size does not decide: the upright image (the default), the image '
           'as it is stored, or nothing is turned (ignore)')
  parser.add_argument('--num_shards', type=numbers.whole(),
                      help='default: 32; fewer for small sets, so that each '
                      'holds 16 images; one for 1,000 images of large ones')
  parser.add_argument('--num_processes', type=numbers.whole(),
                      help='default: one per core')
  parser.add_argument('--overwrite', action='store_true',
                      help='replace shards of another program')
  written_order.add_arguments(parser)
  args = parser.parse_args()
  try:
    convert(
        args.image_dir, args.label_dir, args.output,
        _read_names(args.list) if args.list else None,
        label_maps.read_label_map(args.label_map) if args.label_map else None,
        Reading(args.ignore_label, _read_values(args.values), args.exif),
        args.num_shards, args.num_processes, args.overwrite,
        written_order.seed_of(args))
  except (ValueError, OSError, tf.errors.OpError) as e:
    raise SystemExit('Error: %s' % reasons.of(e))


if __name__ == '__main__':
  main()
