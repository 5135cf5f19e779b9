"""Compressed counts as pycocotools writes them."""

import numpy as np
from pycocotools import mask as coco_mask
import pytest

from utils import run_lengths


def _stock(runs):
  size = [1, int(sum(runs))]
  return coco_mask.frPyObjects({'size': size, 'counts': runs},
                               *size)['counts'].decode('ascii')


# The limits of one, two, ... groups and of signs; fewer numbers than have a
# number two before them.
@pytest.mark.parametrize('masks', [
    [[0, 15, 16, 31, 15, 16, 47, 0, 1]], [[3], [0, 3], [5, 1, 4], [2, 2, 2, 2]],
    [[1, 511, 512, 1, 1023, 1024, 2, 2**20, 2**29, 1, 1, 2**29]]])
def test_texts(masks):
  texts = run_lengths.to_texts(
      np.concatenate(masks).astype(np.int64), np.array([len(m) for m in masks]))
  assert texts == [_stock(runs) for runs in masks]
  for text, runs in zip(texts, masks):
    assert run_lengths.from_text(text).tolist() == runs


def test_many_masks_of_many_runs():
  random = np.random.RandomState(0)
  numbers = random.randint(1, 200, 50)
  runs = (np.exp(random.uniform(0, 12, numbers.sum())) - 1).astype(np.int64)
  parts = np.split(runs, np.cumsum(numbers)[:-1])
  assert run_lengths.to_texts(runs, numbers) == [
      _stock(part.tolist()) for part in parts]
  assert run_lengths.to_texts(runs[:0], numbers[:0]) == []
