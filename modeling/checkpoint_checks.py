"""Whether a checkpoint is complete: all files there, every value readable."""

import os
import re
from typing import Callable, Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf

_SHARD = re.compile(r'\.data-(\d{5})-of-(\d{5})$')
_SHOWN = 3


class Contents(NamedTuple):
  """The variables in a checkpoint.

  Attributes:
    prefix: prefix of the checkpoint.
    shapes: {name: shape}.
    dtypes: {name: type}.
  """
  prefix: str
  shapes: Dict[str, List[int]]
  dtypes: Dict[str, tf.DType]


class BrokenCheckpointError(ValueError):
  """A checkpoint that is not complete."""


def read_contents(prefix: str) -> Contents:
  """The variables that the index of a checkpoint lists; no value is read.

  Args:
    prefix: local path.

  Returns:
    Contents.

  Raises:
    BrokenCheckpointError: if its index cannot be read; or because of the name.
  """
  if re.search(r'[\[\]*?]', prefix):
    raise BrokenCheckpointError(
        'TensorFlow takes the brackets, * and ? of %s for a pattern and does '
        'not find the checkpoint: rename the folder.' % prefix)
  try:
    reader = tf.train.load_checkpoint(prefix)
    return Contents(prefix, reader.get_variable_to_shape_map(),
                    reader.get_variable_to_dtype_map())
  except (tf.errors.OpError, ValueError, RuntimeError) as e:
    raise BrokenCheckpointError(
        '%s.index cannot be read: %s. It is damaged, or not the index of a '
        'TensorFlow checkpoint.' % (prefix, _first_line(e)))


def check_files(contents: Contents) -> None:
  """Checks that all parts are there, and as long as the index says.

  TensorFlow itself notices a file that is cut off only when it restores a
  variable past the cut.

  Args:
    contents: Contents.

  Raises:
    BrokenCheckpointError: naming files and lengths.
  """
  sizes = _part_sizes(contents.prefix)
  there = sum(sizes.values())
  lengths = [_length(contents, name) for name in contents.shapes]
  needed = sum(length for length in lengths if length is not None)
  if there < needed or there > needed and None not in lengths:
    files = ', '.join('%s: %s bytes' % (os.path.basename(path),
                                        format(size, ','))
                      for path, size in sorted(sizes.items()))
    raise BrokenCheckpointError(
        '%s is %s: its index lists values of %s bytes, and there are %s (%s). '
        '%s' % (contents.prefix, 'cut off' if there < needed else
                'a mixture of two checkpoints', format(needed, ','),
                format(there, ','), files, _advice(sizes.values())))


def check_values(contents: Contents,
                 report: Optional[Callable[[int, int], None]] = None) -> None:
  """Reads every value of a checkpoint once.

  Args:
    contents: Contents.
    report: function that is called with (values read, number of all values).

  Raises:
    BrokenCheckpointError: naming variables that cannot be read, or that are not
      numbers.
  """
  reader = tf.train.load_checkpoint(contents.prefix)
  broken, not_finite = [], []
  for i, name in enumerate(sorted(contents.shapes)):
    try:
      value = reader.get_tensor(name)
    except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as e:
      broken.append('%s (%s)' % (name, _first_line(e)))
      continue
    if value.dtype.kind == 'f' and not np.isfinite(value).all():
      not_finite.append(name)
    if report:
      report(i + 1, len(contents.shapes))
  if broken:
    raise BrokenCheckpointError(
        '%d of the %d values of %s cannot be read: %s. The file is damaged; '
        'get it again.' % (len(broken), len(contents.shapes), contents.prefix,
                           _some(broken)))
  if not_finite:
    raise BrokenCheckpointError(
        '%d of the values of %s are infinite or not numbers: %s. The training '
        'run that wrote it had diverged.' % (
            len(not_finite), contents.prefix, _some(not_finite)))


def _part_sizes(prefix):
  """{path: bytes} of the data files.

  Raises:
    BrokenCheckpointError: if one is missing.
  """
  paths = [path for path in tf.gfile.Glob(prefix + '.data-*')
           if _SHARD.search(path)]
  totals = {int(_SHARD.search(path).group(2)) for path in paths}
  if len(totals) != 1:
    raise BrokenCheckpointError(
        '%s.index is there, but %s.' % (prefix, (
            'there are data files of several checkpoints of this name: %s'
            % ', '.join(map(os.path.basename, sorted(paths)))) if totals else
            'no file %s.data-00000-of-00001 or similar is next to it: the '
            'values are missing' % os.path.basename(prefix)))
  total = totals.pop()
  missing = [i for i in range(total) if '%s.data-%05d-of-%05d' % (
      prefix, i, total) not in paths]
  if missing:
    raise BrokenCheckpointError(
        '%s has %d data files, and %d of them are missing: %s.' % (
            prefix, total, len(missing), _some([
                '%s.data-%05d-of-%05d' % (os.path.basename(prefix), i, total)
                for i in missing])))
  return {path: tf.gfile.Stat(path).length for path in paths}


def _length(contents, name):
  """Bytes of a value, or None where that is not known (text)."""
  dtype = contents.dtypes[name]
  if dtype == tf.string:
    return None
  return int(np.prod(contents.shapes[name], dtype=np.int64)) * dtype.size


def _advice(sizes):
  # Two of the published Mask R-CNN archives were so, see tensorflow/tpu#775.
  if 2**29 + 1 in sizes:
    return ('A length of 536,870,913 bytes is known from archives that were '
            'published incomplete: get a newer one.')
  return 'Get it again from where it came from.'


def _first_line(error):
  return str(getattr(error, 'message', None) or error).split('\n')[0]


def _some(names):
  more = len(names) - _SHOWN
  return ', '.join(names[:_SHOWN]) + (
      ' and %d more' % more if more > 0 else '')
