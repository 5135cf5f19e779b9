"""The order of written records, and the options that give it."""

import argparse

from absl import flags
import numpy as np
import pytest

from tools.datasets import conversion_flags
from tools.datasets import written_order


def test_order_is_random_and_repeats():
  order = written_order.order(1000, 0)
  assert sorted(order) == list(range(1000))
  assert abs(np.corrcoef(order, np.arange(1000))[0, 1]) < .1
  assert order == written_order.order(1000, 0) != written_order.order(1000, 1)
  assert written_order.order(5, None) == [0, 1, 2, 3, 4]
  assert written_order.order(0, 0) == []


@pytest.mark.parametrize('arguments, seed', [
    ([], 0), (['--shuffle_seed=7'], 7), (['--keep_order'], None)])
def test_options(arguments, seed):
  parser = argparse.ArgumentParser()
  written_order.add_arguments(parser)
  assert written_order.seed_of(parser.parse_args(arguments)) == seed
  values = flags.FlagValues()
  conversion_flags.define(values)
  values(['program'] + arguments)
  assert conversion_flags.options(values).shuffle_seed == seed


def test_seed_that_there_is_not():
  parser = argparse.ArgumentParser()
  written_order.add_arguments(parser)
  with pytest.raises(ValueError, match='--shuffle_seed is -1'):
    written_order.seed_of(parser.parse_args(['--shuffle_seed=-1']))
