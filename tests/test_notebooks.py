"""The notebooks of docs/notebooks run, from a folder of their own."""

import os
import shutil

import matplotlib
import pytest

from tests import notebook_cells

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_FOLDER = os.path.join(_ROOT, 'docs', 'notebooks')


@pytest.fixture(autouse=True)
def _no_window(monkeypatch):
  matplotlib.use('Agg')
  monkeypatch.chdir(_FOLDER)


def test_commands_get_the_variables(tmp_path):
  path = tmp_path / 'a.ipynb'
  path.write_text('''{"cells": [
      {"cell_type": "markdown", "source": ["not code"]},
      {"cell_type": "code", "source": ["word = 'yes'\\n", "x = 1"]},
      {"cell_type": "code", "source": ["!echo {word} > %s"]}]}''' % (
          tmp_path / 'out'))
  assert notebook_cells.run(str(path))['x'] == 1
  assert (tmp_path / 'out').read_text() == 'yes\n'
  path.write_text(
      '{"cells": [{"cell_type": "code", "source": ["!exit 3"]}]}')
  with pytest.raises(RuntimeError, match='exit code 3'):
    notebook_cells.run(str(path))


@pytest.mark.slow
def test_look_into_a_model():
  names = notebook_cells.run('look_into_a_model.ipynb')
  found = names['result'].filtered(min_score=.5)
  assert 14 < len(found) < 25  # 18 are annotated
  assert sorted(names['levels']) == [2, 3, 4, 5]


@pytest.mark.slow
def test_own_data(tmp_path):
  """As it is, but for the places that it writes to."""
  shutil.copy('own_data.ipynb', str(tmp_path))
  path = tmp_path / 'own_data.ipynb'
  text = path.read_text(encoding='utf-8')
  assert text.count('runs/notebook/') >= 2
  path.write_text(text.replace('runs/notebook', str(tmp_path)),
                  encoding='utf-8')
  names = notebook_cells.run(str(path))
  assert names['metrics']['AP50'] > .1
