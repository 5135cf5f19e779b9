"""Where the label files of YOLO's images are."""

import os
from typing import Mapping, Optional, Tuple

from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from tools.datasets import image_folders

# What programs leave among the label files.
NO_LABELS = ('classes.txt', 'train.txt', 'val.txt', 'test.txt', 'README.txt')


def label_path(image: str) -> str:
  """Where YOLO looks for the labels of an image: images/ becomes labels/."""
  return _with_labels(image, ('images',)) or os.path.splitext(image)[0] + '.txt'


def _with_labels(image, names):
  """Label file in the folder `labels` beside one of these names, or None."""
  parts = image.split('/')
  places = [i for i, part in enumerate(parts[:-1]) if part in names]
  if not places:
    return None
  parts[places[-1]] = 'labels'
  return os.path.splitext('/'.join(parts))[0] + '.txt'


def find(image: str, name: str = '',
         labels: Optional[str] = None) -> Tuple[str, bool]:
  """(label file of an image, whether there is one).

  Args:
    image: the path of the image.
    name: its path within the folder of the images; with `labels`.
    labels: folder of the label files, or None.
  """
  if labels:
    candidates = [os.path.join(labels, os.path.splitext(name)[0] + '.txt')]
  else:
    folder, own = os.path.split(os.path.splitext(image)[0] + '.txt')
    candidates = [label_path(image), _with_labels(image, image_folders.NAMES),
                  os.path.join(folder, own),
                  os.path.join(folder, 'labels', own)]
  for path in dict.fromkeys(filter(None, candidates)):
    for spelling in (path, path[:-4] + '.TXT'):
      if tf.gfile.Exists(spelling):
        return spelling, True
  return candidates[0], False


def check_background(images: Mapping[str, str],
                     places: Mapping[str, Tuple[str, bool]],
                     source: str, labels: Optional[str]) -> None:
  """Raises ConversionError unless images without any label file are plausible.

  They are background where the label files of other images lie as they should.

  Args:
    images: {name: path}.
    places: {name: (where its label file would be, False)}.
    source: the folder, list or data.yaml of the images.
    labels: folder of the label files that the user gives, or None.
  """
  if not images:
    raise annotation_checks.ConversionError('There is no image%s.' % (
        ' in ' + source if source else ''))
  name, path = next(iter(images.items()))
  stems = {image_folders.stem(n) for n in images}
  has_others = False
  for found in [] if labels else _label_files(_roots(path, source)):
    if _has_image(found):
      has_others = True
    elif image_folders.stem(found) in stems:
      raise annotation_checks.ConversionError(
          'None of %d images has a label file where it is looked for, such as '
          '%s for %s. But there is %s: is that the folder (--labels)?' % (
              len(images), places[name][0], path, found))
  if not has_others:
    raise annotation_checks.ConversionError(
        'None of %d images has a label file, such as %s for %s. Are they in '
        'another folder (--labels)? If there is no object in any of them, '
        'an empty label file says so.' % (len(images), places[name][0], path))


def _roots(image, source):
  """Folders below which the label files of a set with an image are."""
  parts = image.split('/')
  places = [i for i, part in enumerate(parts[:-1])
            if part in image_folders.NAMES]
  roots = ['/'.join(parts[:places[-1]]) if places else os.path.dirname(image)]
  if source.lower().endswith(('.yaml', '.yml')):
    roots.append(os.path.dirname(source))
  return [root or '.' for root in roots]


def _label_files(folders):
  """Paths of the label files in folders, and in the folders in them."""
  for folder in folders:
    for place, _, names in tf.gfile.Walk(folder):
      for name in sorted(names):
        if name.lower().endswith('.txt') and name not in NO_LABELS:
          yield os.path.join(place, name)


def _has_image(label):
  """Whether an image has this label file."""
  stem, parts = os.path.splitext(label)[0], label.split('/')
  stems = [stem]
  places = [i for i, part in enumerate(parts[:-1]) if part == 'labels']
  if places:
    stems += ['/'.join(parts[:places[-1]] + [name] + stem.split('/')[
        places[-1] + 1:]) for name in image_folders.NAMES]
  return any(tf.gfile.Exists(s + ending) for s in stems
             for extension in image_folders.EXTENSIONS
             for ending in (extension, extension.upper()))
