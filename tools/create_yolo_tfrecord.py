"""Converts a YOLO data set to TFRecords.

  python -m tools.create_yolo_tfrecord --data=set/data.yaml --split=train \\
      --output=records/train
  python -m tools.create_yolo_tfrecord --images=set/images/train \\
      --classes=set/classes.txt --output=records/train

A text file in the folder `labels` where the image is in a folder `images`, or
next to the image, has a line for each object: `class x y width height`, the
center and size as fractions of the image, or `class x y x y ...`, a polygon.
Where data.yaml has `kpt_shape: [N, 2 or 3]`, or with --keypoints=N,2 or N,3,
the numbers after the box are keypoints, which are not used. An image without a
file, or with an empty one, has no object. Class 0 of YOLO becomes class 1, as 0
is the background here. Writes the same files as create_coco_tfrecord.
"""

import collections
import os
from typing import Any, Dict, List, Optional, Sequence, Tuple

from absl import flags
import yaml

from dataloader import file_patterns
from ops import tensorflow_later as tf
from tools.datasets import coco_record_writer
from tools.datasets import conversion_flags
from tools.datasets import image_names
from tools.datasets import source_set
from tools.datasets import yolo_labels
from tools.datasets import yolo_poses
from utils import text_files
from utils import types
from utils import values as values_lib

ConversionError = source_set.ConversionError
_LARGEST_SHARE = 1.5  # beyond it, a coordinate is in pixels
_NAMED = 5  # classes in a message


def convert(images: Sequence[Tuple[str, str]], names: Sequence[str],
            prefix: str, options: coco_record_writer.Options,
            label_map: Optional[types.LabelMap] = None,
            labels: Optional[str] = None, source: str = '',
            keypoints: Optional[Tuple[int, int]] = None) -> Dict[str, Any]:
  """Converts one split.

  Args:
    images: [(folder, path of an image within it)].
    names: [str], of the classes from 0 on.
    prefix: the prefix of the written files.
    options: coco_record_writer.Options.
    label_map: {id: name} or None.
    labels: folder of the label files; None: where YOLO looks for them.
    source: the folder, list or data.yaml of the images, for messages.
    keypoints: (number of an object, numbers of each), which follow a box and
      are not used; None: not known, so that what looks like it is an error.

  Returns:
    The index; see coco_record_writer.write_dataset.

  Raises:
    ConversionError: naming the file and line that cannot be used.
  """
  repeated = sorted({n for n in names if names.count(n) > 1})
  if repeated:
    raise ConversionError('The class name %r occurs twice in the list of '
                          'classes.' % repeated[0])
  found = source_set.SourceSet()
  found.set_classes(names)
  paths, owners, folders = {}, {}, {}
  for folder, name in images:
    path = os.path.join(folder, name)
    if name in paths:
      raise ConversionError('Two images have the name %s: %s and %s.' % (
          name, paths[name], path))
    paths[name] = path
  places = {name: yolo_labels.find(path, name, labels)
            for name, path in paths.items()}
  found_labels = [place for place, exists in places.values() if exists]
  without = len(images) - len(found_labels)
  if not found_labels:
    yolo_labels.check_background(paths, places, source, labels)
  if keypoints is None:
    yolo_poses.check_none(found_labels)
  for name, (label, exists) in places.items():
    path = paths[name]
    folders.setdefault(os.path.dirname(label), set()).add(
        os.path.dirname(path))
    size = source_set.image_size(path, options.exif)
    found.add_image(name, name, size)
    if owners.setdefault(label, name) != name:
      found.notes.append('The images %s and %s have the same label file, %s. '
                         'Which of them is meant?' % (
                             owners[label], name, label))
    if exists:
      _add_objects(found, name, label, names, size or (1, 1), keypoints)
  if without:
    found.notes.append('%d images have no label file: they are taken as images '
                       'without objects.'
                       % without)
  found.notes.extend(_unused(owners, folders))
  return coco_record_writer.write_dataset(
      found.dataset(), prefix, lambda image: _load(paths[image['file_name']]),
      options, label_map)


def _unused(labels, folders):
  """[note] about label files for which there is no image.

  Args:
    labels: {path of a label file that an image may have}.
    folders: {folder of label files: {folder of the images}}. Images in them
      that are not converted are in another split, with their labels.
  """
  unused = []
  for folder in sorted(folders):
    stems = {os.path.splitext(name)[0]
             for place in folders[folder] if tf.gfile.IsDirectory(place)
             for name in tf.gfile.ListDirectory(place)
             if not name.lower().endswith('.txt')}
    unused += [os.path.join(folder, name)
               for name in file_patterns.names_in(folder, '.txt')
               if os.path.join(folder, name) not in labels
               and name not in yolo_labels.NO_LABELS
               and os.path.splitext(name)[0] not in stems]
  if not unused:
    return []
  return ['%d label file(s) without an image, such as %s.' % (
      len(unused), unused[0])]


def _load(path):
  with tf.gfile.Open(path, 'rb') as f:
    return f.read()


def classes_of(image: str) -> 'collections.Counter[str]':
  """Counter of the class numbers in the label file of an image.

  Args:
    image: the path of the image.
  """
  path, exists = yolo_labels.find(image)
  if not exists:
    return collections.Counter()
  return collections.Counter(
      line.split()[0] for line in text_files.read_lines(path, tf.gfile.Open)
      if line)


def _add_objects(found, image_id, path, names, size, keypoints):
  """Adds the objects of a label file."""
  extra = keypoints[0] * keypoints[1] if keypoints else 0
  for line_number, line in enumerate(
      text_files.read_lines(path, tf.gfile.Open), 1):
    if not line:
      continue
    where = '%s, line %d' % (path, line_number)
    if ',' in line:
      raise ConversionError('%s has commas: %.60r. YOLO separates numbers by '
                            'spaces.' % (where, line))
    values = [source_set.number(text, where) for text in line.split()]
    name = _class_name(values[0], names, where)
    shares = values[1:]
    if extra:
      if len(shares) not in (4, 4 + extra):
        raise ConversionError(
            '%s has %d numbers; with %d keypoints of %d numbers it needs %d '
            '(kpt_shape, --keypoints).' % (
                where, len(values), keypoints[0], keypoints[1], 5 + extra))
      shares = shares[:4]
    _check_shares(shares, where)
    height, width = size
    if len(shares) == 4:
      x, y, w, h = shares
      x0, y0, x1, y1 = map(source_set.within, (
          x - w / 2, y - h / 2, x + w / 2, y + h / 2))
      found.add_object(image_id, name, source_set.corners_to_box(
          x0 * width, y0 * height, x1 * width, y1 * height))
    else:
      found.add_object(image_id, name, segmentation=[[
          source_set.within(share) * (height if i % 2 else width)
          for i, share in enumerate(shares)]])


def _class_name(index, names, where):
  """Name of the class with an index from 0 on."""
  if index != int(index) or not 0 <= index < len(names):
    raise ConversionError(
        '%s: the class is %g, but the list of classes has %d name(s): 0 to %d, '
        'as YOLO counts from 0. Complete the list (%s), or correct the label '
        'files.' % (where, index, len(names), len(names) - 1,
                    ', '.join(names[:_NAMED] + ['...'] * (
                        len(names) > _NAMED))))
  return names[int(index)]


def _check_shares(shares, where):
  """Raises ConversionError for what is neither a box nor a polygon."""
  if len(shares) == 5:
    raise ConversionError(
        '%s has 6 numbers. Is the last one the score of a detection? A label '
        'has 5, or a class and the x, y of 3 points or more.' % where)
  if len(shares) != 4 and (len(shares) < 6 or len(shares) % 2):
    raise ConversionError(
        '%s has %d numbers; it needs 5 (class, center x and y, width, height), '
        'or a class and the x, y of 3 points or more.' % (
            where, len(shares) + 1))
  if max(map(abs, shares)) > _LARGEST_SHARE:
    raise ConversionError(
        '%s has the coordinate %g. Coordinates are fractions of the image, 0 '
        'to 1, not pixels%s.' % (
            where, max(shares, key=abs),
            '; for keypoints, data.yaml needs kpt_shape (--keypoints)'
            if len(shares) > 4 and max(shares) == 2 else ''))


def read_data_file(
    path: str, split: Optional[str],
    content: Optional[Dict[Any, Any]] = None
) -> Tuple[List[Tuple[str, str]], List[str]]:
  """What a data.yaml says.

  Args:
    path: the path of the file.
    split: key of the images, such as train.
    content: result of `read_yaml`; None: it is read.

  Returns:
    [(folder, path within it)], [class name].

  Raises:
    ConversionError: naming the file and the key.
  """
  content = read_yaml(path) if content is None else content
  if not content.get(split):
    raise ConversionError(
        '%s has no key %r with the folder of the images; it has %s.' % (
            path, split, ', '.join(map(str, content)) or 'no key'))
  entries = content[split]
  entries = entries if isinstance(entries, list) else [entries]
  images = []
  for entry in entries:
    if not isinstance(entry, str):
      raise ConversionError('%s: %s: %.80r is not a path.' % (
          path, split, entry))
    images.extend(_images_of(_find(path, content.get('path'), entry, split)))
  return _of_folders(images), _names(content, path)


def _of_folders(images):
  """Images of several folders, each once, with names that differ.

  Args:
    images: [(folder, path within it)].

  Returns:
    The same; where two have one name, it gets as many folders as all share.
  """
  paths = collections.OrderedDict()
  for folder, name in images:
    folder = folder if '://' in folder else os.path.normpath(folder)
    paths.setdefault(os.path.normpath(os.path.join(folder, name)),
                     (folder, name))
  if len(paths) < len(images):
    print('%d images are in several of the folders; each is used once.' % (
        len(images) - len(paths)))
  images = list(paths.values())
  if len({name for _, name in images}) == len(images):
    return images
  folders = [folder.split('/') for folder, _ in images]
  shared = os.path.commonprefix(folders)
  return [('/'.join(shared), '/'.join(parts[len(shared):] + [name]))
          for parts, (_, name) in zip(folders, images)]


def read_yaml(path: str) -> Dict[Any, Any]:
  """The mapping in a data.yaml; empty where it is none.

  Args:
    path: the path of the file.

  Raises:
    ConversionError: if it is not YAML.
  """
  try:
    content = yaml.safe_load(text_files.read(path, tf.gfile.Open))
  except yaml.YAMLError as e:
    raise ConversionError('%s is not YAML: %s' % (path, e))
  return content if isinstance(content, dict) else {}


def _find(path, root, entry, split):
  """The folder or list that an entry of data.yaml means."""
  here = os.path.dirname(path)
  root, entry = [str(text or '').replace('\\', '/') for text in (root, entry)]
  candidates = [os.path.join(here, root, entry),
                os.path.join(root, entry),
                os.path.join(here, entry)]
  # Exporters write ../train/images for a folder next to data.yaml.
  candidates.append(os.path.join(here, entry.replace('../', '', 1)))
  for candidate in candidates:
    if tf.gfile.Exists(candidate):
      return candidate
  # The path of another computer: as much of its end as there is here. Of
  # `images` alone it is not clear which.
  parts = list(filter(None, entry.split('/')))
  for first in range(1, len(parts)):
    candidate = os.path.join(here, *parts[first:])
    if parts[first:] != ['images'] and '..' not in parts[first:] and (
        tf.gfile.Exists(candidate)):
      print('%s: %s: there is no %s; %s is used.' % (
          path, split, entry, candidate))
      return candidate
  raise ConversionError('%s: %s: there is no %s.' % (
      path, split, ', nor '.join(dict.fromkeys(candidates))))


def _images_of(path):
  """[(folder, path within it)] of a folder, or of a list of paths."""
  if tf.gfile.IsDirectory(path):
    names, notes = source_set.walk_images(path, labels=('.txt',))
    for note in notes:
      print(note)
    return [(path, name) for name in names]
  here = os.path.dirname(path)
  lines = [line for line in text_files.read_lines(path, tf.gfile.Open) if line]
  files, notes = image_names.meant_once(here, lines)
  if lines and not any(tf.gfile.Exists(os.path.join(here, files[line]))
                       for line in lines):
    raise ConversionError(
        'None of the %d images in the list %s is there, such as %s. Paths in '
        'it are within the folder of the list, or absolute.' % (
            len(lines), path, lines[0]))
  names = list(dict.fromkeys(os.path.normpath(files[line]) for line in lines))
  if len(names) < len(lines):
    notes.append('%d lines of %s repeat an image; each is used once.' % (
        len(lines) - len(names), path))
  for note in notes:
    print(note)
  if names and all(map(os.path.isabs, names)):
    # The ids of the images should not contain folders of this computer.
    here = os.path.commonpath([os.path.dirname(name) for name in names])
    names = [os.path.relpath(name, here) for name in names]
  return [(here, name) for name in names]


def _names(content, path):
  """Class names of data.yaml: a list, or {index: name}."""
  names = content.get('names')
  if isinstance(names, dict):
    by_index = {values_lib.canonical_id(key): n for key, n in names.items()}
    if set(by_index) != set(range(len(names))):
      raise ConversionError('%s: names: the indices are %s; they have to be 0 '
                            'to %d.' % (path, values_lib.shown(list(names)),
                                        len(names) - 1))
    names = [by_index[i] for i in range(len(names))]
  if not isinstance(names, list) or not names:
    raise ConversionError('%s has no list `names` of the classes.' % path)
  for i, name in enumerate(names):
    if isinstance(name, bool) or not isinstance(
        name, (str, int, float)) or not str(name).strip():
      raise ConversionError(
          '%s: names: the name of class %d is read as %r, which is not text. '
          'Put it in quotation marks.' % (path, i, name))
  if content.get('nc') is not None and values_lib.canonical_id(
      content['nc']) != len(names):
    raise ConversionError(
        '%s: nc is %r, but `names` has %d classes. Correct one of them.' % (
            path, content['nc'], len(names)))
  return [str(name).strip() for name in names]


def _is_yaml(path):
  return path.lower().endswith(('.yaml', '.yml'))


def read_classes(
    path: str, content: Optional[Dict[Any, Any]] = None) -> List[str]:
  """[class name] of a file with one a line, or of a data.yaml.

  Args:
    path: the path of the file.
    content: result of `read_yaml`; None: it is read.

  Raises:
    ConversionError: naming the file and what is wrong in it.
  """
  if _is_yaml(path):
    return _names(read_yaml(path) if content is None else content, path)
  names = '\n'.join(text_files.read_lines(path, tf.gfile.Open)).rstrip('\n')
  if not names:
    raise ConversionError('%s names no class.' % path)
  names = names.split('\n')
  if '' in names:
    raise ConversionError('%s, line %d: the name of class %d is empty.' % (
        path, names.index('') + 1, names.index('')))
  return names


def read_keypoints(
    path: str, content: Optional[Dict[Any, Any]] = None
) -> Optional[Tuple[int, int]]:
  """(number of keypoints of an object, numbers of each) of a data.yaml.

  Args:
    path: the path of a data.yaml or of a list of classes.
    content: result of `read_yaml`; None: it is read.

  Returns:
    Two ints, or None where the file does not say it.

  Raises:
    ConversionError: if `kpt_shape` is not of this form.
  """
  if not _is_yaml(path):
    return None
  shape = (read_yaml(path) if content is None else content).get('kpt_shape')
  return None if shape is None else _keypoints(
      shape, '%s: kpt_shape' % path)


def _keypoints(shape, where):
  """Two ints; raises ConversionError for anything else."""
  numbers = [values_lib.canonical_id(n) for n in shape] if isinstance(
      shape, list) else []
  if len(numbers) != 2 or not isinstance(
      numbers[0], int) or numbers[0] < 0 or numbers[1] not in (2, 3):
    raise ConversionError(
        '%s is %r; it has to be the number of keypoints of an object and the '
        'numbers of each, 2 or 3, such as 17 and 3.' % (where, shape))
  return numbers[0], numbers[1]


def define_flags(values: flags.FlagValues) -> None:
  """Defines the flags in flags.FlagValues."""
  for name, meaning in (
      ('data', 'YAML file with the folders of the images and the names of the '
       'classes (data.yaml).'),
      ('images', 'Folder of the images, or a list of them, instead of '
       '--data.'),
      ('labels', 'Folder of the label files. Default: `labels` next to '
       '`images`, or the folder of the images.'),
      ('classes', 'File with the name of a class in each line, or a '
       'data.yaml, for --images.'),
      ('keypoints', 'N,2 or N,3: that boxes are followed by N keypoints of 2 '
       'or 3 numbers; 0,2: that there are none. Default: kpt_shape of '
       'data.yaml.')):
    flags.DEFINE_string(name, None, meaning, flag_values=values)
  flags.DEFINE_string('split', 'train', 'Key of the images in --data.',
                      flag_values=values)
  conversion_flags.define(values)


def main(values: flags.FlagValues) -> None:
  """Converts as the flags say."""
  if not values.output or bool(values.data) == bool(values.images):
    raise ConversionError('Give --data=data.yaml, or --images=FOLDER and '
                          '--classes=FILE; and --output=PREFIX.')
  # Of thousands of names, it takes seconds to parse.
  contents = {path: read_yaml(path) for path in {values.data, values.classes}
              if path and (path == values.data or _is_yaml(path))}
  if values.data:
    images, names = read_data_file(values.data, values.split,
                                   contents[values.data])
  else:
    images = _images_of(values.images)
  if values.classes:
    names = read_classes(values.classes, contents.get(values.classes))
  elif not values.data:
    raise ConversionError('Give --classes=FILE with the name of a class in '
                          'each line.')
  if values.keypoints:
    keypoints = _keypoints(values.keypoints.split(','), '--keypoints')
  else:
    path = values.data or values.classes
    keypoints = read_keypoints(path, contents.get(path))
  convert(images, names, values.output, conversion_flags.options(values),
          conversion_flags.label_map(values), values.labels,
          values.data or values.images, keypoints)


if __name__ == '__main__':
  conversion_flags.run(define_flags, main)
