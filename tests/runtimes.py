"""Which of the cases of a test `make test` runs on which runtime.

Every case runs on one of them, and `make test-all` runs all on both. What
depends on the runtime keeps a case of each kind on both.
"""

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


def of_names(**names):
  """{name: marks} of cases that are for one runtime.

  Args:
    **names: `tf1` and `tf2`, the names that are for that one.
  """
  return {name: [pytest.mark.one_runtime(runtime)]
          for runtime, of_runtime in names.items() for name in of_runtime}
