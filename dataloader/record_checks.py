"""Checks the first records before a training run starts."""

import logging
from typing import Iterable, Optional, Sequence

import tensorflow.compat.v1 as tf

from configs import base
from dataloader import data_checks
from dataloader import examples
from dataloader import mask_crops
from dataloader import record_files

# The first objects show whether a set has masks; reading all of a large set
# would take as long as training on it.
_MAX_FILES = 4
_MAX_RECORDS = 50  # of a file, until one has an object


def check_masks(files: Sequence[str], key: str, advice: str,
                mask_classes: Optional[Iterable[int]] = None) -> None:
  """Finds out whether the objects of records have masks.

  A later record without masks is found when it is parsed.

  Args:
    files: [path].
    key: configuration key of their pattern, for the error.
    advice: str, what to do about it, for the error.
    mask_classes: ids of the classes whose objects need a mask; None: all.

  Raises:
    ValueError: naming the key, the file and the record that lacks masks.
  """
  for path in files[:_MAX_FILES]:
    for _, number, serialized in record_files.iterate([path], _MAX_RECORDS):
      features = _features(serialized)
      classes = features['image/object/class/label'].int64_list.value
      masks = features['image/object/mask'].bytes_list.value
      if _lacks_masks(classes, masks, mask_classes):
        source_id = features['image/source_id'].bytes_list.value
        raise ValueError(
            '%s: %s: record %d (counting from 0): %s' % (
                key, path, number, mask_crops.missing_masks(
                    source_id[0].decode('utf-8', 'replace') if source_id
                    else '(no id)', str(len(classes)),
                    str(sum(map(bool, masks))), advice)))
      if len(classes):
        break


def _lacks_masks(classes, masks, mask_classes):
  """Whether an object of a class that needs a mask has none."""
  if mask_classes is None:
    return len(classes) != len(masks) or not all(masks)
  if not masks:
    masks = [b''] * len(classes)
  return len(classes) != len(masks) or not all(
      mask for class_id, mask in zip(classes, masks)
      if class_id in mask_classes)


# Findings that stop any training run, or make it learn nothing.
_FATAL = ('no_example', 'wrong_kind', 'box_not_finite', 'class_0',
          'class_range', 'box_in_pixels', 'list_lengths',
          data_checks.TOO_MANY_TO_LEARN)
# Findings that training accepts, but an evaluation of such a set does not.
_NOT_EVALUATED = {
    data_checks.TOO_MANY: 'Training learns all of them, an evaluation stops '
                          'at such an image: raise it to the largest number of '
                          'objects in an image.',
    data_checks.TOO_LARGE: ''}
# Findings that leave nothing to learn if they hold for all records of a set.
_USELESS = ('no_objects', 'all_crowds', 'nothing_to_learn', 'ignored_pixels',
            'duplicate_images', 'one_class')
# Those of them that nobody wants, not even for a trial.
_HOPELESS = ('all_crowds', 'ignored_pixels')


def check_first(files: Sequence[str], key: str, config: base.Config) -> None:
  """Stops a training run that cannot work, before it starts; warns of doubts.

  Args:
    files: [path].
    key: configuration key of their pattern, for the error.
    config: an experiment.

  Raises:
    ValueError: naming the key, the record and what is wrong with it.
  """
  checker = data_checks.for_config(config, decode=False)
  is_all = len(files) <= _MAX_FILES
  for path in files[:_MAX_FILES]:
    num_records = 0
    for record in record_files.iterate([path], _MAX_RECORDS):
      checker.check(*record)
      num_records += 1
    is_all = is_all and num_records < _MAX_RECORDS
  for finding in checker.findings:
    if finding.check in _FATAL:
      raise ValueError('%s: %s: %s python -m tools.check_data looks through '
                       'all records.' % (key, finding.where, finding.detail))
  _check_inverted(checker, key)
  _note_not_evaluated(checker, key)
  _check_use(checker, key, is_all)


def _note_not_evaluated(checker, key):
  """Warns of the first record of each kind at which evaluation would stop."""
  for check, advice in sorted(_NOT_EVALUATED.items()):
    found = [f for f in checker.findings if f.check == check]
    if found:
      logging.warning('%s: %s: %s', key, found[0].where,
                      ' '.join([found[0].detail, advice]).strip())


def _check_inverted(checker, key):
  """Raises ValueError if all boxes have their corners exchanged."""
  num_boxes = sum(checker.class_counts.values())
  inverted = [f for f in checker.findings if f.check == 'box_inverted']
  if num_boxes and len(inverted) == num_boxes:
    raise ValueError(
        '%s: all of the first %d boxes are inverted, for instance %s: %s Are '
        'ymin and ymax, or xmin and xmax, exchanged?' % (
            key, num_boxes, inverted[0].where, inverted[0].detail))


def _check_use(checker, key, is_all):
  """Warns of records with nothing to learn; ValueError if that is certain.

  Args:
    checker: record_checker.RecordChecker, not finished.
    key: configuration key.
    is_all: whether it has seen all records of the set.
  """
  for finding in checker.finish():
    if finding.check not in _USELESS or finding.level == data_checks.NOTE:
      continue
    text = '%s: %s of %d records: %s' % (
        key, 'all' if is_all else 'the first', checker.num_records,
        finding.detail)
    if (is_all and finding.check in _HOPELESS
        and finding.level == data_checks.ERROR):
      raise ValueError(text + ' Nothing can be learnt from such a set.')
    logging.warning('%s', text)


def _features(serialized):
  """{key: Feature}; empty for what is not an Example, which parsing reports."""
  try:
    return examples.features_of(serialized)
  except examples.ExampleError:
    return tf.train.Example().features.feature
