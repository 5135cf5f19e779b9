"""COCO's compressed counts of run-length codes, for many masks at once.

Each number is written in groups of 5 bits, the lowest first, 48 added; bit 5
says that another group follows, bit 4 of the last group is the sign. From the
fourth on it is the difference to the number two before.
"""

from typing import List, Union

import numpy as np


def to_texts(runs: np.ndarray, numbers: np.ndarray) -> List[str]:
  """Compresses the counts of masks.

  Args:
    runs: int64 [R], of one mask after the other.
    numbers: int64 [N], how many runs each mask has, above 0.

  Returns:
    [str], N of them.
  """
  if not len(numbers):
    return []
  stops = np.cumsum(numbers)
  differences = runs.copy()
  differences[2:] -= runs[:-2]
  # The first three numbers of a mask are as they are.
  for place in range(3):
    own = (stops - numbers)[numbers > place] + place
    differences[own] = runs[own]
  groups, lengths = _groups(differences)
  text = groups.tobytes().decode('ascii')
  ends = np.cumsum(lengths)[stops - 1].tolist()
  return [text[first:end] for first, end in zip([0] + ends, ends)]


def _groups(numbers):
  """The characters of integers, uint8 [G], and how many each has, int [R]."""
  # 4 bits and the sign, then 5 more with every group.
  rest = np.where(numbers < 0, ~numbers, numbers) >> 4
  lengths = np.ones(len(numbers), np.int64)
  while rest.any():
    lengths += rest > 0
    rest >>= 5
  firsts = np.cumsum(lengths) - lengths
  groups = np.empty(lengths.sum(), np.uint8)
  left = lengths
  while len(left):
    groups[firsts] = 48 + (numbers & 0x1f) + 0x20 * (left > 1)
    longer = np.flatnonzero(left > 1)
    left, numbers = left[longer] - 1, numbers[longer] >> 5
    firsts = firsts[longer] + 1
  return groups, lengths


def from_text(counts: Union[str, bytes]) -> np.ndarray:
  """The int64 runs of compressed counts.

  Raises:
    ValueError: if they are damaged.
  """
  if isinstance(counts, str):
    counts = counts.encode('utf-8')
  groups = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
  last = np.flatnonzero(groups & 0x20 == 0)
  first = np.concatenate([[0], last + 1])[:-1]
  if not len(last) or last[-1] != len(groups) - 1 or (
      groups.min() < 0 or groups.max() > 63 or (last - first).max() > 10):
    raise ValueError('The counts of a run-length code are damaged.')
  place = np.arange(len(groups)) - np.repeat(first, last - first + 1)
  differences = np.add.reduceat((groups & 0x1f) << 5 * place, first)
  differences -= np.where(groups[last] & 0x10, 1 << 5 * (place[last] + 1), 0)
  runs = differences.copy()
  runs[1::2] = np.cumsum(differences[1::2])
  runs[2::2] = np.cumsum(differences[2::2])
  return runs
