"""The images in a folder, and which file is meant by a name."""

import collections
import os
import re
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from ops import tensorflow_later as tf

# What Pillow reads and people have. Whether a file is an image shows when it is
# decoded; its ending only tells what is not meant to be one.
EXTENSIONS = ('.jpg', '.jpeg', '.jfif', '.png', '.bmp', '.gif', '.webp', '.tif',
              '.tiff', '.ppm', '.pgm')
# What folders of images are called.
NAMES = ('images', 'image', 'imgs', 'img', 'JPEGImages', 'photos')
# What programs add to the name of an image for that of its label map.
_LABEL_SUFFIX = re.compile(r'[_-](mask|label|gt|seg|segmentation)s?$',
                           re.IGNORECASE)


def visible(folder: str) -> Iterator[Tuple[str, str]]:
  """A folder and the folders in it, at any depth, hidden ones left out.

  Args:
    folder: path; it may itself be called . or .data.

  Yields:
    path, and the path within `folder`, with '/'; '' for that one.
  """
  for current, _, _ in tf.gfile.Walk(folder):
    inside = os.path.relpath(current, folder).replace(os.sep, '/')
    inside = '' if inside == '.' else inside
    if not any(part.startswith('.') for part in inside.split('/')):
      yield current, inside


def listed(
    folder: str, extensions: Tuple[str, ...] = EXTENSIONS,
    labels: Tuple[str, ...] = ()) -> Tuple[List[str], List[str]]:
  """The files of a folder that may be images.

  Args:
    folder: path; a name, not a pattern.
    extensions: in lower case.
    labels: endings of files next to images that are used, too, in lower case.

  Returns:
    [name] in order, and [note for people] about files with other endings.
    Hidden files (such as ._a.jpg, which macOS leaves) are neither.
  """
  names, others = [], []
  for name in sorted(tf.gfile.ListDirectory(folder)):
    name = name.rstrip('/')  # of a folder in a bucket
    if name.startswith('.'):
      continue
    if name.lower().endswith(extensions):
      names.append(name)
    elif not name.lower().endswith(labels) and not tf.gfile.IsDirectory(
        os.path.join(folder, name)):
      others.append(name)
  return names, _passed_over(folder, others)


def _passed_over(folder, names):
  """[note] about files that are not used."""
  if not names:
    return []
  endings = collections.Counter(
      os.path.splitext(name)[1].lower() or '(none)' for name in names)
  return ['%d files in %s are not used, since their endings are not those of '
          'images: %s, such as %s.' % (
              len(names), folder, ', '.join(
                  '%s %d' % item for item in endings.most_common()), names[0])]


def stem(name: str) -> str:
  """The name of a file without folder and ending."""
  return os.path.splitext(os.path.basename(name))[0]


def by_stem(names: Iterable[str]) -> Dict[str, List[str]]:
  """{name without ending: [name]}, in order."""
  groups = collections.OrderedDict()
  for name in names:
    groups.setdefault(stem(name), []).append(name)
  return groups


class AmbiguityError(ValueError):
  """Two files that may both be meant, with their names."""


class PairedFolders:
  """Images and label maps of the same names, in two folders or in one.

  A label map may have a suffix, as a_mask.png for a.jpg; one of just the same
  name goes before it. In one folder a label map is not a candidate for the
  image of its name.
  """

  def __init__(self, image_dir: str, label_dir: str,
               label_extensions: Tuple[str, ...]) -> None:
    """Lists the folders.

    Args:
      image_dir: folder of the images.
      label_dir: folder of the label maps.
      label_extensions: in lower case, of label maps.
    """
    self.image_dir, self.label_dir = image_dir, label_dir
    images, self.notes = listed(image_dir)
    labels, _ = listed(label_dir, label_extensions)
    self._images, self._labels = by_stem(images), by_stem(labels)
    self._is_one = os.path.realpath(image_dir) == os.path.realpath(label_dir)
    self._add_suffixed()

  def _add_suffixed(self):
    """Gives label maps with a suffix to the images without a label map."""
    added = collections.OrderedDict()
    for name, files in self._labels.items():
      image = _LABEL_SUFFIX.sub('', name)
      own = self._labels.get(image, [])
      if image != name and image in self._images and (
          not own or self._is_one and own == self._images[image]):
        added.setdefault(image, []).extend(files)
        if self._is_one:
          self._images.pop(name, None)
    self._labels.update(added)

  def stems(self) -> List[str]:
    """Names without ending of the images, in order."""
    if not self._is_one:
      return list(self._images)
    return [name for name, files in self._images.items()
            if len(files) > 1 or self._labels.get(name) != files]

  def image(self, name: str) -> Optional[str]:
    """The file of an image.

    Args:
      name: with or without the ending.

    Returns:
      Path, or None if there is no such image.

    Raises:
      AmbiguityError: naming two files that may be meant.
    """
    key = stem(name) if name.lower().endswith(EXTENSIONS) else name
    files = self._images.get(key, [])
    if name in files:
      files = [name]
    elif self._is_one and len(files) > 1:
      files = [f for f in files if f not in self._labels.get(key, ())]
    return _only(self.image_dir, files, 'images')

  def label(self, name: str) -> Optional[str]:
    """The file of the label map of an image, or None; as `image`."""
    key = stem(name) if name.lower().endswith(EXTENSIONS) else name
    files = self._labels.get(key, [])
    if self._is_one and len(files) > 1:
      files = [f for f in files if f != name]
    path = _only(self.label_dir, files, 'label maps')
    return None if self._is_one and path == self.image(name) else path


def _only(folder, files, what):
  """Path of the only file, or None; AmbiguityError for two of them."""
  if len(files) > 1:
    raise AmbiguityError(
        'Two %s of one name in %s: %s and %s. Which one is meant? Move the '
        'other one away.' % (what, folder, files[0], files[1]))
  return os.path.join(folder, files[0]) if files else None
