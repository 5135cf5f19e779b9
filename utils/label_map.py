"""Label maps: names of the class ids, as text lines `id:name`."""

import csv
from typing import Tuple

from utils import files
from utils import text_files
from utils import types

# How the column of the ids is called in the first line of CSV files.
_COLUMNS = ('id', 'class_id', 'category_id', 'label_id', 'index')


def read_label_map(path: str) -> types.LabelMap:
  """Reads the lines `id:name`; empty lines do not count.

  Lines of a CSV file, `id,name`, are read too, also below a line with the names
  of the columns and with quoted names.

  Args:
    path: the path of the text file.

  Returns:
    {id: name}, in the order of the file.

  Raises:
    ValueError: naming the file and line that is wrong or repeats an id.
  """
  names = {}
  for number, line in enumerate(text_files.read_lines(path), 1):
    if not line:
      continue
    digits, name = _parts(line)
    if number == 1 and digits.lower() in _COLUMNS:
      continue
    try:
      class_id = int(digits)
    except ValueError:
      name = ''
    if not name:
      raise ValueError(
          '%s, line %d: %r is not of the form `id:name`, such as `1:person`, '
          'nor `id,name`.' % (path, number, line))
    if class_id in names:
      raise ValueError('%s, line %d: the id %d is given twice.'
                       % (path, number, class_id))
    names[class_id] = name
  return names


def _parts(line: str) -> Tuple[str, str]:
  """(text of the id, name) of a line; the name is '' if there is none."""
  digits, colon, name = line.partition(':')
  if not colon or not digits.strip().lstrip('-').isdigit():
    row = next(csv.reader([line], skipinitialspace=True))
    # Further columns say something else.
    digits, name = (row + [''])[:2]
  return digits.strip(), name.strip()


def write_label_map(path: str, names: types.LabelMap) -> None:
  """Writes {id: name} as lines `id:name`, in order of the ids.

  Raises:
    ValueError: if a name cannot be written on one line.
  """
  files.write_atomically(path, text(names).encode('utf-8'))


def text(names: types.LabelMap) -> str:
  """The lines `id:name` of {id: name}, in order of the ids.

  Raises:
    ValueError: if a name cannot be written on one line.
  """
  for name in names.values():
    if not name.strip() or len(name.splitlines()) != 1:
      raise ValueError('The class name %r is empty or spans lines.' % name)
  return ''.join('%d:%s\n' % (i, names[i]) for i in sorted(names))
