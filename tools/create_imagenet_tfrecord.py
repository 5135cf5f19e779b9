"""Converts ImageNet, or any folder of pictures by class, to TFRecords.

  python -m tools.create_imagenet_tfrecord --raw_data_dir=imagenet \\
      --output=records

reads
  imagenet/train/n01440764/*.JPEG ...   a folder for each class
  imagenet/validation/*.JPEG            all in one folder
  imagenet/synset_labels.txt            the class of each validation picture,
                                        a line each, in the order of the names
and writes records/train/train-00000-of-01024 ...,
records/validation/validation-00000-of-00128 ... and records/label_map.csv.
Classes are numbered from 1 in the order of their names.
"""

import argparse
import collections
import io
import os
import random

from PIL import Image
import tensorflow.compat.v1 as tf
import tqdm

from tools import staged_files
from utils import files
from utils import label_map as label_maps

SHARDS = {'train': 1024, 'validation': 128}
_EXTENSIONS = ('.jpeg', '.jpg', '.png')
_JPEG_QUALITY = 100  # of the few pictures that are encoded again

# path: of the picture. synset: name of its class. label: its number.
Picture = collections.namedtuple('Picture', 'path synset label')


def convert(raw_data_dir, output, num_shards=None, num_processes=None):
  """Converts both sets.

  Args:
    raw_data_dir: folder with train, validation and synset_labels.txt.
    output: folder of the records.
    num_shards: {'train': int, 'validation': int}; None: SHARDS.
    num_processes: int; None: one per core.

  Returns:
    {'train': number of records, 'validation': ...}.

  Raises:
    ValueError: if files are missing or a picture cannot be read; names it.
  """
  num_shards = num_shards or SHARDS
  synsets = _synsets(os.path.join(raw_data_dir, 'train'))
  labels = {synset: i + 1 for i, synset in enumerate(synsets)}
  sets = {'train': _train_pictures(raw_data_dir, labels),
          'validation': _validation_pictures(raw_data_dir, labels)}
  counts = {}
  for name, pictures in sets.items():
    _write_set(os.path.join(output, name), name, pictures, num_shards[name],
               num_processes)
    counts[name] = len(pictures)
  label_maps.write_label_map(os.path.join(output, 'label_map.csv'),
                             {i: synset for synset, i in labels.items()})
  return counts


def _synsets(folder):
  """Sorted names of the class folders."""
  if not os.path.isdir(folder):
    raise ValueError('There is no folder %s with a folder for each class.'
                     % folder)
  names = sorted(name for name in os.listdir(folder)
                 if os.path.isdir(os.path.join(folder, name)))
  if not names:
    raise ValueError('%s has no folders, which would be the classes.' % folder)
  return names


def _pictures_in(folder):
  """Sorted paths of the pictures in a folder."""
  if not os.path.isdir(folder):
    raise ValueError('There is no folder %s.' % folder)
  return [os.path.join(folder, name) for name in sorted(os.listdir(folder))
          if name.lower().endswith(_EXTENSIONS)]


def _train_pictures(raw_data_dir, labels):
  pictures = [Picture(path, synset, label) for synset, label in labels.items()
              for path in _pictures_in(
                  os.path.join(raw_data_dir, 'train', synset))]
  if not pictures:
    raise ValueError('There is no picture below %s.'
                     % os.path.join(raw_data_dir, 'train'))
  # A shard should hold many classes. The seed is upstream's.
  random.Random(0).shuffle(pictures)
  return pictures


def _validation_pictures(raw_data_dir, labels):
  paths = _pictures_in(os.path.join(raw_data_dir, 'validation'))
  label_path = os.path.join(raw_data_dir, 'synset_labels.txt')
  if not os.path.exists(label_path):
    raise ValueError('There is no %s: the class of each validation picture, '
                     'one a line.' % label_path)
  with open(label_path) as f:
    synsets = f.read().split()
  if len(synsets) != len(paths):
    raise ValueError('%s has %d lines for %d validation pictures.'
                     % (label_path, len(synsets), len(paths)))
  unknown = sorted(set(synsets) - set(labels))
  if unknown:
    raise ValueError('%s has classes without a folder in train, such as %s.'
                     % (label_path, unknown[0]))
  return [Picture(p, s, labels[s]) for p, s in zip(paths, synsets)]


def _write_set(folder, name, pictures, num_shards, num_processes):
  """Writes the shards of a set, each a run of the pictures."""
  os.makedirs(folder, exist_ok=True)
  length = -(-len(pictures) // num_shards)
  shards = [(os.path.join(folder, '%s-%05d-of-%05d' % (name, i, num_shards)),
             pictures[i * length:(i + 1) * length]) for i in range(num_shards)]
  with tqdm.tqdm(total=len(pictures), desc=name, unit='image') as progress:
    for count in staged_files.map_in_processes(_write_shard, shards,
                                               num_processes):
      progress.update(count)


def _write_shard(shard):
  """Writes one shard; it appears when it is complete."""
  path, pictures = shard
  with files.atomic_path(path) as temporary:
    with tf.io.TFRecordWriter(temporary) as writer:
      for picture in pictures:
        writer.write(_example(picture).SerializeToString(deterministic=True))
  return len(pictures)


def _example(picture):
  """The record of a picture; the keys are public."""
  with open(picture.path, 'rb') as f:
    content = f.read()
  try:
    image = Image.open(io.BytesIO(content))
    image.load()
  except Exception as e:  # pylint: disable=broad-except
    # Pillow raises many types for broken files.
    raise ValueError('%s cannot be read (%s).' % (picture.path, e))
  if image.format != 'JPEG' or image.mode == 'CMYK':
    # One PNG and 22 CMYK pictures of ImageNet; readers expect RGB JPEG.
    stream = io.BytesIO()
    image.convert('RGB').save(stream, 'JPEG', quality=_JPEG_QUALITY)
    content = stream.getvalue()
  width, height = image.size
  return tf.train.Example(features=tf.train.Features(feature={
      'image/height': _int(height), 'image/width': _int(width),
      'image/channels': _int(3), 'image/colorspace': _bytes(b'RGB'),
      'image/class/label': _int(picture.label),
      'image/class/synset': _bytes(picture.synset.encode('utf-8')),
      'image/format': _bytes(b'JPEG'),
      'image/filename': _bytes(os.path.basename(picture.path).encode('utf-8')),
      'image/encoded': _bytes(content)}))


def _int(value):
  return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _bytes(value):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def main():
  parser = argparse.ArgumentParser(
      description='Converts ImageNet, or any folder of pictures by class.')
  parser.add_argument('--raw_data_dir', required=True, help='folder with '
                      'train/, validation/ and synset_labels.txt')
  parser.add_argument('--output', '--local_scratch_dir', required=True,
                      help='folder of the records')
  parser.add_argument('--num_processes', type=int, help='default: one per core')
  for name, count in sorted(SHARDS.items()):
    parser.add_argument('--num_%s_shards' % name, type=int, default=count,
                        help='default: %(default)d')
  args = parser.parse_args()
  try:
    counts = convert(
        args.raw_data_dir, args.output,
        {'train': args.num_train_shards,
         'validation': args.num_validation_shards}, args.num_processes)
  except ValueError as e:
    raise SystemExit('Error: %s' % e)
  print('Wrote %d training and %d validation records to %s.' % (
      counts['train'], counts['validation'], args.output))


if __name__ == '__main__':
  main()
