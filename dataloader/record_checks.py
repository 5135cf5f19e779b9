"""Looks into the first records before a training starts."""

import tensorflow.compat.v1 as tf

from dataloader import mask_crops
from dataloader import record_files

# A set without masks shows in its first objects; looking through all of a large
# set would take as long as training on it.
_MAX_FILES = 4
_MAX_RECORDS = 50  # of a file, until one has an object


def check_masks(files, key):
  """Finds out whether the objects of records have masks.

  A record behind those looked at is found when it is parsed.

  Args:
    files: [path].
    key: configuration key of their pattern, for the error.

  Raises:
    ValueError: naming the key, the file and the record that lacks masks.
  """
  for path in files[:_MAX_FILES]:
    for _, number, serialized in record_files.iterate([path], _MAX_RECORDS):
      features = _features(serialized)
      num_objects = len(features['image/object/class/label'].int64_list.value)
      masks = features['image/object/mask'].bytes_list.value
      if num_objects != len(masks) or not all(masks):
        source_id = features['image/source_id'].bytes_list.value
        raise ValueError(
            '%s: %s: record %d (counting from 0): %s' % (
                key, path, number, mask_crops.missing_masks(
                    source_id[0].decode('utf-8', 'replace') if source_id
                    else '(no id)', str(num_objects),
                    str(sum(map(bool, masks))))))
      if num_objects:
        break


def _features(serialized):
  """{key: Feature}; of no key for what is no Example, which parsing reports."""
  try:
    return tf.train.Example.FromString(serialized).features.feature
  except Exception:  # pylint: disable=broad-except
    # The type depends on the implementation of protobuf.
    return tf.train.Example().features.feature
