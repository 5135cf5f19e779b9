"""The list of deliberate faults fits the code, and a fault is noticed."""

import pytest

from tests import mutants


def test_every_fault_of_the_list_can_be_applied():
  listed = mutants.read_list()
  assert len({m.name for m in listed}) == len(listed)
  rooms = {m.file.split('/')[0] for m in listed}
  assert {'executor', 'modeling', 'ops', 'dataloader', 'evaluation'} <= rooms


def test_what_does_not_fit_is_named(tmp_path):
  path = tmp_path / 'list.yaml'
  path.write_text('wrong: {file: main.py, old: no such text, new: x, '
                  'tests: tests/test_nothing.py}\n')
  with pytest.raises(ValueError, match='occurs 0 times in main.py(.|\n)*'
                     'there is no tests/test_nothing.py'):
    mutants.read_list(str(path))


@pytest.mark.parametrize('new, is_killed', [('return 1', False),
                                            ('return 2', True)])
def test_killed_and_survived(tmp_path, new, is_killed):
  (tmp_path / 'one.py').write_text('def f():\n  return 1.\n')
  (tmp_path / 'test_one.py').write_text(
      'import one\n\ndef test_f():\n  assert one.f() == 1\n')
  mutant = mutants.Mutant('m', 'one.py', 'return 1.', new, ['test_one.py'])
  assert mutants.is_killed(mutant, str(tmp_path)) == is_killed
  assert (tmp_path / 'one.py').read_text() == 'def f():\n  return 1.\n'
