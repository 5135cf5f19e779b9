"""Which label maps, or classes of images, a folder holds."""

import os
from typing import Optional

from tools.datasets import image_folders
from tools.datasets import label_images
from tools.own_data import layouts


def find_label_maps(
    folder: str, images: Optional[str]) -> Optional[layouts.Found]:
  """What a folder holds, or None.

  Args:
    folder: path.
    images: not used.

  Raises:
    RecognitionError: if label maps are found that cannot be used.
  """
  del images
  pairs = layouts.pairs_of(folder, _has_label_map,
                           layouts.LABEL_FOLDERS + (layouts.SAME,))
  if not pairs:
    layouts.pairs_of(folder, _refuse_lossy, layouts.LABEL_FOLDERS)
    return None
  undivided = pairs.get(layouts.ALL)
  if undivided and undivided['images'] == undivided['labels']:
    raise layouts.RecognitionError(
        '%s holds images and their label maps in one folder. To divide them '
        'into train and val, the label maps have to be in a folder of their '
        'own: move them into %s.' % (
            undivided['images'], os.path.join(undivided['images'], 'masks')))
  return layouts.Found(layouts.LABEL_MAPS, pairs, [])


def _has_label_map(images, labels, split=layouts.ALL):
  """Whether some images in a folder have a label map in another."""
  del split
  paired = image_folders.PairedFolders(images, labels, label_images.EXTENSIONS)
  try:
    return any(paired.label(name) for name in paired.stems())
  except image_folders.AmbiguityError:
    return True  # The converter names the two files.


def _refuse_lossy(images, labels, split):
  """Raises RecognitionError for label maps that are JPEG files."""
  del split
  paired = image_folders.PairedFolders(images, labels, ('.jpg', '.jpeg'))
  path = next(filter(None, map(paired.label, paired.stems())), None)
  if path:
    raise layouts.RecognitionError(
        'The label maps are JPEG files, such as %s. JPEG changes values, and '
        'with them the classes: save them as PNG from their source.' % path)
  return False


def find_classes(folder: str,
                 images: Optional[str]) -> Optional[layouts.Found]:
  """What a folder holds, or None.

  Args:
    folder: path.
    images: not used.

  Raises:
    RecognitionError: if it is not clear which folders are classes.
  """
  del images
  splits = {layouts.split_of(name): {'folder': os.path.join(folder, name)}
            for name in layouts.folders(folder) if layouts.split_of(name)
            and _class_names(os.path.join(folder, name))}
  if layouts.TRAIN in splits:
    names = _class_names(splits[layouts.TRAIN]['folder'])
    if len(names) < 2:
      raise layouts.RecognitionError(
          '%s has one class folder, %s: classification needs images of two '
          'classes or more.' % (splits[layouts.TRAIN]['folder'], names[0]))
    return layouts.Found(layouts.CLASSES, splits, [])
  if len(_class_names(folder)) > 1:
    return layouts.Found(layouts.CLASSES, {layouts.ALL: {'folder': folder}}, [])
  return None


def _class_names(folder):
  """Names of the folders of images that are classes.

  Raises:
    RecognitionError: if there are others, so that it is not clear.
  """
  names = layouts.folders_of_images(folder)
  parts = [name for name in names if layouts.PARTS.match(name)]
  classes = [name for name in names if name not in parts]
  # A train is a thing, too; among other classes, and without a val.
  if not parts or parts == ['train'] and len(classes) > 1:
    return names
  if len(classes) > 1:
    raise layouts.RecognitionError(
        '%s has folders of images that may be classes, such as %s and %s, and '
        '%s, which does not name a class. Move one kind away, or rename it.' % (
            folder, classes[0], classes[1], ' and '.join(parts)))
  return []
