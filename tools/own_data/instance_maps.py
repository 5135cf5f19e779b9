"""Whether the numbers in label images are those of objects, not of classes.

Where each object has its own number, nearly every number is one region of an
image, and either the numbers of each image begin at 1 without a gap, or hardly
one is in two images. Classes have several regions, recur from image to image,
and the first of them are missing in some.
"""

import collections
import os
from typing import Any, Dict, Iterable, List, Tuple

import cv2
import numpy as np

from tools.datasets import image_folders
from tools.own_data import layouts
from tools.own_data import stages

# Fewer different numbers may well be classes. A file of 16 bits was made for
# many; those of classes have 8 in nearly all data sets.
_MANY, _MANY_IN_WIDE = 64, 20
_MOST = .9  # share of the files, and of the numbers of a file
_FILES_OF_A_NUMBER = 1.5  # on average, where numbers are not used again
_HIGHEST_CLASS = 255
_LOOKED_AT, _NUMBERS_LOOKED_AT = 20, 200  # files, numbers of each
_SPECK = 4  # pixels; as large as the traces of interpolation


class Numbers:
  """What is counted while label images are read."""

  def __init__(self) -> None:
    self._files_of: collections.Counter[int] = collections.Counter()
    self._gapless = self._highest = 0
    self._is_wide = False
    self._paths: List[str] = []

  def add(self, path: str, numbers: Iterable[int], is_wide: bool) -> None:
    """Adds a file.

    Args:
      path: its path.
      numbers: the different numbers in it, without 0.
      is_wide: whether it has room for numbers above 255.
    """
    # The value of what is ignored, in a file of 8 bits.
    own = [int(n) for n in numbers if is_wide or n != _HIGHEST_CLASS]
    self._is_wide |= is_wide
    if own:
      self._files_of.update(own)
      self._gapless += max(own) == len(own)
      self._highest = max(self._highest, max(own))
      self._paths.append(path)

  def may_be_of_objects(self) -> bool:
    """Whether they are many, and occur as those of objects do."""
    files, different = len(self._paths), len(self._files_of)
    if different <= (_MANY_IN_WIDE if self._is_wide else _MANY):
      return False
    if self._highest > _HIGHEST_CLASS or self._gapless >= _MOST * files:
      return True
    # Of few images, hardly a class is in two. Numbers that are not used again
    # need more than 8 bits.
    return self._is_wide and sum(
        self._files_of.values()) <= _FILES_OF_A_NUMBER * different

  def sample(self) -> List[str]:
    """Paths of some of the files, from all parts of the set."""
    return self._paths[::max(1, len(self._paths) // _LOOKED_AT)][:_LOOKED_AT]

  def summary(self) -> Dict[str, int]:
    """{'different', 'highest'}."""
    return {'different': len(self._files_of), 'highest': self._highest}


def have_one_region(files: Iterable[np.ndarray]) -> bool:
  """Whether nearly all numbers of label images, int [h, w], are one region."""
  single = several = specks = 0
  for numbers in files:
    for place in _places(numbers):
      if place.sum() <= _SPECK:
        specks += 1  # Also what the border leaves of an object.
        continue
      # Objects touch each other: of equal pixels only, corners connect.
      count, _ = cv2.connectedComponents(place.astype(np.uint8))
      single += count == 2
      several += count > 2
  return single > specks and single >= _MOST * (single + several)


def _places(numbers):
  """Yields bool [h, w] for each number above 0, cut to where it occurs."""
  order = np.argsort(numbers, axis=None, kind='stable')
  values, starts = np.unique(numbers.ravel()[order], return_index=True)
  pixels = np.split(order, starts[1:])
  found = [item for item in zip(values, pixels) if item[0] > 0]
  for value, own in found[::max(1, len(found) // _NUMBERS_LOOKED_AT)]:
    y, x = np.unravel_index(own, numbers.shape)
    yield numbers[y.min():y.max() + 1, x.min():x.max() + 1] == value


def sentences(summary: Dict[str, int], parts: List[Dict[str, Any]],
              output: str) -> str:
  """What to do instead of learning the numbers as classes.

  Args:
    summary: of Numbers.
    parts: [{'images', 'labels': folder}] of both splits.
    output: of train_on.
  """
  lines = [
      'The label images have %d different values, and nearly every one is a '
      'single region, as where each object has its own number. As classes they '
      'would be learnt wrongly. To train on the objects:' % (
          summary['different'])]
  lines += ['  ' + stages.command_line(a) for a in commands(parts, output)]
  if summary['highest'] <= _HIGHEST_CLASS:
    lines.append('If the values are classes after all: --label_maps=classes.')
  return '\n'.join(lines)


def commands(parts: List[Dict[str, Any]], output: str) -> List[List[str]]:
  """[arguments of Python]: from label images of objects to a trained model.

  The annotations are written to where `train_on` finds their images.

  Args:
    parts: [{'images', 'labels': folder}] of both splits.
    output: of train_on.
  """
  pairs = collections.OrderedDict((p['images'], p['labels']) for p in parts)
  result, homes = [], []
  for images, labels in pairs.items():
    home, name, flags = _annotations(images, len(pairs) > 1)
    homes.append(home)
    result.append(['-m', 'tools.create_mask_annotations', '--images=' + images,
                   '--labels=' + labels, '--class_name=object'] + flags + [
                       '--output=' + os.path.join(home, name)])
  return result + [['-m', 'tools.train_on',
                    '--data=' + os.path.commonpath(homes),
                    '--model=mask_rcnn', '--output=' + output]]


def _annotations(images: str, is_split: bool) -> Tuple[str, str, List[str]]:
  """Where the annotations of a folder of images go.

  Args:
    images: the folder.
    is_split: whether it is one of two splits, else it is divided.

  Returns:
    The folder, what the names begin with, further flags.
  """
  parent, name = os.path.split(os.path.normpath(images))
  home = parent if name in image_folders.NAMES else images
  if not is_split:
    return home, 'objects', []
  grandparent, kind = os.path.split(parent)
  if kind in image_folders.NAMES:  # images/train
    home = grandparent
  split = layouts.split_of(name) or layouts.split_of(kind) or name
  return home, split + '_objects', ['--val_every=0']
