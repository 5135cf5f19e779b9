"""Runs the cells of a notebook in this process, as Jupyter does.

Of what is not Python, it knows lines that begin with `!`: a command of the
shell, in which {name} stands for a variable.
"""

import json
import subprocess


def run(path):
  """Runs all cells.

  Args:
    path: of the .ipynb file.

  Returns:
    {name: value} of its variables.

  Raises:
    RuntimeError: naming the cell and the command that failed.
  """
  with open(path, encoding='utf-8') as f:
    cells = json.load(f)['cells']
  names = {'__name__': '__main__', '_shell': _shell}
  for number, cell in enumerate(cells):
    if cell['cell_type'] == 'code':
      code = _python(''.join(cell['source']))
      exec(compile(code, '%s, cell %d' % (path, number), 'exec'), names)
  return names


def _python(text):
  """The cell with its commands as calls."""
  return '\n'.join(
      '_shell(%r, globals())' % line[1:] if line.startswith('!') else line
      for line in text.split('\n'))


def _shell(command, names):
  command = command.format_map(names)
  result = subprocess.run(command, shell=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
  if result.returncode:
    raise RuntimeError('%s: exit code %d\n%s' % (
        command, result.returncode, result.stdout))
