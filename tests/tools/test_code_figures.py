"""Tests of tools/code_figures.py on modules whose figures are counted."""

import subprocess

import pytest

from tools import code_figures

# Of texts: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

_MODULE = '''"""A module."""

import os  # not a docstring

class Shape:
  """A class."""

  def __init__(self, sides: int) -> None:
    """Takes
    sides.
    """
    self._sides = (
        sides
    )

  @property
  def sides(self):
    return self._sides


def area(boxes: 'array', *, scale: float = 1.) -> 'array':
  """Areas [K] of boxes [K, 4]."""
  # Not code.

  def _inner(x):
    return x

  return _inner(boxes)


def _hidden(a, b):
  return a, b
'''


@pytest.fixture
def module():
  return code_figures.read_file('ops/boxes.py', _MODULE)


def test_functions_are_counted_without_docstrings_and_comments(module):
  assert {f.place.split()[1]: (f.lines, f.parameters)
          for f in module.functions} == {
              '__init__': (4, 1), 'sides': (2, 0), 'area': (4, 2),
              '_inner': (2, 1), '_hidden': (2, 2)}


def test_public_and_annotated(module):
  assert [(f.place.split()[1], f.is_annotated) for f in module.functions
          if f.is_public] == [
              ('__init__', True), ('sides', False), ('area', True)]


def test_shapes_and_shares(module):
  figures = code_figures.figures([module])
  assert figures['docstrings with shapes'] == '1 (50.0 %)'
  assert figures['public functions with a docstring'] == '2 (66.7 %)'
  assert figures['annotated public functions'] == '2 (66.7 %)'
  assert figures['ops: files, lines of code, annotated'] == (
      '1, 15, 2 (66.7 %)')


_ARRAYS = '''
def first(boxes: tf.Tensor) -> None:
  """Boxes [K, 4]."""

def second(boxes: Optional[Sequence['np.ndarray']]) -> None:
  """Boxes."""
  raise ValueError('No boxes.')

def third() -> tensor_types.Levels:
  """Of [] or [B, N].

  Raises:
    ValueError: always.
  """
  raise ValueError('No levels.')

def fourth(count: int) -> str:
  """Counts."""
  try:
    return str(count)
  except OSError:
    raise
'''


def test_functions_of_arrays_and_their_errors():
  file = code_figures.read_file('ops/boxes.py', _ARRAYS)
  assert [(f.has_arrays, f.lacks_shapes(), f.raises, f.lacks_errors())
          for f in file.functions] == [
              (True, False, False, False), (True, True, True, True),
              (True, False, True, False), (False, False, False, False)]
  figures = code_figures.figures([file])
  assert figures['public functions of tensors or arrays'] == '3'
  assert figures['of these, without shapes'] == '1'
  assert figures['public functions that raise'] == '2'
  assert figures["of these, without 'Raises:'"] == '1'


def test_a_passage_that_stands_twice_counts_in_both_places():
  lines = ['x%d = %d' % (i, i) for i in range(9)]
  files = [code_figures.read_file('a.py', '\n'.join(lines)),
           code_figures.read_file('b.py', '\n'.join(['y = 0'] + lines[:8]))]
  assert code_figures.duplicated(files) == 16
  assert code_figures.duplicated(files[:1]) == 0


def test_imports_may_stand_twice():
  text = '\n'.join('import m%d' % i for i in range(9))
  assert code_figures.duplicated(
      [code_figures.read_file(name, text) for name in 'ab']) == 0


def _git(folder, *arguments):
  subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b']
                 + list(arguments), cwd=str(folder), check=True,
                 stdout=subprocess.PIPE)


def test_a_revision_beside_the_files_of_now(tmp_path):
  _git(tmp_path, 'init', '-q')
  (tmp_path / 'a.py').write_text('def f(): pass\n')
  (tmp_path / 'tests').mkdir()
  (tmp_path / 'tests' / 'test_a.py').write_text('def test(): pass\n')
  _git(tmp_path, 'add', '.')
  _git(tmp_path, 'commit', '-qm', 'first')
  (tmp_path / 'a.py').write_text('def f() -> None: pass\n')
  (tmp_path / 'b.py').write_text('def g(): pass\n')
  columns = {
      revision: code_figures.figures(
          code_figures.read_revision(revision, str(tmp_path)))
      for revision in ('HEAD', code_figures.NOW)}
  assert columns['HEAD']['annotated public functions'] == '0 (0.0 %)'
  assert columns['now']['annotated public functions'] == '1 (50.0 %)'
  assert '| files | 1 | 2 |' in code_figures.table(columns)


def test_an_unknown_revision_is_told(tmp_path):
  _git(tmp_path, 'init', '-q')
  with pytest.raises(SystemExit, match='nowhere'):
    code_figures.read_revision('nowhere', str(tmp_path))
