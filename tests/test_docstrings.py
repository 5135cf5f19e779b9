"""Docstrings say what goes in and comes out: shapes, and errors."""

import os

import pytest

from tools import code_figures

# Of texts: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

# Where tensors and arrays pass from hand to hand.
ROOMS = ('ops', 'architecture', 'modeling', 'dataloader', 'evaluation',
         'serving')


@pytest.fixture(scope='module')
def functions():
  paths = [os.path.join(folder, name) for room in ROOMS
           for folder, _, names in os.walk(
               os.path.join(code_figures.ROOT, room))
           for name in names if name.endswith('.py')]
  result = []
  for path in paths:
    with open(path, encoding='utf-8') as f:
      result += code_figures.read_file(
          os.path.relpath(path, code_figures.ROOT), f.read()).functions
  return [f for f in result if f.is_public]


def test_what_takes_or_returns_tensors_or_arrays_states_their_shapes(functions):
  assert not [f.place for f in functions if f.lacks_shapes()], (
      'These docstrings name no shape, such as [B, H, W, 3], [N, 4], [...].')


def test_what_raises_an_error_says_when(functions):
  assert not [f.place for f in functions if f.lacks_errors()], (
      "These docstrings have no section 'Raises:'.")
