"""The order in which converters write what they read, and into how many files.

Annotations mostly come sorted: by class, by video, by day. Records in the same
order would teach one class after the other wherever a reader does not mix them
well, and the first records would not stand for all.
"""

import argparse
from typing import List, Optional

import numpy as np

DEFAULT_SEED = 0
DEFAULT_NUM_SHARDS = 32  # upstream's
_IMAGES_OF_A_SHARD = 1000  # of large sets
_LEAST_OF_A_SHARD = 16  # a file for each record or two does not help


def order(count: int, seed: Optional[int]) -> List[int]:
  """The order to write in.

  Args:
    count: int, number of records.
    seed: int; None keeps the order.

  Returns:
    [int], the place in the input of each record that is written.
  """
  if seed is None:
    return list(range(count))
  return np.random.RandomState(seed).permutation(count).tolist()


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the options about the order to an argparse.ArgumentParser."""
  parser.add_argument('--shuffle_seed', type=int, default=DEFAULT_SEED,
                      help='seed of the random order of the records; default: '
                           '%(default)d')
  parser.add_argument('--keep_order', action='store_true',
                      help='write the records in the order of the names')


def seed_of(arguments: argparse.Namespace) -> Optional[int]:
  """The seed that parsed options of `add_arguments` mean; None: no shuffle.

  Raises:
    ValueError: for a seed that there is not.
  """
  if not 0 <= arguments.shuffle_seed < 2**32:
    raise ValueError('--shuffle_seed is %d; it can be 0 to 2**32 - 1.'
                     % arguments.shuffle_seed)
  return None if arguments.keep_order else arguments.shuffle_seed


def num_shards(count: int) -> int:
  """Number of files for a number of records, where it is not given.

  A reader mixes large sets file by file, so they get more files; small sets get
  fewer.
  """
  return max(1, min(count // _LEAST_OF_A_SHARD,
                    max(DEFAULT_NUM_SHARDS, -(-count // _IMAGES_OF_A_SHARD))))
