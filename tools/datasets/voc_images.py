"""The annotations of Pascal VOC, and which image each of them belongs to.

Programs copy <filename> from one annotation to the next, so the image that has
the name of the XML file goes before it.
"""

import collections
import os
import posixpath
from typing import Collection, Dict, Iterable, List, Mapping, NamedTuple, Tuple

from dataloader import file_patterns
from ops import tensorflow_later as tf
from tools.datasets import annotation_checks
from tools.datasets import image_folders
from tools.datasets import image_names
from utils import text_files

AMBIGUOUS = 'several images have the name of the annotation'
TAKEN = 'its image is that of another annotation'


class Found(NamedTuple):
  """The images of annotations.

  Attributes:
    used: {annotation: name of its image}.
    others: {annotation: text}, what a person should know about the choice.
    unusable: {annotation: (reason, detail)} of those without an image.
  """
  used: Dict[str, str]
  others: Dict[str, str]
  unusable: Dict[str, Tuple[str, str]]

  def notes(self, names: Iterable[str]) -> List[str]:
    """[note] about these annotations."""
    texts = [self.others[name] for name in names if name in self.others]
    if not texts:
      return []
    return ['%d annotations name an image that is not called as they are: %s%s.'
            % (len(texts), '; '.join(texts[:3]),
               '; ...' if len(texts) > 3 else '')]

  def skips(self, names: Iterable[str]) -> List[annotation_checks.Skip]:
    """[annotation_checks.Skip] of these annotations."""
    return [annotation_checks.Skip('image', name, None, *self.unusable[name])
            for name in names if name in self.unusable]


def annotation_files(folder: str) -> Dict[str, str]:
  """The annotations in a folder and in the folders within it.

  Args:
    folder: path; a name, not a pattern.

  Returns:
    {path within the folder, with '/', without .xml: path}.

  Raises:
    ConversionError: if there is none.
  """
  paths = {name[:-len('.xml')]: os.path.join(folder, name)
           for name in _below(folder, '.xml')}
  if not paths:
    raise annotation_checks.ConversionError('There is no .xml file in %s.'
                                            % folder)
  return paths


def has_annotations(folder: str) -> bool:
  """Whether there is one in a folder or in the folders within it."""
  return any(_below(folder, '.xml'))


def _below(folder, ending):
  """Paths within a folder of the files with an ending, hidden ones left out."""
  if tf.gfile.IsDirectory(folder):
    for current, inside in image_folders.visible(folder):
      for name in file_patterns.names_in(current, ending):
        yield posixpath.join(inside, name)


def listed(path: str, annotations: str, known: Collection[str],
           notes: List[str]) -> List[str]:
  """The annotations that a list names, each once.

  Args:
    path: path of the list.
    annotations: the folder of the annotations, for messages.
    known: the names of all annotations.
    notes: extended by sentences.

  Returns:
    [name].

  Raises:
    ConversionError: if an image of the list has no annotation, or none is
      named.
  """
  by_stem = image_folders.by_stem(name + '.xml' for name in known)
  names = [_known_name(line, known, by_stem)
           for line in text_files.read_lines(path, tf.gfile.Open) if line]
  if not names:
    raise annotation_checks.ConversionError('%s names no image.' % path)
  missing = sorted(set(names) - set(known))
  if missing:
    raise annotation_checks.ConversionError(
        '%d images of the split %s have no file in %s, such as %s.xml. An '
        'image without objects needs one as well.' % (
            len(missing), image_folders.stem(path),
            os.path.basename(annotations), missing[0]))
  unique = list(collections.OrderedDict.fromkeys(names))
  if len(unique) < len(names):
    notes.append('%d lines of %s repeat an image; each is used once.' % (
        len(names) - len(unique), os.path.basename(path)))
  return unique


def _known_name(line, known, by_stem):
  """The name in a line of a list.

  The lists of single classes have a number behind the name, other programs
  write the name or path of the image. Names may have blanks, though.
  """
  first = line.split()[0]
  texts = [text.replace('\\', '/')
           for text in (line, line.rsplit(None, 1)[0], first)]
  texts += [os.path.splitext(text)[0] for text in texts]
  texts += [os.path.basename(text) for text in texts]
  # In subfolders, where the list does not say in which one.
  texts += [by_stem[text][0][:-len('.xml')] for text in texts
            if len(by_stem.get(text, ())) == 1]
  return next((text for text in texts if text in known), first)


def find(folder: str, given: Mapping[str, str]) -> Found:
  """Finds the images.

  Args:
    folder: the folder of the images; a name, not a pattern.
    given: {name of the annotation without .xml: its <filename>, may be ''}.

  Returns:
    Found.
  """
  files = set(_below(folder, image_folders.EXTENSIONS))
  by_stem = collections.defaultdict(list)
  for file_name in sorted(files):
    by_stem[os.path.splitext(file_name)[0]].append(file_name)
  # Only the annotations may lie in subfolders, or only the images.
  anywhere = image_folders.by_stem(sorted(files))
  found = Found({}, {}, {})
  for name in sorted(given):
    own = by_stem.get(name) or anywhere.get(
        os.path.basename(name), [])
    _choose(found, name, given[name], own,
            _existing(given[name], folder, files, by_stem))
  _leave_out_taken(found)
  return found


def _choose(found, name, file_name, own, named):
  """Puts the image of one annotation into `found`.

  Args:
    found: Found.
    name: of the annotation.
    file_name: its <filename>, may be ''.
    own: [file] that are called as the annotation is.
    named: the file that <filename> means, or None.
  """
  if named in own:
    found.used[name] = named
  elif len(own) > 1:
    found.unusable[name] = (AMBIGUOUS, ' and '.join(own))
  elif own:
    found.used[name] = own[0]
    if named:
      found.others[name] = '%s.xml names %s, and %s is used' % (
          name, named, own[0])
  else:
    # A missing one is reported when it is read.
    found.used[name] = named or file_name or name


def _existing(file_name, folder, files, by_stem):
  """The file that is meant by <filename>, or None."""
  spellings = [file_name] + [s for s, _ in image_names.other_spellings(
      file_name)] if file_name else []
  for spelling in spellings:
    if spelling in files or '/' in spelling and (
        image_names.is_file(folder, spelling)):
      return spelling
    if len(by_stem.get(spelling, ())) == 1:
      return by_stem[spelling][0]  # a name without its ending
  return None


def _leave_out_taken(found):
  """Of the annotations of one image, keeps that of its name, or the first."""
  by_file = collections.defaultdict(list)
  for name, file_name in found.used.items():
    by_file[file_name].append(name)
  for file_name, names in by_file.items():
    stem = os.path.splitext(file_name)[0]
    owner = next((n for n in (stem, os.path.basename(stem)) if n in names),
                 min(names))
    for name in names:
      if name != owner:
        del found.used[name]
        found.unusable[name] = (TAKEN, '%s.xml and %s.xml name %s' % (
            name, owner, file_name))
