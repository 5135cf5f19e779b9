"""Which file is meant by a name that was written on another computer.

Names in annotations come with the separators of Windows, with percent escapes,
with accents stored in another form, or with folders that are not here. A file
of exactly the name goes before all of that.
"""

import collections
import os
from typing import Any, Dict, List, Sequence, Tuple
import unicodedata
import urllib.parse

from evaluation import ids
from ops import tensorflow_later as tf
from utils import files

SEPARATORS = 'backslashes are read as /'
ESCAPES = 'percent escapes are decoded'
ACCENTS = 'letters with accents are written in another form'
FOLDERS = 'the folders in front of the name are left out'


def other_spellings(name: str) -> List[Tuple[str, str]]:
  """What else a name may mean, the most likely first.

  Args:
    name: str, not empty.

  Returns:
    [(name, how it was found)], without `name` itself.
  """
  slashes = name.replace('\\', '/')
  spellings = [(slashes, SEPARATORS),
               (urllib.parse.unquote(name), ESCAPES),
               (urllib.parse.unquote(slashes), ESCAPES)]
  plain = spellings[-1][0]
  spellings += [(unicodedata.normalize(form, s), ACCENTS) for s in (name, plain)
                for form in ('NFC', 'NFD')]
  whole = [slashes] + [s for s, _ in spellings]
  # data/images/a.jpg may be images/a.jpg here, or else a.jpg.
  spellings += [(s.split('/', left_out)[-1].lstrip('/'), FOLDERS)
                for left_out in range(1, plain.count('/') + 1)
                for s in whole if s.count('/') >= left_out]
  found = collections.OrderedDict()
  for spelling, how in spellings:
    if spelling and spelling != name:
      found.setdefault(spelling, how)
  return list(found.items())


def _may_differ(name, folder):
  """Whether to look for the file of a name before it is read.

  A question to a bucket takes long, so a plain name is not looked for.
  """
  if any(c in '\\%' or ord(c) > 127 for c in name):
    return True
  return '/' in name and '://' not in folder


def find(folder: str, images: Any) -> Tuple[Any, List[str]]:
  """Images with the names of the files that are meant.

  No file is taken for two names: where another entry names it exactly, or two
  names could mean it, the name stays, and reading it fails with a message.

  Args:
    folder: the folder of the files; a name, not a pattern.
    images: [entry with 'file_name']; what is no such entry is left alone.

  Returns:
    [entry] with 'file_name' changed where a file has another spelling of it,
    [note for people].
  """
  names = [i['file_name'] for i in images or [] if isinstance(i, dict)
           and isinstance(i.get('file_name'), str) and i['file_name']]
  found, notes = meant(folder, names)
  if not isinstance(images, list):
    return images, notes
  return [dict(i, file_name=found.get(i['file_name'], i['file_name']))
          if isinstance(i, dict) and isinstance(i.get('file_name'), str) else i
          for i in images], notes + _shared(images)


def meant(folder: str,
          names: Sequence[str]) -> Tuple[Dict[str, str], List[str]]:
  """The files that names mean, where it is not the file of just that name.

  Args:
    folder: the folder of the files; a name, not a pattern.
    names: [str], not empty; one may occur twice.

  Returns:
    {name: name of a file}, [note for people].
  """
  taken, found, reasons = set(names), {}, collections.OrderedDict()
  endings = _count_endings(taken)
  for name in collections.OrderedDict.fromkeys(names):
    if not _may_differ(name, folder) or is_file(folder, name):
      continue
    for spelling, how in other_spellings(name):
      if spelling in taken or not is_file(folder, spelling) or (
          how == FOLDERS and endings[urllib.parse.unquote(spelling)] > 1):
        continue
      taken.add(spelling)
      found[name] = spelling
      reasons.setdefault(how, []).append(name)
      break
  return found, [
      '%d file names do not exist as they are written; %s: %r is %r.' % (
          len(given), how, given[0], found[given[0]])
      for how, given in reasons.items()]


def _count_endings(names):
  """Counter of the names that end with each of their last parts."""
  endings = collections.Counter()
  for name in names:
    parts = urllib.parse.unquote(name.replace('\\', '/')).split('/')
    endings.update('/'.join(parts[i:]) for i in range(len(parts)))
  return endings


def meant_once(folder: str,
               names: Sequence[str]) -> Tuple[Dict[str, str], List[str]]:
  """The files that names mean, where two spellings mean one image.

  Args:
    folder: the folder of the files; a name, not a pattern.
    names: [str], not empty; one may occur twice.

  Returns:
    {name: name of its file}, for each of the names; [note for people].
  """
  firsts = {}
  keys = {name: os.path.normpath(name.replace('\\', '/')) for name in names}
  for name in names:
    firsts.setdefault(keys[name], name)
  found, notes = meant(folder, list(firsts.values()))
  meant_by = {key: found.get(name, name) for key, name in firsts.items()}
  return {name: meant_by[key] for name, key in keys.items()}, notes


def read(folder: str, name: str) -> bytes:
  """Content of the file of an image that annotations name.

  Args:
    folder: the folder of the images.
    name: within it.

  Returns:
    bytes.

  Raises:
    OSError: if the name leads out of the folder.
    tf.errors.OpError: if the file cannot be read.
  """
  with tf.gfile.Open(files.path_within(folder, name), 'rb') as f:
    return f.read()


def is_file(folder: str, name: str) -> bool:
  """Whether there is a file of this name within the folder.

  Args:
    folder: the folder of the images.
    name: within it.

  Returns:
    bool.
  """
  try:
    path = files.path_within(folder, name)
  except OSError:
    return False
  return tf.gfile.Exists(path) and not tf.gfile.IsDirectory(path)


def _shared(images):
  """[note] when images of different ids are one file."""
  owners = collections.OrderedDict()
  for image in images:
    if isinstance(image, dict) and isinstance(image.get('file_name'), str):
      owners.setdefault(image['file_name'], []).append(image.get('id'))
  shared = [(n, o) for n, o in owners.items() if len(set(map(str, o))) > 1]
  if not shared:
    return []
  name, image_ids = shared[0]
  return ['%d files are named by more than one image, such as %s by the images '
          '%s: each gets a record of the same pixels. Are their objects those '
          'of one image?' % (len(shared), name, ids.name_some(image_ids))]
