"""What a conversion has to say about its images, counted."""

import collections
from typing import List, Optional, Sequence

_NUM_NAMES = 2  # shown of the images of a note; the note counts all


class ImageNotes:
  """Takes what was noted about one image after the other."""

  def __init__(self) -> None:
    self._names = collections.OrderedDict()  # {note: [name]}
    self._firsts = {}                        # {digest: name}
    self._num_images = 0

  def add(self, name: str, notes: Sequence[str],
          digest: Optional[str] = None) -> None:
    """Adds an image that was written.

    Args:
      name: name of its file, for messages.
      notes: [str]; a note that occurs twice counts once.
      digest: the same for images of the same content; None: not known.
    """
    self._num_images += 1
    for note in sorted(set(notes)):
      self._names.setdefault(note, []).append(name)
    if digest is not None and self._firsts.setdefault(digest, name) != name:
      self._names.setdefault(
          'the content is that of an image before', []).append(name)

  def lines(self) -> List[str]:
    """['3 images: transparency is ignored (a.png, b.png, ...)']."""
    lines = ['%d image%s: %s (%s%s)' % (
        len(names), 's' if len(names) > 1 else '', note,
        ', '.join(names[:_NUM_NAMES]),
        ', ...' if len(names) > _NUM_NAMES else '')
             for note, names in self._names.items()]
    if len(self._firsts) == 1 and self._num_images > 1:
      lines.append('All %d images are copies of one. Nothing can be learnt '
                   'from such a set.' % self._num_images)
    return lines
