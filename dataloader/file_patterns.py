"""File patterns, local or in a bucket, with errors that name the key."""

import os
import re
from typing import List, Sequence, Tuple, Union

from ops import tensorflow_later as tf

# Files that the converters write next to the shards. A pattern such as
# `train-*` is meant for the records.
_NOT_RECORDS = ('.json', '.csv', '.txt')


def glob(pattern: str) -> List[str]:
  """Sorted paths; a folder that does not exist has none."""
  try:
    return sorted(tf.gfile.Glob(pattern))
  except tf.errors.NotFoundError:  # TF 1.15 raises it for a missing folder.
    return []


def escape(path: str) -> str:
  """A pattern that matches this path alone, whatever signs its names have.

  To be followed by a pattern, as in escape('set [v2]/train') + '-*'.
  """
  return re.sub(r'([*?[])', r'[\1]', path.replace('\\', '\\\\'))


def _with_literal_names(pattern):
  """Escapes signs in the names of folders and files that really have them.

  /data/set [v2]/train-* means the folder of that name where there is one,
  although, as a pattern, it would mean `set v` and `set 2`.
  """
  parts, names = [], pattern.split('/')
  for number, part in enumerate(names):
    # The * and ? of the last part are those of a pattern.
    literal = (escape(part) if number + 1 < len(names)
               else part.replace('[', '[[]'))
    if literal != part and glob('/'.join(parts + [literal])):
      part = literal
    parts.append(part)
  return '/'.join(parts)


def names_in(folder: str, ending: Union[str, Tuple[str, ...]]) -> List[str]:
  """Names of the files in a folder with an ending, in upper or lower case.

  Hidden files are left out: macOS leaves ._a.xml next to a.xml.

  Args:
    folder: path; a name, not a pattern.
    ending: such as '.xml', or a tuple of endings, in lower case.

  Returns:
    [str], sorted; empty where there is no folder.
  """
  if not tf.gfile.IsDirectory(folder):
    return []
  return sorted(name for name in tf.gfile.ListDirectory(folder)
                if name.lower().endswith(ending) and not name.startswith('.'))


def _split(text):
  """The patterns between commas; the text itself where a name has one."""
  if ',' in text and glob(_with_literal_names(text.strip())):
    return [text]
  return text.split(',')


def expand(patterns: Union[str, Sequence[str]], key: str) -> List[str]:
  """Record files of one or more patterns.

  Args:
    patterns: a string, in which commas separate patterns, or a sequence of
      such strings.
    key: configuration key of the pattern, such as `train.train_file_pattern`.

  Signs and commas in the name of an existing folder, and brackets in that of a
  file, are part of that name.

  Returns:
    [path], sorted, each once.

  Raises:
    ValueError: naming the key and the pattern that matches nothing.
  """
  if isinstance(patterns, str):
    patterns = [patterns]
  patterns = [p.strip() for text in patterns or () for p in _split(text)
              if p.strip()]
  if not patterns:
    raise ValueError('%s is not set: it says which TFRecord files to read, '
                     'such as /data/train-*.tfrecord.' % key)
  paths = set()
  for pattern in patterns:
    # Hidden files are those that a converter has not finished.
    matches = [p for p in glob(_with_literal_names(pattern)) if not (
        p.endswith(_NOT_RECORDS) or os.path.basename(p).startswith('.') or
        tf.gfile.IsDirectory(p))]
    if not matches:
      raise ValueError('%s: no file matches %r.' % (key, pattern))
    paths.update(matches)
  return sorted(paths)
