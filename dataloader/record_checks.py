"""Looks into the first records before a training starts."""

import tensorflow.compat.v1 as tf

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


def _features(serialized):
  """{key: Feature}; of no key for what is no Example, which parsing reports."""
  try:
    return tf.train.Example.FromString(serialized).features.feature
  except Exception:  # pylint: disable=broad-except
    # The type depends on the implementation of protobuf.
    return tf.train.Example().features.feature
