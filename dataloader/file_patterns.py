"""File patterns, local or in a bucket, with errors that name the key."""

import os

import tensorflow.compat.v1 as tf

# What the converters leave beside the shards. A pattern such as `train-*` is
# meant for the records.
_NOT_RECORDS = ('.json', '.csv', '.txt')


def glob(pattern):
  """Sorted paths; a folder that does not exist has none."""
  try:
    return sorted(tf.gfile.Glob(pattern))
  except tf.errors.NotFoundError:  # TF 1.15 raises it for a missing folder.
    return []


def expand(patterns, key):
  """Record files of one or more patterns.

  Args:
    patterns: a string, in which commas separate patterns, or a sequence of
      such strings.
    key: configuration key of the pattern, such as `train.train_file_pattern`.

  Returns:
    [path], sorted, each once.

  Raises:
    ValueError: naming the key and the pattern that matches nothing.
  """
  if isinstance(patterns, str):
    patterns = [patterns]
  patterns = [p.strip() for text in patterns or () for p in text.split(',')
              if p.strip()]
  if not patterns:
    raise ValueError('%s is not set: it says which TFRecord files to read, '
                     'such as /data/train-*.tfrecord.' % key)
  paths = set()
  for pattern in patterns:
    # Hidden files are those that a converter has not finished.
    matches = [p for p in glob(pattern) if not (
        p.endswith(_NOT_RECORDS) or os.path.basename(p).startswith('.') or
        tf.gfile.IsDirectory(p))]
    if not matches:
      raise ValueError('%s: no file matches %r.' % (key, pattern))
    paths.update(matches)
  return sorted(paths)
