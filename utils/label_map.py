"""Label maps: names of the class ids, as text lines `id:name`."""

from utils import files
from utils import text_files
from utils import types


def read_label_map(path: str) -> types.LabelMap:
  """Reads the lines `id:name`; empty lines do not count.

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
    digits, colon, name = line.partition(':')
    try:
      class_id = int(digits)
    except ValueError:
      colon = ''
    if not colon or not name.strip():
      raise ValueError(
          '%s, line %d: %r is not of the form `id:name`, such as `1:person`.'
          % (path, number, line))
    if class_id in names:
      raise ValueError('%s, line %d: the id %d is given twice.'
                       % (path, number, class_id))
    names[class_id] = name.strip()
  return names


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
