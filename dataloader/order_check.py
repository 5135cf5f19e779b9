"""How random the order of training is, measured on the records themselves."""

import typing
from typing import Optional

import numpy as np
import tensorflow.compat.v1 as tf

from configs import base
from dataloader import input_reader
from dataloader import sessions
from utils import modes

GOOD_CORRELATION = .1
_FEW_RECORDS = 200  # a random order of fewer correlates visibly
_NUM_EPOCHS = 2
_KEY = 'records'
_BATCH_SIZE = 64
_PADDING = -1


class Order(typing.NamedTuple):
  """Rank correlations, -1 to 1; 0 is a random order.

  Attributes:
    with_files: of places in an epoch and in the files; the stronger one of two
      epochs.
    between_epochs: of places in two epochs.
    num_records: int, records of an epoch.
  """
  with_files: float
  between_epochs: float
  num_records: int


class _Identity:
  """A parser that returns a number made from the bytes of a record."""

  def __call__(self, serialized, seed=None):
    return tf.strings.to_hash_bucket_fast(serialized, 2**62)

  def padding_example(self):
    return tf.constant(_PADDING, tf.int64)


def measure(pattern: str, train: base.Section) -> Optional[Order]:
  """Reads two epochs as training does, without parsing a record.

  Args:
    pattern: the pattern of the files.
    train: section `train`.

  Returns:
    Order; None for fewer than three records.
  """
  in_files = _read(pattern, train, modes.EVAL)
  if len(in_files) < 3:
    return None
  epochs = _read(pattern, train, modes.TRAIN,
                 _NUM_EPOCHS * len(in_files)).reshape(_NUM_EPOCHS, -1)
  return Order(max((_correlation(in_files, e) for e in epochs), key=abs),
               _correlation(*epochs), len(in_files))


def _read(pattern, train, mode, count=None):
  """int64 [n], the numbers of records in the order of a mode."""
  reader = input_reader.InputReader(
      pattern, _Identity(), mode, _KEY, seed=train.seed or 0,
      shuffle_buffer_bytes=train.shuffle_buffer_bytes)
  numbers = []
  with tf.Graph().as_default(), sessions.make() as session:
    batch = tf.data.make_one_shot_iterator(
        reader({'batch_size': _BATCH_SIZE})).get_next()
    while count is None or len(numbers) * _BATCH_SIZE < count:
      try:
        numbers.append(session.run(batch))
      except tf.errors.OutOfRangeError:
        break
  numbers = np.concatenate(numbers) if numbers else np.zeros([0], np.int64)
  return numbers[numbers != _PADDING][:count]


def _correlation(first, second):
  """Rank correlation of the places of the same numbers in two orders.

  Equal records are matched in the order in which they come.
  """
  places = np.argsort(first, kind='stable'), np.argsort(second, kind='stable')
  return float(np.corrcoef(*places)[0, 1])


def describe(order: Order) -> str:
  """A sentence about an Order."""
  figures = ('rank correlation with the files %.2f, between two epochs %.2f; '
             'about 0 is random' % (order.with_files, order.between_epochs))
  if is_good(order):
    return 'The order of training is random%s (%s).' % (
        ', as far as %d records show' % order.num_records
        if order.num_records < _FEW_RECORDS else '', figures)
  return ('The order of training is not random (%s). Records in a fixed order '
          'teach one kind after the other: more shards (--num_shards of the '
          'converters) or a larger train.shuffle_buffer_bytes mix them.'
          % figures)


def is_good(order: Order) -> bool:
  """Whether both correlations are as small as they should be.

  Few records are correlated by chance: up to four times the standard deviation
  of a random order is allowed.
  """
  limit = max(GOOD_CORRELATION, 4. / (order.num_records - 1) ** .5)
  return max(abs(order.with_files), abs(order.between_epochs)) <= limit
