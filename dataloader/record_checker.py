"""Checks the parts that all records have: an Example, an id, an image."""

import collections
import hashlib
import itertools
from typing import Any, List, Mapping, NamedTuple

from dataloader import examples
from dataloader import image_checks


class Finding(NamedTuple):
  """The result of a check.

  Attributes:
    level: ERROR (training stops or learns something wrong), WARNING (probably a
      mistake) or NOTE.
    check: its name.
    where: 'file: record 3, image/source_id 7'.
    detail: what is wrong.
  """
  level: str
  check: str
  where: str
  detail: str


ERROR, WARNING, NOTE = (image_checks.ERROR, image_checks.WARNING,
                        image_checks.NOTE)
EVERYTHING = 'all records'

# Parsing fails for a list of another kind.
_KINDS = {'image/encoded': 'bytes_list', 'image/source_id': 'bytes_list',
          'image/height': 'int64_list', 'image/width': 'int64_list',
          'image/object/class/label': 'int64_list',
          'image/object/is_crowd': 'int64_list',
          'image/object/area': 'float_list'}
_KINDS.update({'image/object/bbox/' + side: 'float_list'
               for side in ('ymin', 'xmin', 'ymax', 'xmax')})

_MANY_COPIES = .5  # share of the records
_NAMED_CLASSES = 20  # in a note


class RecordChecker:
  """Takes one record after the other; keeps counts, not records.

  Subclasses for each kind of model define what is counted, and check the
  labels.
  """

  UNIT = 'objects'  # what `class_counts` counts

  def __init__(self, num_classes: int, decode: bool = True) -> None:
    """Takes the settings.

    Args:
      num_classes: int; classes are 0 to num_classes - 1.
      decode: whether to decode images and masks, which takes most time.
    """
    self._num_classes = num_classes
    self._decode = decode
    self._first_of_id = {}
    self._digests = set()
    self._images = set()  # digests
    self._in_both = []  # where in the other records
    self.findings = []
    self.num_records = self.num_without_objects = self.num_crowds = 0
    self.class_counts = collections.Counter()
    self.size_counts = collections.Counter()
    self.object_counts = collections.Counter()  # {objects of an image: count}

  def _add(self, level, check, where, detail):
    self.findings.append(Finding(level, check, where, detail))

  def check(self, path: str, number: int, serialized: bytes) -> None:
    """Checks one record.

    Args:
      path: path of its file.
      number: int, in the file, from 0.
      serialized: bytes.
    """
    self.num_records += 1
    where = '%s: record %d' % (path, number)
    try:
      features = examples.features_of(serialized)
    except examples.ExampleError:
      self._add(ERROR, 'no_example', where, 'It is not a tf.train.Example.')
      return
    self._check_kinds(features, where)
    where = self._check_id(features, where)
    encoded = first_bytes(features, 'image/encoded')
    size, found = image_checks.check_image(
        encoded, image_checks.stored_size(features), self._decode)
    for level, check, detail in found:
      self._add(level, check, where, detail)
    digest = hashlib.md5(encoded)
    self._images.add(digest.digest())
    digest.update(repr(self._check_labels(features, size, where)).encode())
    self._digests.add(digest.digest())

  def compare(self, path: str, number: int, serialized: bytes) -> None:
    """Looks for the image of an evaluation among those that were checked.

    Args:
      path: path of its file.
      number: int, in the file, from 0.
      serialized: bytes; what is not an Example counts as another image.
    """
    try:
      encoded = first_bytes(examples.features_of(serialized), 'image/encoded')
    except examples.ExampleError:
      return
    if encoded and hashlib.md5(encoded).digest() in self._images:
      self._in_both.append('%s: record %d' % (path, number))

  def not_compared(self, reason: str) -> None:
    """Adds the finding that the images of the evaluation cannot be read."""
    self._add(NOTE, 'not_compared', EVERYTHING,
              'Their images are not compared with those of the evaluation: %s'
              % reason)

  def _check_kinds(self, features, where):
    for key, kind in sorted(_KINDS.items()):
      found = features[key].WhichOneof('kind') if key in features else None
      if found not in (None, kind):
        self._add(ERROR, 'wrong_kind', where, '%s is a %s. It has to be a %s.'
                  % (key, found, kind))

  def _check_id(self, features, where):
    """`where` with the id of the image."""
    source_id = first_bytes(features, 'image/source_id')
    if not source_id:
      self._add(NOTE, 'no_id', where,
                'It has no image/source_id; one is made of its bytes.')
      return where
    name = source_id.decode('utf-8', 'replace')
    where += ', image/source_id %s' % name
    first = self._first_of_id.setdefault(source_id, where)
    if first is not where:
      self._add(ERROR, 'duplicate_id', where,
                'The id is that of %s, too: evaluation cannot tell the '
                'images apart.' % first)
    return where

  def _check_labels(self, features, size, where):
    """Checks and counts the labels.

    Args:
      features: {key: Feature}.
      size: (height, width) of the image, or None.
      where: str.

    Returns:
      A value that is equal for equal labels.
    """
    raise NotImplementedError

  def _check_all_labels(self):
    """Adds the findings about the labels of all records together."""
    raise NotImplementedError

  def finish(self) -> List[Finding]:
    """Adds the findings about all records together.

    Returns:
      [Finding], the worst first.
    """
    self._check_all_labels()
    num_copies = self.num_records - len(self._digests)
    if num_copies > _MANY_COPIES * self.num_records:
      all_are = len(self._digests) == 1
      self._add(WARNING, 'duplicate_images', EVERYTHING,
                '%d of %d records repeat another one, image and labels.%s' % (
                    num_copies, self.num_records,
                    ' Nothing can be learnt from such a set.' if all_are
                    else ''))
    if self._in_both:
      self._add(WARNING, 'images_in_both', self._in_both[0],
                '%d of the images to evaluate are trained on, too: the '
                'evaluation looks better than it is.' % len(self._in_both))
    order = {ERROR: 0, WARNING: 1, NOTE: 2}
    self.findings.sort(key=lambda f: (order[f.level], f.check))
    return self.findings

  def share_without_anchor(self) -> float:
    """Share of the objects that no anchor fits, 0..1."""
    return 0.

  def _missing_classes(self, first):
    """Adds the classes from `first` on that do not occur."""
    # A configuration may by mistake have more of them than a list can hold.
    classes = range(first, self._num_classes)
    missing = len(classes) - sum(i in classes for i in self.class_counts)
    if missing:
      shown = itertools.islice(
          (i for i in classes if i not in self.class_counts), _NAMED_CLASSES)
      self._add(NOTE, 'class_gaps', EVERYTHING,
                '%d of %d classes have no %s: %s%s.' % (
                    missing, len(classes), self.UNIT.rstrip('s'),
                    ', '.join(map(str, shown)),
                    ' ...' if missing > _NAMED_CLASSES else ''))


def first_bytes(features: Mapping[str, Any], key: str) -> bytes:
  """The first bytes of a feature; empty when there are none."""
  values = features[key].bytes_list.value
  return values[0] if values else b''
