"""Which annotations of Pascal VOC a folder holds, and their images."""

import collections
import os
from typing import Dict, Optional

from dataloader import file_patterns
from tools.datasets import voc_images
from tools.own_data import layouts

_XML_FOLDERS = ('Annotations', 'annotations', 'xmls', 'labels')
_TRAIN_VAL = 'trainval'  # the list of the images of both


def find(folder: str, images: Optional[str]) -> Optional[layouts.Found]:
  """What a folder holds, or None.

  Args:
    folder: path.
    images: the folder of the images, or None: to be found.

  Raises:
    RecognitionError: if the images are not found, or it is not clear which.
  """
  splits = _folders_of_splits(folder, images)
  if splits:
    return layouts.Found(layouts.VOC, splits, [])
  annotations = os.path.join(folder, 'Annotations')
  if os.path.isdir(annotations) and voc_images.has_annotations(annotations):
    return _as_published(folder, annotations, images)
  places: Dict[Optional[str], str] = {layouts.ALL: folder}
  places.update({layouts.split_of(name): os.path.join(folder, name)
                 for name in layouts.folders(folder) if layouts.split_of(name)})
  splits = {}
  for split, place in places.items():
    for inside in ('', 'annotations', 'xmls', 'labels'):
      annotations = os.path.normpath(os.path.join(place, inside))
      if split not in splits and file_patterns.names_in(annotations, '.xml'):
        splits[split] = {'annotations': annotations,
                         'images': images or _xml_images(place, annotations)}
  if not splits:
    return None
  if layouts.TRAIN in splits:
    splits.pop(layouts.ALL, None)
  elif len(splits) > 1 and splits.get(layouts.ALL, {}).get(
      'annotations') == os.path.normpath(folder):
    raise layouts.RecognitionError(
        '%s has annotations (.xml) itself and in %s: move those to train on '
        'into %s.' % (folder, ' and '.join(sorted(
            parts['annotations'] for split, parts in splits.items()
            if split != layouts.ALL)), os.path.join(folder, layouts.TRAIN)))
  return layouts.Found(layouts.VOC, splits, [])


def _as_published(folder, annotations, images):
  """Found in a folder with Annotations, and perhaps JPEGImages and lists."""
  jpegs = os.path.join(folder, 'JPEGImages')
  is_usual = images is None and os.path.isdir(jpegs)
  lists = _lists(folder)
  parts = {'annotations': annotations, 'images': jpegs if is_usual
           else images or _xml_images(folder)}
  if layouts.TRAIN in lists and layouts.VAL in lists:
    return layouts.Found(layouts.VOC, {
        split: {'data_dir': folder, 'split': split} if is_usual
               else dict(parts, list=path)
        for split, path in lists.items() if split != _TRAIN_VAL}, [])
  # What is in none of these, such as the images of a test, is left alone.
  among = lists.get(_TRAIN_VAL) or lists.get(layouts.TRAIN)
  if lists and not among:
    raise layouts.RecognitionError(
        '%s has no train.txt and no trainval.txt, which would say what is '
        'trained on, only %s.txt.' % (
            os.path.join(folder, 'ImageSets', 'Main'),
            '.txt and '.join(lists)))
  notes = []
  if among:
    parts['among'] = among
    notes.append('The images in %s are divided; others are left alone.'
                 % among)
  return layouts.Found(layouts.VOC, {layouts.ALL: parts}, notes)


def _folders_of_splits(folder, images):
  """{split: parts} of folders such as annotations/train; {} without such.

  Raises:
    RecognitionError: if none of them is of the images to train on.
  """
  for kind in _XML_FOLDERS:
    place = os.path.join(folder, kind)
    inside = layouts.folders(place) if os.path.isdir(place) else ()
    names = {layouts.split_of(name): name for name in inside
             if layouts.split_of(name)
             and voc_images.has_annotations(os.path.join(place, name))}
    if names and layouts.TRAIN not in names:
      raise layouts.RecognitionError(
          '%s has annotations of %s and no folder %s: put those to train on '
          'into one.' % (place, ' and '.join(sorted(names.values())),
                         layouts.TRAIN))
    if names:
      homes = [images] if images else [
          os.path.join(folder, name) for name in layouts.IMAGE_FOLDERS]
      return {split: {'annotations': os.path.join(place, name),
                      'images': _home_of_split(homes, name)}
              for split, name in names.items()}
  return {}


def _home_of_split(homes, name):
  """The folder of the images of a split within the folders of all."""
  inside = [os.path.join(home, name) for home in homes]
  found = [path for path in inside + homes if os.path.isdir(path)]
  if not found:
    raise layouts.RecognitionError(
        'Where are the images of %s (--images=FOLDER)? There is no %s.' % (
            name, inside[0]))
  return found[0]


def _lists(folder):
  """{split: path of its list} of a VOC set."""
  paths = collections.OrderedDict(
      (split, os.path.join(folder, 'ImageSets', 'Main', split + '.txt'))
      for split in (layouts.TRAIN, layouts.VAL, layouts.TEST, _TRAIN_VAL))
  return collections.OrderedDict(
      (split, path) for split, path in paths.items() if os.path.exists(path))


def _xml_images(folder, annotations=None):
  """The folder of the images that belong to .xml files."""
  places = [folder] + [os.path.join(folder, n) for n in layouts.IMAGE_FOLDERS]
  for place in ([annotations] if annotations else []) + places:
    if layouts.images_in(place):
      return place
  raise layouts.RecognitionError(
      '%s has annotations (.xml) and no images. Where are they '
      '(--images=FOLDER)?' % folder)
