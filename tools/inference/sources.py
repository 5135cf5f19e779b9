"""Which images and videos are meant by what a person names.

A path that is there is meant as it is written, whatever signs are in it; else
it is a pattern. A text file is a list of paths and patterns, one a line.
"""

import collections
import glob
import os
from typing import List, NamedTuple, Optional, Sequence, Tuple

import tensorflow.compat.v1 as tf

from dataloader import file_patterns
from tools.datasets import source_set
from utils import coco_annotations
from utils import files
from utils import text_files
from utils import types

IMAGE, VIDEO = 'image', 'video'
_IMAGE_ENDINGS = ('.jpg', '.jpeg', '.jpe', '.png', '.bmp', '.gif', '.webp',
                  '.tif', '.tiff')
_VIDEO_ENDINGS = ('.mp4', '.m4v', '.mov', '.avi', '.mkv', '.webm', '.mpg',
                  '.mpeg', '.wmv')
_LIST_ENDING = '.txt'
_MOST_SHOWN = 200  # letters of a name in a message


class Source(NamedTuple):
  """A file that is answered.

  Attributes:
    path: path of the file.
    image_id: image id used in the results.
    kind: IMAGE or VIDEO.
  """
  path: str
  image_id: types.Id
  kind: str


class SourceError(ValueError):
  """There is nothing to look at where the user says."""


def shown(name: str) -> str:
  """A name of any kind as one short line."""
  name = readable(name)
  name = name if name.isprintable() else repr(name)[1:-1]
  return name if len(name) <= _MOST_SHOWN else '...' + name[3 - _MOST_SHOWN:]


def readable(name: str) -> str:
  """A name that can be written as UTF-8: bytes that are not become a sign."""
  return name.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')


def find(inputs: Sequence[str],
         output: Optional[str] = None) -> Tuple[List[Source], List[str]]:
  """The images and videos of files, folders, patterns and lists.

  Args:
    inputs: [str].
    output: folder that results go to; what is in it is not looked at.

  Returns:
    [Source], without repetitions; [note].

  Raises:
    SourceError: naming the input that leads nowhere.
  """
  found, notes = collections.OrderedDict(), []
  for text in inputs:
    for path, image_id in _expand(text, notes, is_listed=False):
      key = path if files.is_remote(path) else os.path.abspath(path)
      if not output or not key.startswith(os.path.join(
          os.path.abspath(output), '')):
        found.setdefault(key, (path, image_id))
  if not found:
    raise SourceError('There is no image and no video in %s.' % ', '.join(
        shown(text) for text in inputs))
  return _named(list(found.values())), notes


def _named(pairs):
  """[Source] of (path, id); of equal ids the paths become the ids."""
  counts = collections.Counter(image_id for _, image_id in pairs)
  return [Source(path, readable(path if counts[image_id] > 1 else image_id),
                 VIDEO if path.lower().endswith(_VIDEO_ENDINGS) else IMAGE)
          for path, image_id in pairs]


def _expand(text, notes, is_listed):
  """[(path, id)] of one input; is_listed: it stands in a list itself."""
  text = os.path.expanduser(text)
  if files.is_remote(text):
    return _remote(text, notes)
  if os.path.isdir(text):
    return _walk(text, notes)
  if os.path.exists(text):
    if text.lower().endswith(_LIST_ENDING) and not is_listed:
      return _listed(text, notes)
    return [(text, os.path.basename(text))]
  paths = _matches(text)
  if not paths:
    raise SourceError(
        'There is no %s: a file, a folder, a pattern such as "images/*.jpg" or '
        'a text file that lists them is expected.' % shown(text))
  folder = os.path.commonpath([os.path.dirname(path) for path in paths])
  return [(path, os.path.relpath(path, folder or os.curdir).replace(
      os.sep, '/')) for path in paths]


def _remote(text, notes):
  """[(path, id)] of a folder or a pattern in a bucket."""
  if tf.gfile.IsDirectory(text):
    names, more = source_set.walk_images(text)
    notes.extend(more)
    return [('%s/%s' % (text.rstrip('/'), name), name) for name in names]
  found = [(path, os.path.basename(path)) for path in file_patterns.glob(text)]
  found = [pair for pair in found if not pair[1].startswith('.')]
  if not found:
    raise SourceError('There is no %s.' % shown(text))
  return found


def _matches(pattern):
  """Sorted files of a pattern; signs in the name of a folder are no pattern."""
  folder, name = os.path.split(pattern)
  for candidate in (pattern, os.path.join(glob.escape(folder), name)):
    paths = sorted(path for path in glob.glob(candidate, recursive=True)
                   if os.path.isfile(path))
    if paths:
      return paths
  return []


def _walk(folder, notes):
  """The images and videos of a folder and the folders in it."""
  found, num_others = [], 0
  for current, folders, names in os.walk(folder):
    folders[:] = sorted(f for f in folders if not f.startswith('.'))
    for name in sorted(names):
      if name.lower().endswith(_IMAGE_ENDINGS + _VIDEO_ENDINGS) and (
          not name.startswith('.')):
        path = os.path.join(current, name)
        found.append((path, os.path.relpath(path, folder).replace(os.sep, '/')))
      else:
        num_others += not name.startswith('.')
  if num_others:
    notes.append('%d other files in %s are left out.' % (num_others,
                                                         shown(folder)))
  return found


def _listed(path, notes):
  """What a list names, relative to the working directory."""
  try:
    lines = text_files.read_lines(path)
  except (OSError, ValueError) as e:
    raise SourceError('The list %s cannot be read: %s' % (shown(path), e))
  found = []
  for number, line in enumerate(lines, 1):
    if line:
      try:
        found.extend(_expand(line, notes, is_listed=True))
      except SourceError as e:
        raise SourceError('%s, line %d: %s' % (shown(path), number, e))
  if not found:
    raise SourceError('The list %s is empty.' % shown(path))
  return found


def with_ids(sources: Sequence[Source],
             path: str) -> Tuple[List[Source], List[str]]:
  """The sources with the ids that annotations have for their files.

  Args:
    sources: [Source].
    path: path of a COCO annotation file.

  Returns:
    [Source], [note].

  Raises:
    SourceError: if the file cannot be used.
  """
  try:
    images = coco_annotations.clean(
        text_files.read_json(path), path,
        optional=('annotations', 'categories'))['images']
  except (OSError, ValueError) as e:
    raise SourceError('The image ids cannot be read: %s' % e)
  by_name = {str(image.get('file_name')): image['id'] for image in images}
  by_base = {}
  for name, image_id in by_name.items():
    # None where folders tell equal names apart.
    base = os.path.basename(name)
    by_base[base] = None if base in by_base else image_id
  ids = [by_name.get(s.image_id, by_base.get(os.path.basename(s.image_id)))
         for s in sources]
  num_missing = sum(i is None for i in ids)
  notes = ['%d of %d images are not in %s: their names are used as ids.' % (
      num_missing, len(ids), shown(path))] if num_missing else []
  return [s if i is None else s._replace(image_id=i)
          for s, i in zip(sources, ids)], notes
