"""Which labels of YOLO a folder holds, their images and classes."""

import os
from typing import Optional

import yaml

from dataloader import file_patterns
from tools.datasets import source_set
from tools.own_data import layouts
from utils import text_files

_CLASS_FILES = ('classes.txt', 'obj.names', 'labels/classes.txt',
                '_darknet.labels', 'labels.txt', 'names.txt')


class NoTrainingSetError(layouts.RecognitionError):
  """A data.yaml that names classes and no images to train on."""


class NotYamlError(layouts.RecognitionError):
  """A file with the ending of YAML that is not YAML."""


def of_file(path: str) -> layouts.Found:
  """Found of a data.yaml.

  Raises:
    RecognitionError: if it is none, or names no images to train on.
  """
  try:
    content = yaml.safe_load(text_files.read(path))
  except yaml.YAMLError as e:
    raise NotYamlError('%s is not YAML: %s' % (path, e))
  if not isinstance(content, dict) or 'names' not in content:
    raise layouts.RecognitionError(
        '%s is not a data.yaml of YOLO: it has no list `names`.' % path)
  splits, notes = {}, []
  for key in content:
    split = layouts.split_of(str(key))
    if split and content[key]:
      splits[split] = {'data': path, 'split': str(key)}
  if layouts.TRAIN not in splits:
    raise NoTrainingSetError(
        '%s has no key `train` with the folder of the images to train on.'
        % path)
  if layouts.VAL in splits and content[splits[layouts.VAL]['split']] == content[
      splits[layouts.TRAIN]['split']]:
    del splits[layouts.VAL]
    notes.append('%s: train and val are the same images.' % path)
  if layouts.VAL not in splits:
    splits[layouts.ALL] = splits.pop(layouts.TRAIN)
  return layouts.Found(layouts.YOLO, splits, notes)


def find(folder: str, images: Optional[str]) -> Optional[layouts.Found]:
  """What a folder holds, or None.

  Args:
    folder: path.
    images: not used: the labels say where images are.

  Raises:
    RecognitionError: if it holds labels that cannot be used.
  """
  del images
  classes = None
  for name in file_patterns.names_in(folder, ('.yaml', '.yml')):
    path = os.path.join(folder, name)
    try:
      return of_file(path)
    except NoTrainingSetError:
      classes = path  # of the folders images and labels next to it
    except NotYamlError:
      if any(line.startswith('names') for line in text_files.read_lines(path)):
        raise  # It is meant to be one, and says which images are which.
    except layouts.RecognitionError:
      continue
  pairs = _pairs(folder)
  if not pairs:
    return None
  classes = classes or _class_file(folder, pairs)
  if not classes:
    raise layouts.RecognitionError(
        '%s holds labels of YOLO, but no list of the classes: write their '
        'names into %s, one on each line, that of class 0 first.' % (
            folder, os.path.join(folder, _CLASS_FILES[0])))
  return layouts.Found(
      layouts.YOLO, {split: {'images': pair['images']}
                     for split, pair in pairs.items()}, [], classes)


def _pairs(folder):
  """{split: {'images', 'labels'}}.

  Raises:
    RecognitionError: if there are only label files without a line.
  """
  without_lines = []
  def is_pair(images, labels, split):
    files = _label_files(images, labels)
    if split == layouts.ALL and any(
        layouts.PARTS.match(part) for name in files
        for part in name.split('/')[:-1]):
      return False  # It is about the sets in it, not one of its own.
    lines = _first_lines(labels, files)
    if files and not lines:
      without_lines.append(labels)
    return any(map(_is_yolo, lines[:1]))
  pairs = layouts.pairs_of(folder, is_pair, ('labels', layouts.SAME))
  if not pairs and without_lines:
    raise layouts.RecognitionError(
        '%s: the label files of all images (.txt) are empty, so there is no '
        'object to learn.' % without_lines[0])
  if layouts.TRAIN in pairs and layouts.VAL not in pairs:
    # All images of it may be without an object, and without a label file.
    others = layouts.pairs_of(folder, lambda images, labels, split: bool(
        source_set.walk_images(images)[0]), (layouts.SAME,))
    if layouts.VAL in others:
      pairs[layouts.VAL] = others[layouts.VAL]
  return pairs


def _label_files(images, labels):
  """[path within `labels`] of text files that have the names of images."""
  paths = sorted(os.path.relpath(os.path.join(place, name), labels)
                 for place, _, names in os.walk(labels) for name in names
                 if name.lower().endswith('.txt'))
  if not paths:
    return []  # Without listing a million images.
  stems = {os.path.splitext(n)[0] for n in source_set.walk_images(images)[0]}
  return [path for path in paths if os.path.splitext(path)[0] in stems]


def _first_lines(labels, names):
  """[the first line of a file], of those with lines, as far as looked at."""
  firsts = []
  for name in names:
    if os.path.getsize(os.path.join(labels, name)):
      lines = text_files.read_lines(os.path.join(labels, name))
      firsts.extend(list(filter(None, lines))[:1])
    if len(firsts) == layouts.LOOKED_AT:
      break
  return firsts


def _is_yolo(line):
  """Whether a line is a class and four numbers or more."""
  try:
    numbers = [float(text) for text in line.split()]
  except ValueError:
    return False
  return len(numbers) > 4 and numbers[0] >= 0 and numbers[0].is_integer()


def _class_file(folder, pairs):
  """The list of the classes; None without one.

  Raises:
    RecognitionError: if two lists differ.
  """
  places = [folder] + sorted({
      place for pair in pairs.values() for kind in ('labels', 'images')
      for place, _, _ in os.walk(pair[kind])})
  paths = [os.path.join(place, name) for place in places
           for name in _CLASS_FILES]
  paths = [path for path in paths if os.path.exists(path)]
  # The folder of the set goes before those of its splits.
  own = [path for path in paths if os.path.dirname(path) == folder]
  if own:
    return own[0]
  contents = [text_files.read(path).split() for path in paths]
  for path, content in zip(paths, contents):
    if content != contents[0]:
      raise layouts.RecognitionError(
          '%s and %s name different classes. Write the list that is right into '
          '%s.' % (paths[0], path, os.path.join(folder, _CLASS_FILES[0])))
  return paths[0] if paths else None
