"""Annotations that another command converts, and images without any.

What is annotated for detection must not be taken for class folders, whose
folders would become the classes, `train` and `val` among them.
"""

import os
import re
from typing import Optional, Sequence

from dataloader import file_patterns
from utils import text_files

_DEPTH = 2  # folders below the one that is looked through
_FOLDERS = 60  # that are looked into
_FILES = 3  # of each kind and folder that are read
_CONTINUE = '; then continue with tools.new_config'
_OWN = 'give its folder or file (--data), and that of its images (--images)'
_EXPORT = 'export them there as COCO, YOLO or Pascal VOC'


def sentence(folder: str,
             endings: Sequence[str] = ('.xml', '.csv', '.json'),
             own: bool = False) -> Optional[str]:
  """What annotations there are that `train_on` does not read itself.

  Args:
    folder: path.
    endings: of the files that are read.
    own: whether those count that it reads, but not where they are.

  Returns:
    A sentence that names the first file, and what to do with it; or None.
  """
  for place in _places(folder):
    for ending in endings:
      for name in file_patterns.names_in(place, ending)[:_FILES]:
        path = os.path.join(place, name)
        try:
          found = _READERS[ending](path)
        except (ValueError, OSError):
          continue  # It is not a file that this is about.
        if found and (own or found[1] != _OWN):
          return '%s has annotations in the form of %s: %s.' % ((path,) + found)
  return None


def _places(folder):
  """The folder and those in it, as far as they are looked into."""
  places = []
  depth = folder.rstrip(os.sep).count(os.sep) + _DEPTH
  for place, inside, _ in os.walk(folder):
    inside[:] = sorted(n for n in inside if not n.startswith(('.', '__')))
    if place.rstrip(os.sep).count(os.sep) >= depth:
      inside[:] = []
    places.append(place)
    if len(places) == _FOLDERS:
      break
  return places


def _of_xml(path):
  """(program, what to do) for an .xml file, or None."""
  kind = text_files.read_xml(path).tag
  if kind == 'annotation':
    return 'Pascal VOC', _OWN
  if kind != 'annotations':
    return None
  return 'CVAT', 'convert them with tools.create_cvat_tfrecord' + _CONTINUE


def _of_csv(path):
  first = next(filter(None, text_files.read_lines(path)), '')
  columns = {name.strip('" ').lower() for name in re.split('[,;\t]', first)}
  if not {'xmin', 'ymin', 'xmax', 'ymax'} <= columns:
    return None
  return ('a table',
          'convert them with tools.create_csv_tfrecord' + _CONTINUE)


def _of_json(path):
  content = text_files.read_json(path)
  if isinstance(content, list):
    first = content[0] if content and isinstance(content[0], dict) else {}
    if 'image' in first and 'annotations' in first:
      return 'CreateML', _EXPORT
    if 'data' in first and ('annotations' in first or 'completions' in first):
      return 'Label Studio', _EXPORT
    return None
  if not isinstance(content, dict):
    return None
  if isinstance(content.get('shapes'), list):
    return ('labelme',
            'convert them with tools.create_labelme_tfrecord' + _CONTINUE)
  if isinstance(content.get('images'), list) and isinstance(
      content.get('annotations'), list):
    return _of_coco(content['annotations'])
  if isinstance(content.get('objects'), list) and 'size' in content:
    return 'Supervisely', _EXPORT
  entries = content.get('_via_img_metadata', content)
  first = next(iter(entries.values()), None) if isinstance(
      entries, dict) else None
  if isinstance(first, dict) and 'filename' in first and 'regions' in first:
    return ('VIA', 'export them there as COCO (Annotation, Export Annotations, '
            'COCO format)')
  return None


def _of_coco(annotations):
  """(what is wrong, what to do) for lists of COCO without boxes."""
  if not annotations:
    return 'COCO, but its list `annotations` is empty', (
        'annotate the images, or remove that file')
  objects = [a for a in annotations if isinstance(a, dict)]
  if any('bbox' in a or 'segmentation' in a for a in objects):
    return 'COCO', _OWN
  kind = next((key for key in ('keypoints', 'caption')
               if any(key in a for a in objects)), None)
  return 'COCO without `bbox` and `segmentation`%s' % (
      ', only with `%s`' % kind if kind else ''), (
          'models here learn boxes and outlines, so annotations need one of '
          'them')


_READERS = {'.xml': _of_xml, '.csv': _of_csv, '.json': _of_json}


