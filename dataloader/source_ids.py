"""Image ids: any string becomes one int64, the same everywhere.

COCO's evaluation joins predictions and ground truth by integer. A decimal
string is that integer; any other string is hashed. The reader, the ground
truth taken from the records and the converters all use these two functions.
"""

from typing import Any, Callable, List, Sequence

import tensorflow.compat.v1 as tf

from dataloader import sessions
from ops import tensor_types

# The features that `of_record` reads.
FEATURES = {
    'image/encoded': tf.FixedLenFeature([], tf.string),
    'image/source_id': tf.FixedLenFeature([], tf.string, ''),
    'image/filename': tf.FixedLenFeature([], tf.string, ''),
}

_INT64_MAX = str(2**63 - 1)
NUM_HASHES = 2**63 - 1


def _int64_pattern():
  """Regular expression of the decimal strings that fit into an int64."""
  smaller = ['[0-9]{1,18}', _INT64_MAX]
  for i, digit in enumerate(_INT64_MAX):
    if digit > '0':
      smaller.append('%s[0-%d][0-9]{%d}' % (
          _INT64_MAX[:i], int(digit) - 1, len(_INT64_MAX) - 1 - i))
  return '|'.join(smaller)


_INT64_PATTERN = _int64_pattern()


def of_record(parsed: tensor_types.Tensors) -> tf.Tensor:
  """Id of a record: its own, else its file name, else a hash of its image.

  Args:
    parsed: {feature key: tensor} with those of FEATURES.

  Returns:
    string [].
  """
  hashed = tf.as_string(tf.strings.to_hash_bucket_fast(
      parsed['image/encoded'], NUM_HASHES))
  name = tf.where(tf.equal(parsed['image/filename'], ''), hashed,
                  parsed['image/filename'])
  return tf.where(tf.equal(parsed['image/source_id'], ''), name,
                  parsed['image/source_id'])


def to_int64(source_ids: tf.Tensor) -> tf.Tensor:
  """Integer ids of string ids.

  Args:
    source_ids: string [...].

  Returns:
    int64 [...], >= 0: the number of a decimal string, otherwise
    the farmhash of the string modulo 2**63 - 1.
  """
  with tf.name_scope('source_ids'):
    is_number = tf.strings.regex_full_match(source_ids, _INT64_PATTERN)
    numbers = tf.string_to_number(
        tf.where(is_number, source_ids, tf.fill(tf.shape(source_ids), '0')),
        tf.int64)
    hashes = tf.strings.to_hash_bucket_fast(source_ids, NUM_HASHES)
    return tf.where(is_number, numbers, hashes)


def to_ints(source_ids: Sequence[Any]) -> List[int]:
  """`to_int64` for a list of Python strings.

  Returns:
    [int].
  """
  with tf.Graph().as_default(), sessions.make() as session:
    return [int(i) for i in session.run(
        to_int64(tf.constant(list(source_ids), tf.string, [len(source_ids)])))]


def make_hash() -> Callable[[bytes], int]:
  """Makes bytes -> int, the hash of records without an id."""
  with tf.Graph().as_default():
    content = tf.placeholder(tf.string, [])
    hashed = tf.strings.to_hash_bucket_fast(content, NUM_HASHES)
    session = sessions.make()
  return lambda value: int(session.run(hashed, {content: value}))
