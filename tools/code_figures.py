"""Figures of the code: length, documentation, repetition.

  python -m tools.code_figures [REVISION ...]

Prints a table with a column for each revision of git, and one for the files as
they are now. Tests are left out. A line counts if it holds code: no docstring,
comment or blank line. Only the standard library is needed.
"""

import argparse
import ast
import collections
import io
import os
import re
import subprocess
import sys
import tokenize
from typing import Dict, List, NamedTuple, Sequence, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NOW = 'now'
# So many equal lines in a row are a passage that stands twice.
PASSAGE = 8
# [B, H, W, 3], [K], [..., 4], [].
_SHAPE = re.compile(r'\[(?:\.\.\.|[\w.*+/ -]+)?(?:, ?[\w.*+/ -]+)*\]')
# Types of tensors and arrays, as annotations call them.
_ARRAYS = frozenset(['Tensor', 'ndarray', 'ArrayLike', 'Levels', 'LevelArrays',
                     'Tensors', 'Nest'])
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT,
            tokenize.DEDENT, tokenize.ENCODING, tokenize.ENDMARKER)


class Function(NamedTuple):
  """A function or method.

  Attributes:
    place: 'path:line name'.
    lines: lines of code, with those of functions inside of it.
    parameters: number of its parameters, without `self`.
    is_public: whether it has a name without an underscore (or is a
      constructor or a call), in a public class, and not inside of another
      function.
    is_annotated: whether all of its parameters and its result are.
    has_arrays: whether an annotation names a tensor or an array.
    raises: whether it has a statement that raises an error of its own.
    docstring: its own, '' for none.
  """
  place: str
  lines: int
  parameters: int
  is_public: bool
  is_annotated: bool
  has_arrays: bool
  raises: bool
  docstring: str

  def lacks_shapes(self) -> bool:
    """Whether it has arrays, and its docstring no shape."""
    return self.has_arrays and not _SHAPE.search(self.docstring)

  def lacks_errors(self) -> bool:
    """Whether it raises, and its docstring has no section for it."""
    return self.raises and 'Raises:' not in self.docstring


class File(NamedTuple):
  """A module.

  Attributes:
    path: within the project.
    code: [(line number, text without blanks around it)] of the lines of code.
    functions: [Function].
  """
  path: str
  code: List[Tuple[int, str]]
  functions: List[Function]


def read_file(path: str, text: str) -> File:
  """Takes a module apart.

  Args:
    path: name of the file, for messages.
    text: its content.
  """
  numbers, ends = _code_lines(text)
  lines = text.split('\n')
  code = [(n, lines[n - 1].strip()) for n in sorted(numbers)]
  return File(path, code, [
      _function(node, path, is_public, numbers, ends)
      for node, is_public in _functions(ast.parse(text), True, False)])


def _code_lines(text):
  """({numbers of lines of code}, {line number: where its statement ends})."""
  numbers, ends, statement = set(), {}, []
  for token in tokenize.generate_tokens(io.StringIO(text).readline):
    if token.type == tokenize.NEWLINE:
      rows = {row for t in statement
              for row in range(t.start[0], t.end[0] + 1)}
      if any(t.type != tokenize.STRING for t in statement):
        numbers |= rows
      last = token.start[0]
      ends.update((row, last) for row in range(min(rows), last + 1))
      statement = []
    elif token.type not in _NO_CODE:
      statement.append(token)
  return numbers, ends


def _functions(node, is_public, is_inside):
  """Yields (function, whether it is public)."""
  for child in ast.iter_child_nodes(node):
    if isinstance(child, ast.ClassDef):
      yield from _functions(
          child, is_public and not child.name.startswith('_'), is_inside)
    elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
      yield child, (is_public and not is_inside
                    and (not child.name.startswith('_')
                         or child.name in ('__init__', '__call__')))
      yield from _functions(child, is_public, True)
    else:
      yield from _functions(child, is_public, is_inside)


def _function(node, path, is_public, numbers, ends):
  """The Function of a node."""
  last = max(getattr(n, 'lineno', 0) for n in ast.walk(node))
  # Python 3.7 counts decorators to the function, later ones do not.
  decorators = [n.lineno for d in node.decorator_list for n in ast.walk(d)
                if hasattr(n, 'lineno')]
  first = ends[max(decorators)] + 1 if decorators else node.lineno
  rows = range(first, ends.get(last, last) + 1)
  arguments = [a for a in (node.args.args + node.args.kwonlyargs
                           + [node.args.vararg, node.args.kwarg])
               if a is not None and a.arg not in ('self', 'cls')]
  return Function(
      '%s:%d %s' % (path, first, node.name),
      sum(row in numbers for row in rows), len(arguments), is_public,
      node.returns is not None and all(a.annotation for a in arguments),
      any(not _ARRAYS.isdisjoint(_words(annotation)) for annotation in
          [node.returns] + [a.annotation for a in arguments] if annotation),
      any(isinstance(n, ast.Raise) and n.exc for n in ast.walk(node)),
      ast.get_docstring(node) or '')


def _words(annotation):
  """The names in an annotation, those in quotes too."""
  for node in ast.walk(annotation):
    # A text is in `value`, or in Python 3.7 in `s`.
    for field in ('id', 'attr', 'value', 's'):
      text = getattr(node, field, None)
      if isinstance(text, str):
        yield from re.findall(r'\w+', text)


def duplicated(files: Sequence[File]) -> int:
  """Number of the lines that lie in a passage which stands elsewhere, too."""
  places = collections.defaultdict(list)
  for file in files:
    texts = [text for _, text in file.code]
    for i in range(len(texts) - PASSAGE + 1):
      if not any(t.startswith(('import ', 'from '))
                 for t in texts[i:i + PASSAGE]):
        places[tuple(texts[i:i + PASSAGE])].append((file.path, i))
  return len({(path, i + offset) for found in places.values()
              if len(found) > 1 for path, i in found
              for offset in range(PASSAGE)})


def figures(files: Sequence[File]) -> Dict[str, str]:
  """{what: figure} of the whole code and of each room, as text."""
  functions = [f for file in files for f in file.functions]
  public = [f for f in functions if f.is_public]
  documented = [f for f in public if f.docstring]
  num_lines = sum(len(file.code) for file in files)
  result = {
      'files': '%d' % len(files),
      'lines of code': '%d' % num_lines,
      'functions': '%d' % len(functions),
      "functions' lines, median": '%d' % _quantile(functions, 'lines', .5),
      "functions' lines, 95th of 100": '%d' % _quantile(
          functions, 'lines', .95),
      "functions' lines, most": '%d' % _quantile(functions, 'lines', 1.),
      'functions of more than 40 lines': '%d' % sum(
          f.lines > 40 for f in functions),
      'parameters, median': '%d' % _quantile(functions, 'parameters', .5),
      'parameters, most': '%d' % _quantile(functions, 'parameters', 1.),
      'functions of more than 8 parameters': '%d' % sum(
          f.parameters > 8 for f in functions),
      'duplicated lines': _share(duplicated(files), num_lines),
      'public functions': '%d' % len(public),
      'public functions with a docstring': _share(
          len(documented), len(public)),
      'docstrings with shapes': _share(
          sum(bool(_SHAPE.search(f.docstring)) for f in documented),
          len(documented)),
      'public functions of tensors or arrays': '%d' % sum(
          f.has_arrays for f in public),
      'of these, without shapes': '%d' % sum(f.lacks_shapes() for f in public),
      'public functions that raise': '%d' % sum(f.raises for f in public),
      "of these, without 'Raises:'": '%d' % sum(
          f.lacks_errors() for f in public),
      'annotated public functions': _share(
          sum(f.is_annotated for f in public), len(public))}
  for room, members in _rooms(files).items():
    sizes = [len(file.code) for file in members]
    public = [f for file in members for f in file.functions if f.is_public]
    result['%s: files, lines of code, annotated' % room] = '%d, %d, %s' % (
        len(sizes), sum(sizes), _share(sum(f.is_annotated for f in public),
                                       len(public)))
  return result


def _quantile(functions, attribute, share):
  values = sorted(getattr(f, attribute) for f in functions) or [0]
  return values[min(int(share * len(values)), len(values) - 1)]


def _share(part, whole):
  return '%d (%.1f %%)' % (part, 100. * part / whole if whole else 0.)


def _rooms(files):
  """{folder: [File]}; of tools/ each folder within it."""
  rooms = collections.defaultdict(list)
  for file in files:
    parts = file.path.split('/')[:-1]
    rooms['/'.join(parts[:2 if parts[:1] == ['tools'] else 1]) or '.'].append(
        file)
  return dict(sorted(rooms.items()))


def read_revision(revision: str, root: str = ROOT) -> List[File]:
  """The modules of a revision without those of the tests.

  Args:
    revision: revision of git; NOW for the files that are there, with new ones.
    root: folder of the clone.

  Raises:
    SystemExit: if git does not know the revision.
  """
  if revision == NOW:
    command = ['ls-files', '-co', '--exclude-standard', '*.py']
  else:
    command = ['ls-tree', '-r', '--name-only', revision]
  paths = sorted({p for p in _git(root, *command).splitlines()
                  if p.endswith('.py') and not p.startswith('tests/')})
  files = []
  for path in paths:
    if revision != NOW:
      files.append(read_file(path, _git(root, 'show',
                                        '%s:%s' % (revision, path))))
    elif os.path.exists(os.path.join(root, path)):  # Not just removed.
      with open(os.path.join(root, path), encoding='utf-8') as f:
        files.append(read_file(path, f.read()))
  return files


def _git(root, *arguments):
  result = subprocess.run(['git'] + list(arguments), cwd=root,
                          capture_output=True)
  if result.returncode:
    raise SystemExit('Error: git %s: %s' % (
        ' '.join(arguments), result.stderr.decode('utf-8', 'replace').strip()))
  return result.stdout.decode('utf-8')


def table(columns: Dict[str, Dict[str, str]]) -> str:
  """The figures of {revision: figures} as lines of a Markdown table."""
  names = list(dict.fromkeys(n for column in columns.values() for n in column))
  rows = [['figure'] + list(columns), ['---'] * (len(columns) + 1)]
  rows += [[name] + [column.get(name, '-') for column in columns.values()]
           for name in names]
  return ''.join('| %s |\n' % ' | '.join(row) for row in rows)


def main(argv: Sequence[str]) -> None:
  """Prints the table.

  Args:
    argv: the command line without the program.
  """
  parser = argparse.ArgumentParser(
      prog='python -m tools.code_figures', description=__doc__.split('\n')[0])
  parser.add_argument('revisions', nargs='*', metavar='REVISION',
                      help='of git, for example v0.9 or HEAD~10')
  revisions = parser.parse_args(argv).revisions + [NOW]
  sys.stdout.write(table({revision: figures(read_revision(revision))
                          for revision in revisions}))


if __name__ == '__main__':
  main(sys.argv[1:])
