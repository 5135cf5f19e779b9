"""Which of the cases of a test `make test` runs on which runtime.

Every case runs on one of them, and `make test-all` runs all on both. What
depends on the runtime keeps a case of each kind on both.
"""

import collections
import itertools

import pytest

RUNTIMES = ('tf1', 'tf2')
# In the environment: `make test` runs every case, whatever its runtime.
EVERY_CASE = 'TESTS_OF_BOTH_RUNTIMES'


def only(runtime, *values, **options):
  """A case for pytest.mark.parametrize that is for one runtime.

  Args:
    runtime: of RUNTIMES.
    *values: of the case.
    **options: of pytest.param.
  """
  return pytest.param(*values, marks=pytest.mark.one_runtime(runtime),
                      **options)


def alternate(values, both=()):
  """Cases of one value each, in turn for one runtime and for the other one.

  Args:
    values: in their order.
    both: those of them that run on both.

  Returns:
    What pytest.mark.parametrize takes.
  """
  result, turns = [], 0
  for value in values:
    if value in both:
      result.append(value)
    else:
      result.append(only(RUNTIMES[turns % 2], value))
      turns += 1
  return result


def product(*factors):
  """The cases of all combinations of values, divided like a chessboard.

  So each value of a factor is seen on both runtimes, if another factor has
  two.

  Args:
    *factors: lists of values.

  Returns:
    What pytest.mark.parametrize takes for so many arguments.
  """
  numbered = itertools.product(*[list(enumerate(values))
                                 for values in factors])
  return [only(RUNTIMES[sum(number for number, _ in case) % 2],
               *[value for _, value in case]) for case in numbered]


def share(cases, kind, on_both=1):
  """Cases in turn for one runtime and the other, some of each kind for both.

  Args:
    cases: in their order; the cheapest of a kind first.
    kind: function of a case.
    on_both: how many of each kind run on both runtimes.

  Returns:
    What pytest.mark.parametrize takes.
  """
  result, counts, turns = [], collections.Counter(), 0
  for case in cases:
    counts[kind(case)] += 1
    if counts[kind(case)] <= on_both:
      result.append(case)
    else:
      result.append(only(RUNTIMES[turns % 2], case))
      turns += 1
  return result


def of_names(**names):
  """{name: marks} of cases that are for one runtime.

  Args:
    **names: `tf1` and `tf2`, the names that are for that one.
  """
  return {name: [pytest.mark.one_runtime(runtime)]
          for runtime, of_runtime in names.items() for name in of_runtime}
