"""Converts ImageNet, or any folders of images by class, to TFRecords.

  python -m tools.create_imagenet_tfrecord --raw_data_dir=imagenet \\
      --output=records

reads
  imagenet/train/n01440764/*.JPEG ...        a folder for each class
  imagenet/validation/n01440764/*.JPEG ...   the same; or, as ImageNet comes,
  imagenet/validation/*.JPEG                 all in one folder, and
  imagenet/synset_labels.txt                 the class of each validation
                                             image, one on each line, in the
                                             order of the names
and writes records/train/train-00000-of-01024 ...,
records/validation/validation-00000-of-00128 ..., an index for each set of what
was written and what was left out and why, and records/label_map.csv.
Classes are numbered from 1 in the order of their names; images in folders
within a class folder are of that class. Without a folder validation, there is
only the training set. --train and --validation name other folders of class
folders, or lists of images (tools.split_data writes some) whose folders are
their classes; with --class_root=FOLDER, the first folders below that one are.
What is not a JPEG becomes one, and images are turned as their EXIF orientation
says.
"""

import argparse
import collections
import functools
import hashlib
import os
from typing import Dict, Mapping, NamedTuple, Optional

from ops import tensorflow_later as tf
from tools.common import numbers
from tools.common import reasons
from tools.datasets import annotation_checks
from tools.datasets import image_files
from tools.datasets import image_folders
from tools.datasets import image_record_writer
from tools.datasets import source_set
from tools.datasets import written_order
from utils import label_map as label_maps
from utils import orientation as orientations
from utils import text_files

ConversionError = annotation_checks.ConversionError
SHARDS = {'train': 1024, 'validation': 128}


class SourceImage(NamedTuple):
  """An image of the set.

  Attributes:
    path: path of the image.
    name: its path within the set, which is its id.
    synset: name of its class.
    label: its number.
  """
  path: str
  name: str
  synset: str
  label: int


def convert(
    raw_data_dir: Optional[str], output: str,
    num_shards: Optional[Mapping[str, int]] = None,
    num_processes: Optional[int] = None, overwrite: bool = False,
    exif: str = orientations.UPRIGHT,
    shuffle_seed: Optional[int] = written_order.DEFAULT_SEED,
    places: Optional[Mapping[str, str]] = None,
    class_root: Optional[str] = None) -> Dict[str, int]:
  """Converts both sets; prints what was left out and why.

  Args:
    raw_data_dir: folder with train and, if there is one, validation.
    output: folder of the records.
    num_shards: {'train': int, 'validation': int}; None: SHARDS.
    num_processes: int; None: one per core.
    overwrite: whether to replace shards of another program.
    exif: orientation.IGNORE keeps images as they are stored.
    shuffle_seed: seed of the order of the records; None: that of the
      names.
    places: {'train': path, 'validation': path} of folders or lists instead of
      `raw_data_dir`.
    class_root: folder of the class folders of the images in lists; None: the
      folder of an image is its class.

  Returns:
    {'train': number of records, 'validation': ...}.

  Raises:
    ConversionError: if files are missing, or no image can be used.
  """
  num_shards = num_shards or SHARDS
  if places:
    sets, labels = _placed_sets(places, class_root)
  else:
    sets, labels = _usual_sets(raw_data_dir)
  names = {i: synset for synset, i in labels.items()}
  counts = {}
  for name, images in sets.items():
    prefix = os.path.join(output, name, name)
    shards = ['%s-%05d-of-%05d' % (prefix, i, num_shards[name])
              for i in range(num_shards[name])]
    index = image_record_writer.write(
        prefix, shards, images, functools.partial(_build, exif=exif), {},
        extension='', overwrite=overwrite, num_processes=num_processes,
        shuffle_seed=shuffle_seed)
    print('%s: %s' % (name, image_record_writer.report(index, names, 'images')))
    counts[name] = index['num_records']
  label_maps.write_label_map(os.path.join(output, 'label_map.csv'), names)
  print('Set architecture.num_classes: %d (classes are 1 to %d; 0 is not used).'
        % (len(names) + 1, len(names)))
  if len(names) == 1:
    print('There is only one class, %r: a classifier has nothing to '
          'distinguish. Is %s the folder that has a folder for each class?' % (
              names[1], places['train'] if places else os.path.join(
                  raw_data_dir or '', 'train')))
  return counts


def _usual_sets(raw_data_dir):
  """{set: [SourceImage]}, {synset: label} of the folders train, validation."""
  labels = _labels(_synsets(os.path.join(raw_data_dir, 'train')))
  sets = collections.OrderedDict(
      train=_by_class(os.path.join(raw_data_dir, 'train'), labels))
  if os.path.isdir(os.path.join(raw_data_dir, 'validation')):
    sets['validation'] = _validation_images(raw_data_dir, labels)
  return sets, labels


def _placed_sets(places, class_root):
  """The same of folders or lists, {set: path}."""
  images = {name: _listed(path, class_root) for name, path in places.items()
            if not os.path.isdir(path)}
  synsets = (sorted({synset for _, synset, _ in images['train']})
             if 'train' in images else _synsets(places['train']))
  labels = _labels(synsets)
  sets = collections.OrderedDict()
  for name, path in places.items():
    if name in images:
      _check_known({synset for _, synset, _ in images[name]}, labels, path)
      sets[name] = [SourceImage(image, '%s/%s' % (synset, inside), synset,
                                labels[synset])
                    for image, synset, inside in images[name]]
    else:
      sets[name] = _by_class(path, labels)
  return sets, labels


def _labels(synsets):
  return {synset: i + 1 for i, synset in enumerate(synsets)}


def _listed(path, class_root):
  """[(path of an image, its class, its path within that)] of a list."""
  here = os.path.dirname(path)
  images = [os.path.normpath(os.path.join(here, line))
            for line in text_files.read_lines(path) if line]
  found, others = [], []
  for image in images:
    if class_root:
      parts = os.path.relpath(image, class_root).split(os.sep)
    else:
      parts = image.split(os.sep)[-2:]
    if len(parts) < 2 or parts[0] == os.pardir:
      others.append(image)
    else:
      found.append((image, parts[0], '/'.join(parts[1:])))
  _note_without_class(others, class_root)
  if not found:
    raise ConversionError('%s names no image%s.' % (
        path, ' in a folder of %s' % class_root if others else ''))
  return found


def _note_without_class(images, folder):
  if images:
    print('%d images are not used, since they are in no class folder of %s, '
          'such as %s.' % (len(images), folder, os.path.basename(images[0])))


def _folders(folder):
  """Sorted names of the folders in a folder."""
  return sorted(name for name in os.listdir(folder)
                if os.path.isdir(os.path.join(folder, name))
                and not name.startswith('.'))


def _synsets(folder):
  """Sorted names of the class folders."""
  if not os.path.isdir(folder):
    raise ConversionError('There is no folder %s with a folder for each class.'
                          % folder)
  names = _folders(folder)
  if not names:
    raise ConversionError('%s has no folders, which would be the classes.'
                          % folder)
  return names


def _images_in(folder):
  """Sorted names of the images in a folder; says what is passed over."""
  names, notes = image_folders.listed(folder)
  for note in notes:
    print(note)
  return names


def _by_class(folder, labels):
  """[SourceImage] of a set with a folder for each class."""
  synsets = _folders(folder)
  _check_known(synsets, labels, folder)
  _note_without_class(_images_in(folder), folder)
  images = []
  for synset in synsets:
    inside, notes = source_set.walk_images(os.path.join(folder, synset))
    for note in notes:
      print(note)
    images.extend(SourceImage(os.path.join(folder, synset, image),
                              '%s/%s' % (synset, image), synset, labels[synset])
                  for image in inside)
  if not images:
    raise ConversionError('There is no image (%s) below %s.' % (
        ', '.join(image_folders.EXTENSIONS), folder))
  return images


def _check_known(synsets, labels, source):
  unknown = sorted(set(synsets) - set(labels))
  if unknown:
    raise ConversionError('%s has classes without a folder in train, such as '
                          '%s.' % (source, unknown[0]))


def _validation_images(raw_data_dir, labels):
  """[SourceImage] of the set in class folders, or in one with a label file."""
  folder = os.path.join(raw_data_dir, 'validation')
  names = _images_in(folder)
  if not names:
    return _by_class(folder, labels)
  label_path = os.path.join(raw_data_dir, 'synset_labels.txt')
  if not os.path.exists(label_path):
    raise ConversionError(
        'There is no %s: the class of each image in %s, one a line. Or sort '
        'the images into a folder for each class.' % (label_path, folder))
  synsets = [line for line in text_files.read_lines(label_path) if line]
  if len(synsets) != len(names):
    raise ConversionError('%s has %d lines for %d validation images.'
                          % (label_path, len(synsets), len(names)))
  _check_known(synsets, labels, label_path)
  return [SourceImage(os.path.join(folder, n), n, s, labels[s])
          for n, s in zip(names, synsets)]


def _build(image, exif):
  """image_record_writer.Outcome of an image."""
  try:
    with open(image.path, 'rb') as f:
      # Readers of ImageNet expect JPEG of three channels.
      encoded = image_files.check_image(f.read(), exif=exif, as_jpeg=True)
  except (image_files.ImageError, OSError) as e:
    return image_record_writer.Outcome(None, image.name, str(e), {})
  return image_record_writer.Outcome(
      _example(image, encoded).SerializeToString(deterministic=True),
      image.name, None, {image.label: 1}, encoded.notes,
      hashlib.sha256(encoded.encoded).digest())


def _example(image, encoded):
  """The record of an image; the keys are public."""
  return tf.train.Example(features=tf.train.Features(feature={
      'image/height': _int(encoded.height), 'image/width': _int(encoded.width),
      'image/channels': _int(3), 'image/colorspace': _bytes(b'RGB'),
      'image/class/label': _int(image.label),
      'image/class/synset': _bytes(image.synset.encode('utf-8')),
      'image/format': _bytes(b'JPEG'),
      'image/filename': _bytes(os.path.basename(image.path).encode('utf-8')),
      'image/source_id': _bytes(image.name.encode('utf-8')),
      'image/encoded': _bytes(encoded.encoded)}))


def _int(value):
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _bytes(value):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def main() -> None:
  parser = argparse.ArgumentParser(
      description='Converts ImageNet, or any folders of images by class.')
  parser.add_argument('--raw_data_dir', help='folder with train/ and '
                      'validation/')
  for name in SHARDS:
    parser.add_argument('--' + name, metavar='PATH', help='folder of class '
                        'folders, or list of images, instead of that in '
                        '--raw_data_dir')
  parser.add_argument('--class_root', metavar='FOLDER', help='of images in '
                      'lists: the class is the first folder below this one '
                      '(default: the folder of the image)')
  parser.add_argument('--output', '--local_scratch_dir', required=True,
                      help='folder of the records')
  parser.add_argument('--num_processes', type=numbers.whole(),
                      help='default: one per core')
  parser.add_argument('--overwrite', action='store_true',
                      help='replace shards of another program')
  parser.add_argument(
      '--exif', choices=(orientations.UPRIGHT, orientations.IGNORE),
      default=orientations.UPRIGHT,
      help='images are turned as the EXIF orientation says (the default), or '
           'kept as they are stored')
  written_order.add_arguments(parser)
  for name, count in sorted(SHARDS.items()):
    parser.add_argument('--num_%s_shards' % name, type=numbers.whole(),
                        default=count,
                        help='default: %(default)d')
  args = parser.parse_args()
  places = collections.OrderedDict(
      (name, getattr(args, name)) for name in SHARDS if getattr(args, name))
  if bool(args.raw_data_dir) == bool(args.train) or places and not args.train:
    parser.error('Give --raw_data_dir, or --train and --validation.')
  try:
    convert(args.raw_data_dir, args.output,
            {'train': args.num_train_shards,
             'validation': args.num_validation_shards}, args.num_processes,
            args.overwrite, args.exif, written_order.seed_of(args), places,
            args.class_root)
  except (ValueError, OSError, tf.errors.OpError) as e:
    raise SystemExit('Error: %s' % reasons.of(e))


if __name__ == '__main__':
  main()
