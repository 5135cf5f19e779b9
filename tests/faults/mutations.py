"""Random faults in data: what a person, a program or a disk makes of it.

Deterministic: a seed gives the same fault on both runtimes.
"""

import ast
import copy
import os
import re
import traceback

import numpy as np

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__))))

# What is put in the place of a value, whatever that was.
VALUES = (None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e400, -1e400,
          float('nan'), 10 ** 30, -10 ** 30, 2 ** 63, 2 ** 31, '', 'x', '1',
          '-1', '0.5', 'nan', 'None', '\x00', '\ud800', 'ü' * 300, [], [1],
          [[]], [None], ['x'], [1, 2, 3], [1, 2, 3, 4],
          ['1', '2', '3', '4'], {}, {'a': 1}, {'counts': 'x', 'size': [1, 1]},
          [[1, 2, 3, 4, 5, 6]])


def places(data, path=()):
  """Paths of all values within nested dictionaries and lists.

  Args:
    data: dict, list or a plain value.
    path: the path of `data` itself.

  Returns:
    [tuple of keys and indices], without that of `data`.
  """
  found = []
  items = (data.items() if isinstance(data, dict) else
           enumerate(data) if isinstance(data, list) else ())
  for key, value in items:
    found.append(path + (key,))
    found += places(value, path + (key,))
  return found


def mutate(data, seed, num_faults=None):
  """A copy of the data with a few faults.

  Args:
    data: JSON-like.
    seed: int.
    num_faults: of them; None: 1 to 3.

  Returns:
    The copy, and [str] of what was done.
  """
  draw = np.random.RandomState(seed)
  data = copy.deepcopy(data)
  told = []
  for _ in range(num_faults or draw.randint(1, 4)):
    found = places(data)
    if not found:
      break
    path = found[draw.randint(len(found))]
    told.append(_apply(data, path, draw))
  return data, told


def _apply(data, path, draw):
  parent = data
  for key in path[:-1]:
    parent = parent[key]
  key = path[-1]
  kind = draw.choice(['value', 'value', 'value', 'remove', 'twice', 'nest',
                      'text', 'other'])
  if kind == 'remove':
    del parent[key]
  elif kind == 'twice' and isinstance(parent, list):
    parent.insert(key, copy.deepcopy(parent[key]))
  elif kind == 'nest':
    parent[key] = [parent[key]]
  elif kind == 'text':
    parent[key] = str(parent[key])
  elif kind == 'other':  # a value of another place
    found = places(data)
    value = data
    for step in found[draw.randint(len(found))]:
      value = value[step]
    parent[key] = copy.deepcopy(value)
  else:
    kind = VALUES[draw.randint(len(VALUES))]
    parent[key] = copy.deepcopy(kind)
  return '%s: %.60r' % ('/'.join(map(str, path)), kind)


# What is put in the place of a word, and anywhere in a text.
_WORDS = ('', '-1', '0', '1', '1e400', 'nan', '1,5', '99999999999999999999',
          'x', 'ü', '../..', '1 2')
_PIECES = ('<', '>', '&', '"', "'", ',', ';', '\n', '\t', '\x00', '{', '}', '[',
           '<!DOCTYPE a>', '</annotation>')


def mutate_text(text, seed):
  """A text with a few faults: words replaced, pieces cut, doubled, put in.

  Args:
    text: str.
    seed: int.

  Returns:
    str.
  """
  draw = np.random.RandomState(seed)
  for _ in range(draw.randint(1, 4)):
    begin = draw.randint(len(text) + 1)
    end = min(len(text), begin + draw.randint(1, 12))
    kind = draw.choice(['word'] * 6 + ['cut', 'double', 'insert', 'end'])
    if kind == 'word':  # the number or name at this place
      numbers = list(re.finditer(r'[-\w.]+', text))
      if numbers:
        chosen = numbers[draw.randint(len(numbers))]
        begin, end = chosen.span()
      text = text[:begin] + _WORDS[draw.randint(len(_WORDS))] + text[end:]
    elif kind == 'cut':
      text = text[:begin] + text[end:]
    elif kind == 'double':
      text = text[:end] + text[begin:]
    elif kind == 'insert':
      text = text[:begin] + _PIECES[draw.randint(len(_PIECES))] + text[begin:]
    elif draw.rand() < .3:
      text = text[:begin]
  return text


def is_for_people(error):
  """Whether an error was raised by this project, in words, and not too many.

  Args:
    error: Exception with its traceback.

  Returns:
    bool; False for what NumPy, Pillow, TensorFlow or Python raised themselves.
  """
  frames = traceback.extract_tb(error.__traceback__)
  last = frames[-1]
  return (isinstance(error, (ValueError, OSError))
          and last.filename.startswith(_ROOT) and '.venv' not in last.filename
          and _is_raise(last.filename, last.lineno)
          and 5 < len(str(error)) < 3000)


def _is_raise(path, line):
  """Whether a line of a file lies within a raise statement."""
  with open(path, encoding='utf-8') as f:
    tree = ast.parse(f.read())
  return any(
      node.lineno <= line <= max(getattr(n, 'lineno', 0)
                                 for n in ast.walk(node))
      for node in ast.walk(tree) if isinstance(node, ast.Raise))
