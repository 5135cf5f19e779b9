"""Tests of tests/type_check.py, on what mypy prints."""

import collections
import os

import pytest

from tests import type_check

# Of texts: no runtime has a part in it.
pytestmark = pytest.mark.one_runtime('tf2')

_OUTPUT = '''ops/a.py:3: error: Incompatible return value  [return-value]
ops/a.py:9: error: Incompatible return value  [return-value]
ops/a.py:9: note: Superclass:
utils/b.py:1: error: Need type annotation for "x" [of it]  [var-annotated]
'''
_LIST = '# A comment.\nops/a.py return-value 2\nutils/b.py var-annotated 1\n'


def test_list_and_output_agree():
  known = type_check.parse(_LIST)
  assert known == type_check.count(_OUTPUT)
  assert type_check.judge(known, _OUTPUT) == ''
  assert '# A comment.\n' + type_check.write(known) == _LIST


def test_an_error_more_of_a_kind_is_told():
  known = type_check.parse(_LIST) - collections.Counter(
      {('ops/a.py', 'return-value'): 1})
  told = type_check.judge(known, _OUTPUT)
  assert 'ops/a.py:3' in told and 'utils/b.py' not in told


def test_an_error_less_has_to_leave_the_list():
  told = type_check.judge(type_check.parse(_LIST),
                          ''.join(_OUTPUT.splitlines(True)[:3]))
  assert 'utils/b.py var-annotated 1' in told and '--shrink' in told


@pytest.mark.parametrize('output', [_OUTPUT, _OUTPUT[:70]])
def test_shrinking_never_adds(monkeypatch, tmp_path, output):
  path = tmp_path / 'list.txt'
  path.write_text(_LIST.replace(' 2', ' 1'))
  monkeypatch.setattr(type_check, '_LIST', str(path))
  monkeypatch.setattr(type_check, 'run_mypy', lambda: output)
  try:
    type_check.main(['--shrink'])
  except SystemExit:
    pass
  assert path.read_text().startswith('# A comment.\nops/a.py return-value 1\n')
  assert ('utils' in path.read_text()) == ('utils' in output)


def test_listed_files_exist():
  with open(type_check._LIST, encoding='utf-8') as f:
    known = type_check.parse(f.read())
  assert [path for path, _ in known
          if not os.path.exists(os.path.join(type_check.ROOT, path))] == []
