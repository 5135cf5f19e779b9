"""A configuration file with comments, as text."""

import collections
from typing import Any, Dict, Mapping, Sequence, Tuple

from configs import base
from configs import yaml_format

_COMMENT_COLUMN = 34


def text(lines: Sequence[Tuple[str, Any, str]],
         head: Sequence[str] = ()) -> str:
  """YAML text: sections in the order in which they come first.

  Args:
    lines: [(dotted key, value, comment)].
    head: [str], comments above all.

  Returns:
    str.
  """
  return ''.join('# %s\n' % line for line in head) + '\n'.join(
      _block(_nested(lines), 0)) + '\n'


def parsed(content: str) -> Dict[str, Any]:
  """The dictionary of YAML text."""
  return yaml_format.parse(content, 'the new configuration')[0]


def _nested(lines):
  """{name: dict or (value, comment)}."""
  tree = collections.OrderedDict()
  for key, value, comment in lines:
    section, parts = tree, key.split('.')
    for part in parts[:-1]:
      section = section.setdefault(part, collections.OrderedDict())
    section[parts[-1]] = (value, comment)
  return tree


def _block(tree, depth):
  """Lines of a section."""
  lines = []
  for name, entry in tree.items():
    if isinstance(entry, dict):
      lines += ['%s%s:' % ('  ' * depth, name)] + _block(entry, depth + 1)
    else:
      lines.append(_line('%s%s: %s' % (
          '  ' * depth, name, _scalar(entry[0])), entry[1]))
  return lines


def _scalar(value):
  """A value as YAML within a line."""
  return yaml_format.dump({'x': value})[len('x: '):].strip()


def _line(start, comment):
  return ('%-*s  # %s' % (_COMMENT_COLUMN, start, comment)
          if comment else start)


def replace(content: str, changes: Mapping[str, Any]) -> str:
  """YAML text with other values; comments and all else stay.

  Args:
    content: str, blocks of keys, a key in each line.
    changes: {dotted key: value}.

  Returns:
    str.

  Raises:
    base.ConfigError: naming a key that has no line of its own.
  """
  lines, found, path = content.split('\n'), set(), []
  for number, line in enumerate(lines):
    stripped = line.lstrip(' ')
    name, colon, rest = stripped.partition(':')
    if not colon or stripped.startswith('#'):
      continue
    indent = len(line) - len(stripped)
    path = [p for p in path if p[0] < indent] + [(indent, name)]
    key = '.'.join(p[1] for p in path)
    if key in changes and key not in found:
      found.add(key)
      comment = rest.partition(' #')[2].strip()
      lines[number] = _line('%s%s: %s' % (
          ' ' * indent, name, _scalar(changes[key])), comment)
  missing = sorted(set(changes) - found)
  if missing:
    raise base.ConfigError(
        'There is no line of its own for %s: write it in its section as '
        'YAML blocks, as in "train:" and, indented below, "total_steps: 1000".'
        % ', '.join(missing))
  return '\n'.join(lines)
