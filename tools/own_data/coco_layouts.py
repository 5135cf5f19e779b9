"""Which COCO files a folder holds, and where their images are."""

import collections
import os
from typing import Any, Dict, Optional

from dataloader import file_patterns
from tools.datasets import image_names
from tools.own_data import layouts
from utils import text_files


def content_of(path: str) -> Optional[Dict[str, Any]]:
  """The dictionary of a COCO file; None for other JSON."""
  try:
    content = text_files.read_json(path)
  except ValueError:
    return None
  is_coco = isinstance(content, dict) and all(
      isinstance(content.get(key), list) for key in ('images', 'annotations'))
  return content if is_coco else None


def find(folder: str, images: Optional[str]) -> Optional[layouts.Found]:
  """What a folder holds, or None.

  Args:
    folder: path.
    images: the folder of the images, or None: to be found.

  Raises:
    RecognitionError: if the images are not found, or it is not clear which.
  """
  places = [folder] + [
      os.path.join(folder, name) for name in layouts.folders(folder)
      if layouts.split_of(name) or name.lower() in ('annotations', 'labels')]
  contents = collections.OrderedDict()
  for place in places:
    for name in file_patterns.names_in(place, '.json'):
      path = os.path.join(place, name)
      content = content_of(path)
      if content and any('bbox' in a or 'segmentation' in a
                         for a in content['annotations']
                         if isinstance(a, dict)):
        contents[path] = content
  if not contents:
    return None
  by_split = collections.OrderedDict()
  for path in contents:
    # The name of the whole set does not count.
    inside = os.path.dirname(os.path.relpath(path, folder))
    split = (layouts.split_of(os.path.basename(path))
             or layouts.split_of(inside) or layouts.ALL)
    by_split.setdefault(split, []).append(path)
  if layouts.TRAIN in by_split:
    by_split.pop(layouts.ALL, None)
  notes, splits = [], {}
  for split, paths in by_split.items():
    path = _one_file(paths, contents, notes)
    splits[split] = {'annotations': path,
                     'images': images or images_of(contents[path], path,
                                                   folder)}
  return layouts.Found(layouts.COCO, splits, notes)


def _one_file(paths, contents, notes):
  """The file that is meant, of several of a split."""
  instances = [p for p in paths if os.path.basename(p).startswith('instances')]
  chosen = sorted(instances or paths, key=lambda p: (len(p), p))
  if len(chosen) > 1:
    names = [set(_file_names(contents[p])) for p in chosen]
    if any(n != names[0] for n in names):
      raise layouts.RecognitionError(
          'There are several COCO files: %s. Name one (--data=FILE '
          '--images=FOLDER), or call them train and val.' % ', '.join(chosen))
    notes.append('%s are about the same images; %s is used. --data=FILE takes '
                 'another one.' % (' and '.join(chosen), chosen[0]))
  return chosen[0]


def _file_names(content):
  """[name] of the images of a COCO file that have one."""
  return [image['file_name'] for image in content['images']
          if isinstance(image, dict)
          and isinstance(image.get('file_name'), str) and image['file_name']]


def images_of(content: Dict[str, Any], path: str,
              folder: Optional[str] = None) -> str:
  """The folder in which the images of a COCO file are.

  Args:
    content: what the file holds.
    path: the path of the file.
    folder: where to look besides, or None.

  Raises:
    RecognitionError: if most of the first images are in none.
  """
  names = _file_names(content)[:layouts.LOOKED_AT]
  here = os.path.dirname(path)
  roots = list(collections.OrderedDict.fromkeys(
      [here, folder or here, os.path.dirname(os.path.abspath(here))]))
  split = layouts.split_of(os.path.splitext(os.path.basename(path))[0])
  places = [os.path.normpath(os.path.join(root, part)) for root in roots
            for part in ('',) + layouts.IMAGE_FOLDERS]
  places += [os.path.join(place, name) for place in list(places)
             if os.path.isdir(place) for name in layouts.folders(place)
             if split and layouts.split_of(name) == split]
  def count(place):
    meant, _ = image_names.meant(place, names)  # as the converter does
    return sum(image_names.is_file(place, meant.get(name, name))
               for name in names)
  best = max(places, key=count)  # the first of equal ones
  if not names or 2 * count(best) < len(names):
    raise layouts.RecognitionError(
        'The images of %s, such as %s, are not in %s. Where are they '
        '(--images=FOLDER)?' % (path, names[0] if names else '(none)',
                                ', nor '.join(roots)))
  return best
