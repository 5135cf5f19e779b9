"""Which image a Pascal VOC annotation belongs to.

Programs copy <filename> from one annotation to the next, so the image that has
the name of the XML file goes before it.
"""

import collections
import os
from typing import Dict, Iterable, List, Mapping, NamedTuple, Tuple

from dataloader import file_patterns
from tools.datasets import annotation_checks
from tools.datasets import image_folders
from tools.datasets import image_names

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


def find(folder: str, given: Mapping[str, str]) -> Found:
  """Finds the images.

  Args:
    folder: the folder of the images; a name, not a pattern.
    given: {name of the annotation without .xml: its <filename>, may be ''}.

  Returns:
    Found.
  """
  listed = set(file_patterns.names_in(folder, image_folders.EXTENSIONS))
  by_stem = collections.defaultdict(list)
  for file_name in sorted(listed):
    by_stem[os.path.splitext(file_name)[0]].append(file_name)
  found = Found({}, {}, {})
  for name in sorted(given):
    _choose(found, name, given[name], folder, listed, by_stem)
  _leave_out_taken(found)
  return found


def _choose(found, name, file_name, folder, listed, by_stem):
  """Puts the image of one annotation into `found`."""
  own = by_stem.get(name, ())
  named = _existing(file_name, folder, listed, by_stem)
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


def _existing(file_name, folder, listed, by_stem):
  """The file that is meant by <filename>, or None."""
  spellings = [file_name] + [s for s, _ in image_names.other_spellings(
      file_name)] if file_name else []
  for spelling in spellings:
    if spelling in listed or '/' in spelling and (
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
    stem = os.path.splitext(os.path.basename(file_name))[0]
    owner = stem if stem in names else min(names)
    for name in names:
      if name != owner:
        del found.used[name]
        found.unusable[name] = (TAKEN, '%s.xml and %s.xml name %s' % (
            name, owner, file_name))
