"""How data sets are laid out: kinds, splits, and usual names of folders."""

import os
import re
import typing
from typing import Callable, Dict, List, Optional, Sequence

from tools.datasets import annotation_checks
from tools.datasets import image_folders

RecognitionError = annotation_checks.ConversionError
COCO, VOC, YOLO, CLASSES, LABEL_MAPS = (
    'COCO', 'VOC', 'YOLO', 'class folders', 'label maps')
TRAIN, VAL, TEST, ALL = 'train', 'val', 'test', 'all'
IMAGE_FOLDERS = image_folders.NAMES
LABEL_FOLDERS = ('labels', 'label', 'masks', 'mask', 'annotations',
                 'SegmentationClass', 'gt')
SAME = '='  # instead of the name of a folder of labels: where the images are
LOOKED_AT = 20  # images that are looked for, to find their folder
# What is a part of a set, not a class of images.
PARTS = re.compile(
    r'(%s|xmls?|jsons?|(train|training|val|valid|validation|dev|test|testing)'
    r'[\W_]*(set|data|images|imgs)?)[\W_\d]*$' % '|'.join(
        IMAGE_FOLDERS + LABEL_FOLDERS), re.IGNORECASE)
# Folders and files of splits, as programs and people call them.
_SPLITS = ((TRAIN, r'(^|[\W_\d])(train|training)(ing)?\d*($|[\W_])'),
           (VAL, r'(^|[\W_\d])(val|valid|validation|dev)\d*($|[\W_])'),
           (TEST, r'(^|[\W_\d])(test|testing)\d*($|[\W_])'))


class Found(typing.NamedTuple):
  """What was recognised.

  Attributes:
    kind: one of the kinds above.
    splits: {TRAIN, VAL, TEST or ALL: parts}; parts are {name: path}: COCO:
      annotations, images; VOC: data_dir and split, or annotations and images,
      and list, or among, a list of those to divide; YOLO: data, split, or
      images; class folders: folder; label maps: images, labels.
    notes: [sentence] about what was chosen.
    classes: YOLO: the path of the list of classes, or None.
  """
  kind: str
  splits: dict
  notes: list
  classes: typing.Any = None

  @property
  def has_splits(self) -> bool:
    return TRAIN in self.splits and VAL in self.splits


def split_of(name: str) -> Optional[str]:
  """TRAIN, VAL or TEST, as the name of a file or folder says; or None."""
  return next((split for split, pattern in _SPLITS
               if re.search(pattern, name, re.IGNORECASE)), None)


def folders(folder: str) -> List[str]:
  """Sorted names of the folders in a folder, hidden ones left out."""
  with os.scandir(folder) as entries:
    return sorted(entry.name for entry in entries
                  if not entry.name.startswith(('.', '__')) and entry.is_dir())


def images_in(folder: str) -> List[str]:
  """Names of the images that lie in a folder itself; [] without one."""
  if not os.path.isdir(folder):
    return []
  return image_folders.listed(folder)[0]


def only_folder(folder: str) -> Optional[str]:
  """The path of the folder in a folder, if there is exactly one; or None."""
  names = folders(folder)
  return os.path.join(folder, names[0]) if len(names) == 1 else None


def home_of_images(folder: str) -> Optional[str]:
  """A folder that has images, or the one in it if it has no file; or None."""
  if images_in(folder):
    return folder
  inside = only_folder(folder)
  has_files = any(
      os.path.isfile(os.path.join(folder, name)) for name in os.listdir(folder)
      if not name.startswith('.'))
  return inside if inside and not has_files and images_in(inside) else None


def folders_of_images(folder: str) -> List[str]:
  """Names of the folders that have images, or whose only folder has some."""
  if not os.path.isdir(folder):
    return []
  return [name for name in folders(folder)
          if home_of_images(os.path.join(folder, name))]


def pairs_of(folder: str, is_pair: Callable[[str, str, str], bool],
             label_folders: Sequence[str]) -> Dict[str, Dict[str, str]]:
  """{split: {'images', 'labels'}} of folders images/SPLIT or SPLIT/images.

  Args:
    folder: path.
    is_pair: (folder of images, folder of labels, split) -> whether they are.
    label_folders: names of folders of labels; SAME: that of the images.
  """
  pairs: Dict[str, Dict[str, str]] = {}
  for image_name in IMAGE_FOLDERS + ('',):
    forms = {split: _split_folders(folder, image_name, split)
             for split in (ALL, TRAIN, VAL, TEST)}
    for label_name in label_folders:
      name = image_name if label_name == SAME else label_name
      for split, insides in forms.items():
        for inside in insides:
          images = os.path.normpath(os.path.join(folder, inside % image_name))
          labels = os.path.normpath(os.path.join(folder, inside % name))
          if split not in pairs and os.path.isdir(images) and os.path.isdir(
              labels) and is_pair(images, labels, split):
            pairs[split] = {'images': images, 'labels': labels}
  if TRAIN in pairs:
    pairs.pop(ALL, None)
  return pairs


def _split_folders(folder, image_name, split):
  """Forms of the path of a split, with a place for the kind of file."""
  if split == ALL:
    return ['%s']
  names = [n.replace('%', '%%') for n in folders(folder)
           if split_of(n) == split]
  within = os.path.join(folder, image_name)
  inside = [n.replace('%', '%%') for n in folders(within)
            if split_of(n) == split] if os.path.isdir(within) else []
  return [n + '/%s' for n in names] + ['%s/' + n for n in inside]
