"""Looks into the first records before a training starts."""

import tensorflow.compat.v1 as tf

from dataloader import data_checks
from dataloader import mask_crops
from dataloader import record_files

# A set without masks shows in its first objects; looking through all of a large
# set would take as long as training on it.
_MAX_FILES = 4
_MAX_RECORDS = 50  # of a file, until one has an object


def check_masks(files, key, advice, mask_classes=None):
  """Finds out whether the objects of records have masks.

  A record behind those looked at is found when it is parsed.

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


# What no training survives, or what makes it learn nothing.
_FATAL = ('class_0', 'class_range', 'box_in_pixels', 'list_lengths')


def check_first(files, key, config):
  """Stops a training that cannot work, before it starts.

  Args:
    files: [path].
    key: configuration key of their pattern, for the error.
    config: experiment with a parser of boxes.

  Raises:
    ValueError: naming the key, the record and what is wrong with it.
  """
  checker = data_checks.for_config(config, decode=False)
  for path in files[:_MAX_FILES]:
    for record in record_files.iterate([path], _MAX_RECORDS):
      checker.check(*record)
  for finding in checker.findings:
    if finding.check in _FATAL:
      raise ValueError('%s: %s: %s python -m tools.check_data looks through '
                       'all records.' % (key, finding.where, finding.detail))
  num_boxes = sum(checker.class_counts.values())
  inverted = [f for f in checker.findings if f.check == 'box_inverted']
  if num_boxes and len(inverted) == num_boxes:
    raise ValueError(
        '%s: all of the first %d boxes are inverted, for instance %s: %s Are '
        'ymin and ymax, or xmin and xmax, exchanged?' % (
            key, num_boxes, inverted[0].where, inverted[0].detail))


def _features(serialized):
  """{key: Feature}; of no key for what is no Example, which parsing reports."""
  try:
    return tf.train.Example.FromString(serialized).features.feature
  except Exception:  # pylint: disable=broad-except
    # The type depends on the implementation of protobuf.
    return tf.train.Example().features.feature
