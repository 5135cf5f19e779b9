"""Votes of the workers; their sums run in test_replicas.py."""

import numpy as np
import pytest

from executor import workers


@pytest.mark.parametrize('mean, expected', [(0., False), (.125, True),
                                            (1., True)])
def test_one_of_eight_is_enough(monkeypatch, mean, expected):
  voters = workers.Workers()
  monkeypatch.setattr(voters, 'mean',
                      lambda session, values: np.float32([mean]))
  assert voters.any(None, True) is expected


def test_a_worker_alone_says_what_it_wants():
  alone = workers.Alone()
  assert alone.any(None, True) and not alone.any(None, False)
  assert alone.mean(None, [1., 2.]) == [1., 2.]
