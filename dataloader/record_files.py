"""TFRecord files in Python: counting records, and reading them one by one."""

import os
import struct
from typing import Iterator, Optional, Sequence, Tuple

from ops import tensorflow_later as tf

# A record is its length (8 bytes), a checksum of it (4), that many bytes and
# their checksum (4). Source: TensorFlow, TFRecord format.
_HEADER_BYTES = 12
_FOOTER_BYTES = 4
FRAME_BYTES = _HEADER_BYTES + _FOOTER_BYTES


class RecordError(ValueError):
  """A record that cannot be read, with its file and number."""


def count_records(files: Sequence[str]) -> int:
  """Number of records of TFRecord files.

  Args:
    files: [path]. Of local files only the lengths are read.

  Returns:
    int.

  Raises:
    RecordError: naming the file and the record in which it ends too early.
  """
  return sum(_count_remote(path) if '://' in path else _count_local(path)
             for path in files)


def _count_local(path):
  """Steps from record to record."""
  size = os.path.getsize(path)
  count = position = 0
  with open(path, 'rb') as f:
    while position < size:
      f.seek(position)
      header = f.read(_HEADER_BYTES)
      if len(header) == _HEADER_BYTES:
        position += (_HEADER_BYTES + struct.unpack('<Q', header[:8])[0] +
                     _FOOTER_BYTES)
      if len(header) < _HEADER_BYTES or position > size:
        raise RecordError(_broken(path, count, 'the file ends inside of it'))
      count += 1
  return count


def _count_remote(path):
  return sum(1 for _ in iterate([path]))


def _broken(path, number, reason):
  advice = ('Copy or convert the file again.' if number else
            'Is it a TFRecord file, completely copied?')
  return '%s: record %d (counting from 0) cannot be read, %s. %s' % (
      path, number, reason, advice)


def iterate(
    files: Sequence[str],
    num_records: Optional[int] = None) -> Iterator[Tuple[str, int, bytes]]:
  """Yields (path, number in the file, record bytes), checking every byte.

  Args:
    files: [path], read in this order.
    num_records: int, where to stop; None: read all.

  Raises:
    RecordError: naming the file and the record that is damaged or cut off.
  """
  total = 0
  for path in files:
    records = tf.io.tf_record_iterator(path)
    number = position = 0
    while num_records is None or total < num_records:
      try:
        serialized = next(records)
      except StopIteration:
        if position < tf.gfile.Stat(path).length:
          # TensorFlow passes over less than the head of a record.
          raise RecordError(_broken(path, number,
                                    'the file ends inside of it'))
        break
      except tf.errors.DataLossError as e:
        raise RecordError(_broken(path, number, e.message))
      yield path, number, serialized
      number += 1
      position += len(serialized) + FRAME_BYTES
      total += 1
